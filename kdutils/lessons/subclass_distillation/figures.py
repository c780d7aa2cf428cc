"""The figures of notebook 03."""

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils.datasets import GROUPINGS
from kdutils.errors import one_of
from kdutils.lessons.subclass_distillation.clicks import curves_of
from kdutils.lessons.subclass_distillation.mnist import PUBLISHED
from kdutils.plots.base import Plot, Table, band, intervals
from kdutils.plots.style import COLOURS, MARKERS, SHADE_MARKERS, SHADES, base_layout, title_fonts
from kdutils.results import Effect, Results, interval
from kdutils.second_scale import families_of

METRICS = {"hungarian": "Hungarian accuracy on hidden classes (%)", "nmi": "NMI with hidden classes (x100)",
           "ari": "ARI with hidden classes (x100)", "purity": "purity (%)", "used": "subclasses used",
           "accuracy": "accuracy on classes (%)"}
MAIN = ("hard labels", "two-class", "subclass", "oracle")
CLICK_METRICS = {"log_loss": "log-loss", "auc": "AUC"}
UNITS = {"log_loss": "nats", "auc": "points"}


def discovery(results: Results, metric: str = "hungarian") -> Plot:
    """What teachers find, and what it costs them: a metric and the accuracy on classes by beta, a line per T_aux.

    metric: hungarian, nmi, ari, purity or used.
    """
    one_of("metric", metric, METRICS)
    rows = results.where(part="discovery")
    figure = _two_panels((METRICS[metric], METRICS["accuracy"]))
    if rows.empty:
        return Plot(figure, "The teachers have not been trained.")
    s = int(results.params.get("subclasses", 5))
    mine = rows[(rows["method"] == "contrastive") & (rows["s"] == s)]
    entropies = sorted(rows[rows["method"] == "entropy"]["beta"].unique())
    lines = [(f"T_aux = {t:g}", {"method": "contrastive", "t_aux": t, "s": s},
              sorted(mine[mine["t_aux"] == t]["beta"].unique()), SHADES[i % 3], SHADE_MARKERS[i % 3])
             for i, t in enumerate(sorted(mine["t_aux"].unique()))]
    lines += [("entropy form", {"method": "entropy", "s": s}, entropies, COLOURS["teacher"], "diamond")]
    none = {m: results.mean(m, part="discovery", method="no auxiliary loss", s=s) for m in (metric, "accuracy")}
    words = []
    for name, kind, xs, colour, symbol in lines:
        for col, what in enumerate((metric, "accuracy"), 1):
            effects = [results.mean(what, part="discovery", beta=beta, **kind) for beta in xs]
            intervals(figure, xs, effects, name, colour, symbol, row=1, col=col, showlegend=col == 1)
            if col == 1 and effects:
                best = max(range(len(xs)), key=lambda i, e=effects: e[i].mean)
                price = results.mean("accuracy", part="discovery", beta=xs[best], **kind)
                words.append(f"{name}: at best {effects[best].mean:.1f} at beta = {xs[best]:g}, with {price.mean:.1f}% "
                             "on the classes")
    axis = {"type": "log", "title": {"text": "beta"}, "tickvals": sorted({beta for line in lines for beta in line[2]})}
    axis["ticktext"] = [f"{beta:g}" for beta in axis["tickvals"]]
    figure.update_xaxes(axis)
    clusters = {m: results.mean(m, part="discovery", method="k-means", s=s) for m in (metric, "accuracy")}
    ends = [min(axis["tickvals"]), max(axis["tickvals"])]
    for name, levels, look, dash in (("beta = 0", none, "other", "dash"),
                                     ("k-means of the pixels", clusters, "k-means", "dot")):
        for col, what in enumerate((metric, "accuracy"), 1):
            figure.add_scatter(x=ends, y=[levels[what].mean] * 2, mode="lines", name=name, row=1, col=col,
                               showlegend=col == 1, line={"color": COLOURS[look], "dash": dash})
    return Plot(figure, f"{METRICS[metric][0].upper()}{METRICS[metric][1:]}, teachers with {s} subclasses per class: "
                        f"{none[metric].mean:.1f} at beta = 0, with {none['accuracy'].mean:.1f}% on the classes. "
                        f"{'; '.join(words)}. k-means inside each class: {clusters[metric].mean:.1f}, "
                        f"with {clusters['accuracy'].mean:.1f}%. Intervals: 95% over {none[metric].n} seeds.")


