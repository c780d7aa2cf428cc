"""The same colours, dashes and names for teacher, student and labels on every page.

The colours are those of Okabe and Ito, told apart by most colour-blind readers; a dash or a marker says the same again.
"""

import plotly.graph_objects as go

COLOURS = {
    "teacher": "#0072B2",
    "distilled": "#D55E00",
    "hard labels": "#009E73",
    "other": "#7f7f7f",
    "highlight": "#CC79A7",
    # Kinds of first teachers; a strict one is an ordinary teacher, a darker hue is more tolerant.
    "strict": "#0072B2",
    "tolerant": "#CC79A7",
    "very tolerant": "#7b3f66",
    "smoothed": "#E69F00",
    "penalised": "#56B4E9",
    # What a teacher of two classes hands on: two probabilities, those of its subclasses, or those of the true ones.
    "two-class": "#E69F00",
    "subclass": "#D55E00",
    "oracle": "#CC79A7",
    # Rivals of the teacher that divides its classes by itself.
    "k-means": "#56B4E9",
    "no auxiliary loss": "#7f7f7f",
    "penultimate layer": "#7A5CE0",
    # Ordinary distillation, the same on the sphere, and with one scalar on the teacher's logits.
    "KD": "#D55E00",
    "SKD": "#7A5CE0",
    "one scalar": "#E69F00",
}
DASHES = {"teacher": "dash", "distilled": "solid", "hard labels": "dot", "other": "solid", "strict": "dash",
          "tolerant": "solid", "very tolerant": "solid", "smoothed": "dashdot", "penalised": "dot",
          "two-class": "dashdot", "subclass": "solid", "oracle": "dash", "k-means": "longdash",
          "no auxiliary loss": "dot", "penultimate layer": "longdashdot", "KD": "solid", "SKD": "dash",
          "one scalar": "dot"}
MARKERS = {"teacher": "square", "distilled": "circle", "hard labels": "diamond", "other": "circle-open",
           "strict": "square", "tolerant": "circle", "very tolerant": "triangle-up", "smoothed": "diamond",
           "penalised": "x", "two-class": "square", "subclass": "circle", "oracle": "triangle-up",
           "k-means": "x", "no auxiliary loss": "circle-open", "penultimate layer": "cross", "KD": "circle",
           "SKD": "diamond", "one scalar": "triangle-up"}

# One hue from light to dark for an ordered quantity (transfer-set size), with a marker each.
SHADES = ("#fdae6b", "#D55E00", "#7f2704")
SHADE_MARKERS = ("circle", "square", "triangle-up")

# Ten hidden classes: a colour and a shape each; the first five and the last five are told apart by colour alone.
# The last two are lighter than their neighbours in other palettes: a map must also be read on a dark page.
HIDDEN_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#7f7f7f",
                  "#D55E00", "#56B4E9", "#999933", "#B8387F", "#7A5CE0")
HIDDEN_MARKERS = ("circle", "square", "diamond", "triangle-up", "cross",
                  "x", "star", "triangle-down", "pentagon", "triangle-left")
# What became of a claim; the mark before its words says the same without colour.
VERDICT_COLOURS = {"seen": "#009E73", "not seen": "#D55E00", "opposite": "#CC79A7",
                   "no difference that matters": "#0072B2", "too noisy to say": "#E69F00", "not measured": "#7f7f7f"}
GREYS = [[0.0, "#ffffff"], [1.0, "#202020"]]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"


def translucent(colour: str, opacity: float = 0.18) -> str:
    """'#rrggbb' as 'rgba(r,g,b,opacity)', for bands."""
    red, green, blue = (int(colour[i:i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def base_layout(height: int = 380, **changes) -> dict:
    """The layout every figure starts from; no template, so that a figure is a few kB.

    No colours of text, grid and paper: a live figure takes them from JupyterLab's theme, a static one is ink on white.
    """
    axis = {"zeroline": False, "ticks": "outside", "title": {"font": {"size": 13}}}
    layout = {"height": height, "margin": {"l": 60, "r": 20, "t": 50, "b": 50}, "template": go.layout.Template(),
              "uirevision": "keep", "font": {"family": FONT, "size": 13}, "hovermode": "closest",
              "modebar": {"remove": ["sendChartToCloud"]},    # it would upload the figure to another host
              "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
              "xaxis": axis, "yaxis": axis}
    for name, value in changes.items():
        layout[name] = _merged(layout.get(name, {}), value) if isinstance(value, dict) else value
    return layout


def title_fonts(figure: go.Figure) -> None:
    """Titles of subplots and their axes in the size of the text; make_subplots has its own idea."""
    figure.update_annotations(font_size=13)
    figure.update_xaxes(zeroline=False, title_font_size=13)
    figure.update_yaxes(zeroline=False, title_font_size=13)


def _merged(first: dict, second: dict) -> dict:
    """Nested dictionaries united; the second one wins."""
    return first | {name: _merged(first[name], value) if isinstance(value, dict) and isinstance(first.get(name), dict)
                    else value for name, value in second.items()}
