"""The figures of notebook 02."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils.errors import one_of
from kdutils.lessons.tolerant_teachers.parameters import chance_inside
from kdutils.objectives import optimum, threshold
from kdutils.plots.base import Plot, band, intervals
from kdutils.plots.style import COLOURS, MARKERS, base_layout, title_fonts
from kdutils.results import Results
from kdutils.second_scale import families_of

KINDS = ("strict", "tolerant", "very tolerant", "smoothed", "penalised")
METRICS = {"accuracy": "test accuracy (%)", "primary": "mass of the first class (%)",
           "secondary": "mass of ranks 2 to K (%)", "rest": "mass beyond rank K (%)", "entropy": "entropy (bits)"}
PARTS = {"student": "clean labels", "noise": "wrong labels"}


def where_the_mass_goes(results: Results, part: str = "student") -> Plot:
    """Teachers' probability on ranks 2 .. K and on the rest by eta, beside what a free answer would keep.

    part: "student" for teachers of clean labels, "noise" for those that saw wrong ones.
    """
    part = "teacher" if one_of("part", part, PARTS) == "student" else part
    etas, ranks = _etas(results, part), results.params.get("ranks", 5)
    figure = go.Figure(layout=base_layout(xaxis=_eta_axis(etas),
                                          yaxis={"title": {"text": "probability on test images (%)"}}))
    if not etas:
        return Plot(figure, "The teachers have not been trained.")
    fine = np.linspace(min(etas), max(etas), 121)
    figure.add_scatter(x=fine, y=[100 * (1 - optimum(eta, ranks)) for eta in fine], mode="lines",
                       name=f"ranks 2-{ranks}, a free answer", line={"color": COLOURS["other"], "dash": "dot"})
    same = {"part": part, "method": "teacher"}
    seen = {metric: [results.mean(metric, eta=eta, **same) for eta in etas] for metric in ("secondary", "rest")}
    for metric, name, colour in (("secondary", f"ranks 2-{ranks}", "tolerant"), ("rest", "the rest", "other")):
        intervals(figure, etas, seen[metric], name, COLOURS[colour], MARKERS[colour])
    first, last = seen["secondary"][0], seen["secondary"][-1]
    return Plot(figure, f"Ranks 2-{ranks} of a teacher's answers hold {first.mean:.1f}% at eta = {etas[0]:g} and "
                        f"{last.mean:.1f}% at eta = {etas[-1]:g}, the rest {seen['rest'][-1].mean:.1f}%; an answer "
                        f"that is free keeps nothing there up to eta = {threshold(ranks):.3g}. Intervals: 95% over "
                        f"{first.n} seeds.")


def pay_and_gain(results: Results, transfer: int | None = None, part: str = "student") -> Plot:
    """What the teacher pays and its students gain, against eta = 0 of the same seed, one line per temperature.

    part: "student" for clean labels, "noise" for wrong ones. transfer: images of the students; the fewest if None.
    """
    own = "teacher" if one_of("part", part, PARTS) == "student" else part
    etas, rows = _etas(results, own), results.where(part=part)
    figure = go.Figure(layout=base_layout(
        height=420, xaxis=_eta_axis(etas), yaxis={"title": {"text": "accuracy less that of eta = 0 (points)"}}))
    students = rows[rows["method"] == "distilled"] if len(rows) else rows
    if students.empty:
        return Plot(figure, "The students of these teachers have not been trained.")
    transfer = int(students["transfer"].min()) if transfer is None else one_of("transfer", transfer,
                                                                               set(students["transfer"]))
    figure.add_hline(y=0, line={"color": COLOURS["other"], "dash": "dot", "width": 1.5})
    temperatures = sorted(students["temperature"].unique())
    shades = ["#fdae6b", COLOURS["distilled"], "#7f2704"]
    lines = [("teacher", {"part": own, "method": "teacher"}, COLOURS["teacher"], "square")]
    lines += [(f"student, T = {t:g}", {"part": part, "method": "distilled", "transfer": transfer, "temperature": t},
               shades[i % 3], ("circle", "triangle-up", "diamond")[i % 3]) for i, t in enumerate(temperatures)]
    words = []
    for name, arm, colour, symbol in lines:
        effects = [results.paired("accuracy", arm | {"eta": eta}, arm | {"eta": etas[0]}) for eta in etas]
        intervals(figure, etas, effects, name, colour, symbol)
        words.append(f"{name}: " + ", ".join(f"{effect.mean:+.1f} at {eta:g}"
                                             for eta, effect in zip(etas[1:], effects[1:], strict=True)))
    labels = PARTS[part] if part == "student" else f"{100 * float(students['noise'].iloc[0]):.0f}% {PARTS[part]}"
    return Plot(figure, f"Accuracy by eta against eta = {etas[0]:g}, paired over {effects[0].n} seeds, students with "
                        f"{transfer:,} images, {labels}. {'; '.join(words)}.")


def generations(results: Results, metric: str = "accuracy", only: Sequence[str] = KINDS) -> Plot:
    """Lineages by kind of ancestor and generation with 95% bands, one panel per share of wrong labels.

    metric: accuracy, primary, secondary, rest or entropy. The cross is one strict network with the whole budget.
    only: the kinds to show, such as ["tolerant"]: a lecture uncovers the others afterwards. Axes stay the same.
    """
    one_of("metric", metric, METRICS)
    for kind in only:
        one_of("kind", kind, KINDS)
    rows = results.where(part="generations")
    figure, noises = _panels(rows, METRICS[metric], "generation")
    words, ends = [], []
    for col, noise in enumerate(noises, 1):
        mine = results.where(part="generations", noise=noise)
        last = int(mine["generation"].max())
        named = [kind for kind in KINDS if kind in set(mine["method"])]
        for kind in named:
            summary = Results(mine[mine["method"] == kind]).summary(metric, by=["generation"])
            summary = summary.sort_values("generation")
            ends += [*summary["low"], *summary["high"], *summary["mean"]]
            if kind in only:
                band(figure, summary["generation"], summary, kind, kind, row=1, col=col, showlegend=col == 1)
        named = [kind for kind in named if kind in only]
        end = {kind: results.mean(metric, part="generations", noise=noise, method=kind, generation=last)
               for kind in named}
        begin = {kind: results.mean(metric, part="generations", noise=noise, method=kind, generation=0)
                 for kind in named}
        if "longer" in set(mine["method"]) and metric == "accuracy" and "strict" in only:
            longer = results.mean(metric, part="generations", noise=noise, method="longer")
            intervals(figure, [last + 0.15], [longer], "one network, whole budget", COLOURS["other"], "x", line=False,
                      row=1, col=col, showlegend=col == 1)
        words.append(f"{_labels(noise)}: " + ", ".join(
            f"{kind} {begin[kind].mean:.1f} to {end[kind].mean:.1f}" for kind in named))
    if not noises:
        return Plot(figure, "The lineages have not been trained.")
    if set(only) < set(KINDS):      # room for what is uncovered later
        low, high = np.nanmin(ends), np.nanmax(ends)
        figure.update_yaxes(range=[low - 0.05 * (high - low), high + 0.05 * (high - low)])
    what = METRICS[metric][0].upper() + METRICS[metric][1:]
    return Plot(figure, f"{what} from generation 0 to {last}. {'; '.join(words)}. Bands: 95% over "
                        f"{end[named[0]].n} seeds.")


def ensembles(results: Results, chosen: Sequence[str] = ("strict", "tolerant")) -> Plot:
    """Accuracy of generations united, beside as many strict networks of independent starts."""
    rows = results.where(part="ensemble")
    figure, noises = _panels(rows, METRICS["accuracy"], "networks united")
    words = []
    for col, noise in enumerate(noises, 1):
        last = int(results.where(part="ensemble", noise=noise)["members"].max())
        counts, said = range(1, last + 1), []
        for kind, name, colour in (*((kind, f"{kind} lineage", kind) for kind in chosen),
                                   ("independent", "independent strict networks", "other")):
            effects = [results.mean("accuracy", part="ensemble", noise=noise, method=kind, members=n) for n in counts]
            shift = 0.08 * (len(said) - 1)
            intervals(figure, [n + shift for n in counts], effects, name, COLOURS[colour], MARKERS[colour], row=1,
                      col=col, showlegend=col == 1)
            said.append(f"{name} {effects[0].mean:.1f} to {effects[-1].mean:.1f}")
        words.append(f"{_labels(noise)}: {', '.join(said)}")
    if not noises:
        return Plot(figure, "The ensembles have not been measured.")
    return Plot(figure, f"Test accuracy (%) of one to {last} networks united. {'; '.join(words)}. Intervals: 95% over "
                        f"{effects[0].n} seeds.")


def linear_probe(results: Results, chosen: Sequence[str] = ("strict", "tolerant", "very tolerant", "smoothed")) -> Plot:
    """Accuracy of a linear probe on digits that the lineage never saw, by generation."""
    rows = results.where(part="probe")
    figure = go.Figure(layout=base_layout(xaxis={"title": {"text": "generation"}, "dtick": 1},
                                          yaxis={"title": {"text": "probe accuracy on unseen digits (%)"}}))
    if rows.empty:
        return Plot(figure, "The features have not been probed.")
    last, words = int(rows["generation"].max()), []
    for index, kind in enumerate(chosen):
        effects = [results.mean("accuracy", part="probe", method=kind, generation=g) for g in range(last + 1)]
        x = np.arange(last + 1) + 0.08 * (index - (len(chosen) - 1) / 2)
        intervals(figure, x, effects, kind, COLOURS[kind], MARKERS[kind])
        words.append(f"{kind} {effects[0].mean:.1f} to {effects[-1].mean:.1f}")
    pixels = results.mean("accuracy", part="probe", method="pixels")
    figure.add_scatter(x=[-0.3, last + 0.3], y=[pixels.mean] * 2, mode="lines", name="the pixels themselves",
                       line={"color": COLOURS["other"], "dash": "dot"})
    return Plot(figure, f"A linear probe of the hidden layer, from generation 0 to {last} (%): {', '.join(words)}; of "
                        f"the pixels {pixels.mean:.1f}. Intervals: 95% over {pixels.n} seeds.")


def inside_groups(results: Results) -> Plot:
    """Whose the secondary classes are, by eta: the share inside the label's group, beside what a lot would give."""
    etas, name = _etas(results, "groups"), results.params.get("grouped")
    figure = go.Figure(layout=base_layout(
        xaxis=_eta_axis(etas), yaxis={"title": {"text": "secondary mass inside the label's group (%)"}}))
    if not etas:
        return Plot(figure, "No data set with groups of classes has been measured.")
    effects = [results.mean("inside", part="groups", eta=eta) for eta in etas]
    intervals(figure, etas, effects, "tolerant teachers", COLOURS["tolerant"], MARKERS["tolerant"])
    chance = chance_inside(name)
    figure.add_scatter(x=[etas[0], etas[-1]], y=[chance] * 2, mode="lines", name="by lot",
                       line={"color": COLOURS["other"], "dash": "dot"})
    shares = ", ".join(f"{effect.mean:.1f}% at {eta:g}" for eta, effect in zip(etas, effects, strict=True))
    return Plot(figure, f"Share of the secondary mass on classes of the label's group in {name}, by eta: {shares}; "
                        f"{chance:.1f}% if drawn by lot. Intervals: 95% over {effects[0].n} seeds.")