def subclasses_used(results: Results) -> Plot:
    """How many subclasses teachers use by the number they have, and how well they agree with the hidden classes."""
    rows = results.where(part="discovery")
    figure = _two_panels((METRICS["used"], METRICS["nmi"]))
    if rows.empty:
        return Plot(figure, "The teachers have not been trained.")
    chosen = {"part": "discovery", "method": "contrastive", "beta": results.params.get("beta", 0.1),
              "t_aux": results.params.get("t_aux", 0.5)}
    sizes = sorted(results.where(**chosen)["s"].astype(int).unique())
    figure.update_xaxes(title_text="subclasses per class", tickvals=sizes)
    words = []
    for name, kind, colour, symbol in (("subclass teacher", chosen, COLOURS["subclass"], MARKERS["subclass"]),
                                       ("k-means of the pixels", {"part": "discovery", "method": "k-means"},
                                        COLOURS["k-means"], "x")):
        for col, metric in enumerate(("used", "nmi"), 1):
            effects = [results.mean(metric, s=s, **kind) for s in sizes]
            intervals(figure, sizes, effects, name, colour, symbol, row=1, col=col, showlegend=col == 1)
            words.append(f"{name}, {metric if metric == 'used' else 'NMI'}: " + ", ".join(
                f"{effect.mean:.1f} at s = {s}" for s, effect in zip(sizes, effects, strict=True)))
    classes = len(GROUPINGS[results.params.get("data", "digits-2x5")].groups)
    figure.add_scatter(x=sizes, y=[classes * s for s in sizes], mode="lines", name="all there are", row=1, col=1,
                       line={"color": COLOURS["other"], "dash": "dot"})
    plain = results.mean("used", part="discovery", method="no auxiliary loss")
    have = classes * int(results.params.get("subclasses", 5))
    return Plot(figure, "Subclasses that are largest for at least 1% of the test images, and agreement with the hidden "
                        f"classes, teachers at beta = {chosen['beta']:g} and T_aux = {chosen['t_aux']:g}: "
                        f"{'; '.join(words)}. Without the auxiliary loss {plain.mean:.1f} of {have} are used. "
                        f"Intervals: 95% over {plain.n} seeds.")


def few_labels(results: Results, chosen: Sequence[str] = MAIN, width: int | None = None) -> Plot:
    """Accuracy of students by the number of labelled images, with 95% bands."""
    rows = results.where(part="few")
    figure = go.Figure(layout=base_layout(height=420, yaxis={"title": {"text": "accuracy on classes (%)"}}))
    if rows.empty:
        return Plot(figure, "The students have not been trained.")
    width = int(results.params.get("width", 16)) if width is None else one_of("width", width, set(rows["width"]))
    sizes = sorted(rows[rows["width"] == width]["transfer"].unique())
    words = []
    for arm in chosen:
        mine = results.where(part="few", width=width, method=_arm(arm, rows))
        summary = Results(mine).summary("accuracy", by=["transfer"]).sort_values("transfer")
        band(figure, summary["transfer"], summary, _look(arm), arm)
        words.append(f"{arm} " + ", ".join(f"{m:.1f}" for m in summary["mean"]))
    figure.update_xaxes(type="log", title_text="labelled images of the student", tickvals=sizes,
                        ticktext=[f"{int(n):,}" for n in sizes])
    return Plot(figure, f"Test accuracy (%) of students with {width} hidden units on {_listed(sizes)} images: "
                        f"{'; '.join(words)}. Bands: 95% over {int(summary['n'].iloc[0])} seeds.")


