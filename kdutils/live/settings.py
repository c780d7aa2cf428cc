"""A panel at two or three of its presets, folded, for a page on which nobody can move its controls."""

import base64
import html

from kdutils.plots.static import small_webp

LOOK = "kd-presets"     # the class of what is folded


def other_presets(panel) -> tuple[str, ...]:
    """The presets that say most beside the values that are set: those that the panel names, else the first two."""
    differ = [name for name, values in panel.presets.items()
              if any(panel.values[control] != value for control, value in values.items())]
    return tuple(name for name in panel.static_presets if name in differ) or tuple(differ[:2])


def folded(panel) -> dict | None:
    """A mime bundle of pictures and readings, one for each of `other_presets`; None where there are none.

    The panel goes through them and is as it was opened afterwards, with its values, but not its last run.
    """
    values, names = dict(panel.values), other_presets(panel)
    if not names:
        return None
    shown, said = [], []
    for name in names:
        panel.preset(name)
        panel.before_preset()
        figure, reading = panel.chart.figure(), panel.reading()
        picture = base64.b64encode(small_webp(figure)).decode()
        words = html.escape(reading)
        shown.append(f'<p><b>{html.escape(name)}.</b> {words}</p>'
                     f'<img alt="{words}" style="max-width:100%" src="data:image/webp;base64,{picture}">')
        said.append(f"{name}: {reading}")
    panel.reset()
    panel.set(**values)
    page = f'<details class="{LOOK}"><summary>At other settings: {html.escape("; ".join(names))}</summary>'
    return {"text/html": page + "".join(shown) + "</details>", "text/plain": "\n".join(said)}