def second_scale(results: Results) -> Plot:
    """Photographs: what tolerance is worth to teachers and students, and whether the secondary classes are relatives.

    On the left accuracies less those of eta = 0, students with a tenth of the images and with all; on the right the
    share of the probability of ranks 2 .. K on the label's family, by kind of teacher, beside what a lot gives.
    """
    etas, rows = _etas(results, "teacher"), results.where(part="student")
    titles = ("accuracy less that of eta = 0 (points)", "ranks 2 to K inside the family (%)")
    figure = make_subplots(rows=1, cols=2, subplot_titles=titles, horizontal_spacing=0.1)
    figure.update_layout(base_layout(height=440, margin={"l": 60, "r": 20, "t": 120, "b": 60}, legend={"y": 1.14}))
    title_fonts(figure)
    few, many = (int(end(rows["transfer"])) for end in (min, max))
    lines = [("teacher", {"part": "teacher", "method": "teacher"}, COLOURS["teacher"], "square")]
    lines += [(f"student, {n:,} images, T = {t:g}", {"part": "student", "method": "distilled", "transfer": n,
                                                     "temperature": t}, colour, symbol)
              for n, t, colour, symbol in ((few, 1.0, COLOURS["distilled"], "circle"),
                                           (few, 4.0, "#7f2704", "triangle-up"), (many, 1.0, "#fdae6b", "diamond"))]
    said = []
    for number, (name, arm, colour, symbol) in enumerate(lines):
        effects = [results.paired("accuracy", arm | {"eta": eta}, arm | {"eta": etas[0]}) for eta in etas]
        aside = [eta + 0.015 * (number - 1.5) for eta in etas]
        intervals(figure, aside, effects, name, colour, symbol, row=1, col=1)
        said.append(f"{name} " + ", ".join(f"{e.mean:+.1f} at {eta:g}"
                                           for eta, e in zip(etas[1:], effects[1:], strict=True)))
    figure.update_xaxes(_eta_axis(etas), row=1, col=1)
    kinds = [(f"eta {eta:g}", {"method": "teacher", "eta": eta}, "tolerant" if eta else "strict") for eta in etas]
    kinds += [(name, {"method": name}, name) for name in ("smoothed", "penalised")]
    shares = [results.mean("inside", part="teacher", **kind) for _, kind, _ in kinds]
    for place, ((_, _, look), share) in enumerate(zip(kinds, shares, strict=True)):
        intervals(figure, [place], [share], "share", COLOURS[look], MARKERS[look], line=False, row=1, col=2,
                  showlegend=False)
    families = families_of(results.params)
    chance = 400 / (5 * families - 1)
    figure.add_scatter(x=[0, len(kinds) - 1], y=[chance] * 2, mode="lines", name="by lot", row=1, col=2,
                       line={"color": COLOURS["other"], "dash": "dot"})
    figure.update_xaxes(tickvals=list(range(len(kinds))), ticktext=[name for name, _, _ in kinds], row=1, col=2)
    level = results.mean("accuracy", part="teacher", method="teacher", eta=etas[0])
    inside = ", ".join(f"{name} {share.mean:.1f}" for (name, _, _), share in zip(kinds, shares, strict=True))
    return Plot(figure, f"{5 * families} classes of {families} families. A strict teacher is right on "
                        f"{level.mean:.1f}% of the test images; against eta = {etas[0]:g}, in points: "
                        f"{'; '.join(said)}. Probability of ranks 2-5 inside the label's family, in percent: {inside}; "
                        f"{chance:.1f} if drawn by lot. Intervals: 95% over {level.n} seeds.")