def controls(results: Results, transfer: int | None = None, minus: str = "two-class", width: int | None = None) -> Plot:
    """Every arm of students less one of them, paired by seed, at one number of images: 100 if None, or about as many.
    """
    rows = results.where(part="few")
    figure = go.Figure(layout=base_layout(height=460, margin={"l": 210}, xaxis={"title": {
        "text": f"accuracy less that of {minus} (points)"}}))
    if rows.empty:
        return Plot(figure, "The students have not been trained.")
    width = int(results.params.get("width", 16)) if width is None else width
    sizes = sorted(rows[rows["width"] == width]["transfer"].astype(int).unique())
    transfer = min(sizes, key=lambda n: abs(n - 100)) if transfer is None else one_of("transfer", transfer, sizes)
    same = {"part": "few", "transfer": transfer, "width": width}
    arms = [arm for arm in dict.fromkeys(rows["method"]) if arm != _arm(minus, rows)]
    effects = {arm: results.paired("accuracy", same | {"method": arm}, same | {"method": minus}) for arm in arms}
    ranked = sorted(arms, key=lambda arm: effects[arm].mean)
    for arm in ranked:
        e, colour = effects[arm], COLOURS[_look(arm)]
        figure.add_scatter(x=[e.low, e.high], y=[arm, arm], mode="lines", showlegend=False, hoverinfo="skip",
                           line={"color": colour, "width": 2})
        figure.add_scatter(x=[e.mean], y=[arm], mode="markers", showlegend=False, name=arm,
                           marker={"color": colour, "size": 9, "symbol": MARKERS[_look(arm)]},
                           hovertemplate="%{x:+.2f}<extra>" + arm + "</extra>")
    ends = [0.0, *(end for e in effects.values() for end in (e.low, e.mean, e.high) if not math.isnan(end))]
    room = 0.05 * (max(ends) - min(ends)) or 1.0        # plotly leaves none beside lines
    figure.update_xaxes(range=[min(ends) - room, max(ends) + room])
    figure.add_vline(x=0, line={"color": COLOURS["other"], "dash": "dot", "width": 1.5})
    base = results.mean("accuracy", **same, method=minus)
    said = "; ".join(f"{arm} {effects[arm].mean:+.1f}" for arm in reversed(ranked))
    return Plot(figure, f"Students with {same['width']} hidden units on {transfer:,} images, accuracy less that of "
                        f"{minus} ({base.mean:.1f}%), in points: {said}. Intervals: 95% over {base.n} seeds.")


def learning_speed(results: Results, chosen: Sequence[str] = MAIN) -> Plot:
    """Accuracy against steps at a constant learning rate with 95% bands, a panel per number of images."""
    rows = results.where(part="speed")
    sizes = sorted(rows["transfer"].unique()) if len(rows) else []
    figure = _panels([f"{int(n):,} images" for n in sizes], "steps", "accuracy on classes (%)")
    words, ends = [], []
    for col, n in enumerate(sizes, 1):
        said = []
        for arm in chosen:
            mine = results.where(part="speed", transfer=n, method=_arm(arm, rows))
            summary = Results(mine).summary("accuracy", by=["step"]).sort_values("step")
            band(figure, summary["step"], summary, _look(arm), arm, row=1, col=col, showlegend=col == 1)
            mean = mine.groupby("seed")["accuracy"].mean()
            said.append(f"{arm} {interval(mean).mean:.1f} on average and {summary['mean'].iloc[-1]:.1f} at the end")
            ends += [summary[["mean", "low"]].min(axis=None), summary[["mean", "high"]].max(axis=None)]
        words.append(f"{int(n):,} images: {', '.join(said)}")
    if not sizes:
        return Plot(figure, "The students have not been timed.")
    # The same for all panels, which are compared; the band of two seeds may pass the ends of a percentage.
    figure.update_yaxes(range=[max(min(ends) - 1, 0), min(max(ends) + 1, 101)])
    return Plot(figure, f"Test accuracy (%) in the course of {int(rows['step'].max())} steps. {'; '.join(words)}. "
                        f"Bands: 95% over {int(summary['n'].iloc[0])} seeds.")


def click_curves(results: Results, metric: str = "log_loss", s: int | None = None) -> Plot:
    """Students of click-through logs against steps, a panel per number of rows: each seed against its own level.

    The level of a seed is the best that its hard-label student reaches at any step: a log-loss below 0 here is better
    than it ever gets. Without it the bands would show how worlds differ and not how students do. s: subclasses per
    class of the teacher, the most if None.
    """
    one_of("metric", metric, CLICK_METRICS)
    rows = results.where(part="clicks")
    sizes = sorted(rows["transfer"].unique()) if len(rows) else []
    figure = _panels([f"{int(n):,} rows" for n in sizes], "steps",
                     f"{CLICK_METRICS[metric]} against level ({UNITS[metric]})")
    if not sizes:
        return Plot(figure, "The students of click-through logs have not been trained.")
    tried = sorted(rows[rows["method"] == "subclass"]["s"].astype(int).unique())
    s = tried[-1] if s is None else one_of("s", s, tried)
    words = []
    for col, n in enumerate(sizes, 1):
        same = {"part": "clicks", "transfer": n}
        curves = {arm: curves_of(results, metric, same | {"method": arm} | ({"s": s} if arm == "subclass" else {}))
                  for arm in MAIN}
        best = curves["hard labels"].min(axis=1) if metric == "log_loss" else curves["hard labels"].max(axis=1)
        said = []
        for arm, curve in curves.items():
            effects = [interval(curve[step] - best) for step in curve.columns]
            summary = pd.DataFrame([vars(effect) for effect in effects])
            band(figure, list(curve.columns), summary, arm, arm if arm != "subclass" else f"subclass, s = {s}",
                 row=1, col=col, showlegend=col == 1)
            digits = 4 if metric == "log_loss" else 1
            said.append(f"{arm} {effects[-1].mean:+.{digits}f}")
        figure.add_hline(y=0, line={"color": COLOURS["other"], "dash": "dot", "width": 1.5}, row=1, col=col)
        words.append(f"{int(n):,} rows: {', '.join(said)}")
    if metric == "log_loss":
        figure.update_yaxes(range=[-0.03, 0.05])    # the first steps lie far above
    figure.update_layout(margin_l=75)
    what = CLICK_METRICS[metric][0].upper() + CLICK_METRICS[metric][1:]
    side = "below" if metric == "log_loss" else "above"
    return Plot(figure, f"{what} of students at the end less the level, in {UNITS[metric]}; the level is the best that "
                        f"the hard-label student of the same seed reaches at any step, so {side} 0 a student is better "
                        f"than that. {'; '.join(words)}. Bands: 95% over {effects[0].n} "
                        "worlds.")


def demo_table(results: Results) -> Table:
    """The authors' MNIST demonstration beside ours: accuracy on classes after the last epoch, percent."""
    last = int(results.table["epoch"].max())
    rows = []
    for method in dict.fromkeys(results.table["method"]):
        ours = results.mean("accuracy", method=method, epoch=last)
        published = f"{PUBLISHED[method]:.2f}" if method in PUBLISHED else "-"
        rows.append({"network": method, "published, one run": published, "ours [95%]": _two_decimals(ours),
                     "seeds": ours.n})
    return Table(pd.DataFrame(rows))