def _etas(results: Results, part: str) -> list[float]:
    """The etas tried, those of the teachers; the first one is what the others are compared with."""
    rows = results.where(part=part)
    return sorted(rows["eta"].dropna().unique()) if len(rows) else []


def _eta_axis(etas: Sequence[float]) -> dict:
    return {"title": {"text": "tolerance eta"}, "tickvals": list(etas), "ticktext": [f"{eta:g}" for eta in etas]}


def _labels(noise: float) -> str:
    return f"{noise:.0%} wrong labels" if noise else "clean labels"


def _panels(rows: pd.DataFrame, y: str, x: str) -> tuple[go.Figure, list[float]]:
    """An empty figure with a panel for each share of wrong labels, and these shares."""
    noises = sorted(rows["noise"].unique()) if len(rows) else []
    titles = [f"{_labels(noise)}, {int(rows[rows['noise'] == noise]['transfer'].iloc[0]):,} images"
              for noise in noises]
    figure = make_subplots(rows=1, cols=max(1, len(noises)), subplot_titles=titles, horizontal_spacing=0.09)
    figure.update_layout(base_layout(height=420, margin={"l": 60, "r": 20, "t": 90, "b": 50},
                                     legend={"y": 1.12}))
    title_fonts(figure)
    figure.update_xaxes(title_text=x, dtick=1, ticks="outside")
    figure.update_yaxes(ticks="outside")
    figure.update_yaxes(title_text=y, col=1)
    return figure, noises