def second_scale(results: Results) -> Plot:
    """Photographs: what teachers of families find of the classes in them, and what it is worth to students.

    On the left Hungarian accuracy by the way of dividing a class; on the right students less those of the teacher that
    says the probabilities of its families, by the number of labelled images.
    """
    figure = _panels(["Hungarian accuracy on hidden classes (%)", "accuracy less that of classes (points)"], "", "")
    figure.update_layout(height=450, margin_b=100)  # room for names that stand aslant
    betas = sorted(results.where(part="discovery", method="contrastive")["beta"].unique())
    kinds = [("none", {"method": "no auxiliary loss"}, "no auxiliary loss")]
    kinds += [(f"beta {beta:g}", {"method": "contrastive", "beta": beta}, "subclass") for beta in betas]
    kinds += [(name, {"method": method}, look) for name, method, look in (
        ("k-means, pixels", "k-means", "k-means"), ("k-means, features", "k-means of features", "other"),
        ("oracle", "oracle", "oracle"))]
    found = [results.mean("hungarian", part="discovery", **kind) for _, kind, _ in kinds]
    for place, ((_, _, look), effect) in enumerate(zip(kinds, found, strict=True)):
        intervals(figure, [place], [effect], "found", COLOURS[look], MARKERS[look], line=False, row=1, col=1,
                  showlegend=False)
    figure.update_xaxes(tickvals=list(range(len(kinds))), ticktext=[name for name, _, _ in kinds], tickangle=-30,
                        row=1, col=1)
    rows = results.where(part="few")
    sizes, said = sorted(rows["transfer"].astype(int).unique()), []
    for number, arm in enumerate(("hard labels", "no auxiliary loss", "subclass", "oracle")):
        effects = [results.paired("accuracy", *({"part": "few", "transfer": n, "method": one}
                                                for one in (arm, "classes"))) for n in sizes]
        intervals(figure, [place + 0.06 * (number - 1.5) for place in range(len(sizes))], effects, arm,
                  COLOURS[_look(arm)], MARKERS[_look(arm)], row=1, col=2)
        said.append(f"{arm} " + ", ".join(f"{effect.mean:+.1f}" for effect in effects))
    figure.update_xaxes(tickvals=list(range(len(sizes))), ticktext=[f"{n:,}" for n in sizes],
                        title_text="labelled images", row=1, col=2)
    figure.add_hline(y=0, line={"color": COLOURS["other"], "dash": "dot", "width": 1.5}, row=1, col=2)
    base = [results.mean("accuracy", part="few", transfer=n, method="classes").mean for n in sizes]
    shares = ", ".join(f"{name} {effect.mean:.1f}" for (name, _, _), effect in zip(kinds, found, strict=True))
    families = families_of(results.params)
    return Plot(figure, f"{families} families of five hidden classes. Hungarian accuracy on the classes, in percent: "
                        f"{shares}. Students on {_listed(sizes)} images less those of a teacher that says its classes "
                        f"({', '.join(f'{level:.1f}' for level in base)}%), in points: {'; '.join(said)}. Intervals: "
                        f"95% over {found[0].n} seeds.")


def _look(arm: str) -> str:
    """The name under which an arm has its colour, dash and marker; controls without one are grey."""
    name = "k-means" if arm.startswith("k-means") else arm
    return name if name in COLOURS else "other"


def _arm(name: str, rows: pd.DataFrame) -> str:
    return one_of("arm", name, dict.fromkeys(rows["method"]))


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{int(value):,}" for value in values)


def _two_decimals(effect: Effect) -> str:
    return f"{effect.mean:.2f}" + ("" if effect.n < 2 else f" [{effect.low:.2f}, {effect.high:.2f}]")


def _panels(titles: Sequence[str], x: str, y: str) -> go.Figure:
    """An empty figure with a panel for each title; they share the legend above."""
    figure = make_subplots(rows=1, cols=max(1, len(titles)), subplot_titles=list(titles), horizontal_spacing=0.09)
    figure.update_layout(base_layout(height=420, margin={"l": 60, "r": 20, "t": 90, "b": 50}, legend={"y": 1.12}))
    title_fonts(figure)
    figure.update_xaxes(title_text=x, ticks="outside")
    figure.update_yaxes(ticks="outside")
    figure.update_yaxes(title_text=y, col=1)
    return figure


def _two_panels(y: tuple[str, str]) -> go.Figure:
    """An empty figure with two panels that measure different things."""
    figure = _panels(["", ""], "", "").update_layout(height=400, margin_t=70, legend_y=1.03)      # without titles
    figure.update_yaxes(title_text=y[0], col=1)
    return figure.update_yaxes(title_text=y[1], col=2)
