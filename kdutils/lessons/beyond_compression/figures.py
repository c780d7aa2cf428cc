"""The figures and tables of notebook 06."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kdutils.datasets import wrong_share
from kdutils.errors import one_of
from kdutils.lessons.beyond_compression.fashion import RANKINGS
from kdutils.objectives import METHODS
from kdutils.plots.base import Plot, Table, intervals
from kdutils.plots.style import COLOURS, base_layout, title_fonts
from kdutils.results import Effect, Results

# A colour, a marker and a dash for each kind of thing that is matched.
LOOKS = {"answers": (COLOURS["distilled"], "circle", "solid"), "boundary": ("#E69F00", "star", "dashdot"),
         "features": ("#56B4E9", "square", "dash"), "relations": ("#7A5CE0", "triangle-up", "longdash"),
         "together": ("#CC79A7", "diamond", "dot")}
PARTS = {"few-shot": "few clean images", "equal gradients": "few clean images, every term as strong as the labels",
         "full": "all clean images", "noise race": "wrong labels", "imbalance race": "rare classes",
         "clean": "clean", "public weights": "clean, weights of public codes", "noise": "wrong labels",
         "imbalance": "rare classes"}
# Beside the nine in the linear probe: what their gain is compared with.
PROBED = {"teacher": (COLOURS["teacher"], "square"), "untrained": (COLOURS["other"], "circle-open"),
          "pixels": (COLOURS["other"], "x")}
# The arms of the noise curves: name in the results, on the page, colour, marker.
NOISE_ARMS = (("hard labels", "labels, trained to the end", COLOURS["hard labels"], "diamond"),
              ("stopped labels", "labels, stopped early (the control)", "#56B4E9", "x"),
              ("KD memorising", "KD, teacher trained to the end", COLOURS["other"], "circle-open"),
              ("KD stopped", "KD, teacher stopped early", COLOURS["distilled"], "circle"))
RARE_ARMS = (("hard labels", "labels", COLOURS["hard labels"], "diamond"),
             ("KD", "KD", COLOURS["distilled"], "circle"),
             ("KD adjusted", "KD, adjusted teacher", "#E69F00", "triangle-up"),
             ("hard adjusted", "labels, answers adjusted (the control)", "#56B4E9", "x"),
             ("hard balanced", "labels, as many balanced images", COLOURS["other"], "circle-open"))


def gains(results: Results, part: str = "few-shot", metric: str = "accuracy") -> Plot:
    """What each of the nine methods gains over hard labels in one race: a dot and its interval, by kind."""
    one_of("part", part, PARTS)
    effects = method_gains(results, part, metric)
    figure = go.Figure(layout=base_layout(height=400, margin={"l": 80}, xaxis={
        "title": {"text": f"{'accuracy' if metric == 'accuracy' else metric} less that of hard labels (points)"}},
        yaxis={"autorange": "reversed", "categoryorder": "array", "categoryarray": list(METHODS)}))
    if not effects:
        return Plot(figure, "This race has not been run.")
    figure.add_vline(x=0, line={"color": COLOURS["hard labels"], "dash": "dot", "width": 2})
    for group, (colour, symbol, _) in LOOKS.items():
        mine = {name: effect for name, effect in effects.items() if METHODS[name].group == group}
        if not mine:
            continue
        bars = np.ravel([[e.low, e.high, np.nan] for e in mine.values()])
        figure.add_scatter(x=bars, y=np.repeat(list(mine), 3), mode="lines", line={"color": colour, "width": 2},
                           showlegend=False, hoverinfo="skip")
        figure.add_scatter(x=[e.mean for e in mine.values()], y=list(mine), mode="markers", name=group,
                           marker={"color": colour, "symbol": symbol, "size": 11},
                           hovertemplate="%{y}: %{x:+.1f}<extra></extra>")
    ordered = sorted(effects.items(), key=lambda item: -item[1].mean)
    clear = [name for name, e in ordered if e.low > 0]
    worse = [name for name, e in ordered if e.high < 0]
    words = ", ".join(f"{name} {e.mean:+.1f}" for name, e in ordered)
    title = PARTS[part][0].upper() + PARTS[part][1:]
    return Plot(figure, f"{title}, gains over hard labels: {words}. The whole interval lies above zero for "
                        f"{_named(clear)}, below it for {_named(worse)}. Intervals: 95% over "
                        f"{ordered[0][1].n} seeds.")


def method_gains(results: Results, part: str, metric: str = "accuracy") -> dict[str, Effect]:
    """{method: paired gain over hard labels}, for the methods that ran in this part."""
    rows = results.where(part=part)
    there = set(rows.dropna(subset=[metric])["method"]) if metric in rows else set()
    return {name: results.paired(metric, {"part": part, "method": name}, {"part": part, "method": "hard labels"})
            for name in METHODS if name in there and "hard labels" in there}


def two_rules(results: Results) -> Plot:
    """The few-shot race twice: weights of public codes, and every term as strong as the labels at the start."""
    sides = [method_gains(results, part) for part in ("few-shot", "equal gradients")]
    figure = go.Figure(layout=base_layout(height=420, margin={"l": 80, "t": 20}, xaxis={
        "tickvals": [0, 1], "ticktext": ["weights of public codes", "equal gradients"], "range": [-0.2, 1.35]},
        yaxis={"title": {"text": "gain over hard labels (points)"}}))
    if not all(sides):
        return Plot(figure, "The race has not been run under both rules.")
    for name, method in METHODS.items():
        colour, symbol, dash = LOOKS[method.group]
        figure.add_scatter(x=[0, 1], y=[side[name].mean for side in sides], mode="lines+markers", name=name,
                           showlegend=False, line={"color": colour, "dash": dash},
                           marker={"symbol": symbol, "size": 9, "color": colour},
                           hovertemplate=name + ": %{y:+.1f}<extra></extra>")
    means = [[effect.mean for effect in side.values()] for side in sides]
    tall = max(map(max, means)) - min(map(min, means))
    labels = _apart({name: effect.mean for name, effect in sides[1].items()}, 0.075 * tall)     # a line of text
    for name, y in labels.items():
        colour = LOOKS[METHODS[name].group][0]
        figure.add_scatter(x=[1, 1.1], y=[sides[1][name].mean, y], mode="lines", showlegend=False, hoverinfo="skip",
                           line={"color": colour, "width": 1})
        figure.add_annotation(x=1.11, y=y, text=name, showarrow=False, xanchor="left", font={"color": colour})
    orders = [", ".join(sorted(side, key=lambda name, side=side: -side[name].mean)) for side in sides]
    return Plot(figure, f"The order of the methods, best first, with the weights of public codes: {orders[0]}; with "
                        f"equal gradients at the start: {orders[1]}. Only the weights differ.")


def noise_curves(results: Results) -> Plot:
    """Accuracy by the share of labels drawn anew: with and without a teacher, stopped early or not."""
    rows = results.where(part="noise")
    figure = go.Figure(layout=base_layout(height=420, yaxis={"title": {"text": "test accuracy (%)"}},
                                          xaxis={"title": {"text": "labels drawn anew (%)"}}))
    rates = sorted(rows["noise"].dropna().unique()) if len(rows) else []
    if not rates:
        return Plot(figure, "No labels have been made wrong yet.")
    words = []
    for i, (arm, name, colour, symbol) in enumerate(NOISE_ARMS):
        effects = [results.mean("accuracy", part="noise", method=arm, noise=rate) for rate in rates]
        intervals(figure, [100 * rate + 0.6 * (i - 1.5) for rate in rates], effects, name, colour, symbol)
        words.append(f"{name} {effects[0].mean:.1f} to {effects[-1].mean:.1f}")
    wrong = 100 * wrong_share(rates[-1], 10)
    return Plot(figure, f"Accuracy from {100 * rates[0]:g}% to {100 * rates[-1]:g}% of the labels drawn anew (then "
                        f"{wrong:.0f}% are wrong): {'; '.join(words)}. Intervals: 95% over {effects[0].n} seeds.")


def rare_classes(results: Results, metric: str = "balanced") -> Plot:
    """Balanced accuracy, or the recall of the rarest or most frequent classes, by profile of the class counts."""
    names = {"balanced": "balanced accuracy (%)", "rare": "recall of the three rarest classes (%)",
             "frequent": "recall of the three most frequent classes (%)"}
    one_of("metric", metric, names)
    rows = results.where(part="imbalance")
    profiles = list(dict.fromkeys(rows["profile"])) if len(rows) else []
    totals = [int(rows[rows["profile"] == profile]["images"].iloc[0]) for profile in profiles]
    figure = go.Figure(layout=base_layout(height=420, yaxis={"title": {"text": names[metric]}}, xaxis={
        "tickvals": list(range(len(profiles))), "title": {"text": "profile, and images in all"},
        "ticktext": [f"{profile}<br>{total}" for profile, total in zip(profiles, totals, strict=True)]}))
    if not profiles:
        return Plot(figure, "No class has been made rare yet.")
    words = []
    for i, (arm, name, colour, symbol) in enumerate(RARE_ARMS):
        effects = [results.mean(metric, part="imbalance", method=arm, profile=profile) for profile in profiles]
        intervals(figure, [k + 0.06 * (i - 2) for k in range(len(profiles))], effects, name, colour, symbol, line=False)
        words.append(f"{name} {effects[0].mean:.1f}")
    return Plot(figure, f"{names[metric][0].upper()}{names[metric][1:-4]} at {profiles[0]}, the most skewed profile: "
                        f"{', '.join(words)} percent. Intervals: 95% over {effects[0].n} seeds.")


def gap(results: Results) -> Plot:
    """What small students gain from teachers of three sizes, by method."""
    rows = results.where(part="gap")
    sizes = list(dict.fromkeys(rows["teacher_size"])) if len(rows) else []
    figure = go.Figure(layout=base_layout(height=380, xaxis={
        "title": {"text": "channels of the teacher"}, "tickvals": list(range(len(sizes))), "ticktext": sizes},
        yaxis={"title": {"text": "gain over hard labels (points)"}}))
    if not sizes:
        return Plot(figure, "No teachers of other sizes have been trained.")
    figure.add_hline(y=0, line={"color": COLOURS["hard labels"], "dash": "dot", "width": 1.5})
    hard, words = {"part": "gap", "method": "hard labels", "teacher_size": sizes[0]}, []
    ran = rows.dropna(subset=["accuracy"])
    names = [name for name in METHODS if set(ran[ran["method"] == name]["teacher_size"]) == set(sizes)]
    for i, name in enumerate(names):
        effects = [results.paired("accuracy", {"part": "gap", "method": name, "teacher_size": size}, hard)
                   for size in sizes]
        colour, symbol, _ = LOOKS[METHODS[name].group]
        intervals(figure, [k + 0.05 * (i - 2) for k in range(len(sizes))], effects, name, colour, symbol)
        words.append(f"{name} " + ", ".join(f"{e.mean:+.1f}" for e in effects))
    return Plot(figure, f"Students of 4-8 channels, teachers of {', '.join(sizes)}; gains: {'; '.join(words)}. FSP is "
                        f"missing: it refuses networks of unequal widths. Intervals: 95% over {effects[0].n} seeds.")


def mimicry(results: Results) -> Plot:
    """A row per training loss, a column per measure: how much of the distance that labels leave is still there."""
    rows = results.where(part="mimicry")
    figure = go.Figure(layout=base_layout(height=430, margin={"l": 90, "b": 60}))
    if rows.empty:
        return Plot(figure, "The mimicry matrix has not been measured.")
    table = rows.groupby(["method", "measure"], sort=False)["left"].mean().mul(100).unstack(sort=False)
    trained = [name for name in METHODS if name in table.index]
    table = table.loc[trained, [name for name in METHODS if name in table.columns]]
    measures, places = list(table.columns), range(len(table.columns))
    figure.add_heatmap(z=np.log2(table.to_numpy() / 100), zmin=-3, zmax=3, showscale=False, hoverinfo="skip",
                       colorscale=[[0, "#56B4E9"], [0.5, "#ffffff"], [1, "#E69F00"]])
    for i, name in enumerate(trained):
        for k, measure in enumerate(measures):
            figure.add_annotation(x=k, y=i, text=f"{table.loc[name, measure]:.0f}", showarrow=False,
                                  font={"color": "#000000"})
    figure.update_layout(xaxis={"title": {"text": "measured by"}, "tickvals": list(places), "ticktext": measures},
                         yaxis={"title": {"text": "trained with"}, "autorange": "reversed",
                                "tickvals": list(range(len(trained))), "ticktext": trained}, margin={"t": 30})
    own = {name: table.loc[name, name] for name in table.columns if name in table.index and name != "DML"}
    best = ", ".join(f"{name} {value:.0f}" for name, value in own.items())
    return Plot(figure, "Distance to the teacher on test images, in percent of what a network of hard labels has. By "
                        f"its own measure each loss leaves: {best}. Off the diagonal blue is closer and orange is "
                        "farther than hard labels. DML and ONE have no teacher.")


def beyond_accuracy(results: Results, part: str = "few-shot") -> Table:
    """What the nine do for calibration and robustness, paired against hard labels."""
    rows = []
    columns = {"accuracy": "accuracy", "ece": "calibration error", "shifted": "accuracy, moved by a pixel",
               "noisy": "accuracy, with pixel noise"}
    hard = {"part": part, "method": "hard labels"}
    for method in METHODS:
        try:
            rows.append({"method": method} | {name: results.paired(metric, hard | {"method": method}, hard).span
                                              for metric, name in columns.items()})
        except ValueError:
            continue      # it did not run
    base = {"method": "hard labels, percent"} | {name: f"{results.mean(metric, **hard).mean:.1f}"
                                                 for metric, name in columns.items()}
    return Table(pd.DataFrame([base, *rows]))


def probe(results: Results) -> Plot:
    """A linear probe on classes that no network saw: each method's features less those of hard labels, two sizes."""
    sizes = [int(n) for n in results.table["images"].unique()] if len(results.table) else []
    figure = make_subplots(rows=1, cols=max(1, len(sizes)), shared_yaxes=True, horizontal_spacing=0.04,
                           subplot_titles=[f"students of {n} images" for n in sizes])
    figure.update_layout(base_layout(height=440, margin={"l": 90, "t": 60}, showlegend=False))
    title_fonts(figure)
    if not sizes:
        return Plot(figure, "The linear probe has not been run.")
    looks = {name: LOOKS[method.group][:2] for name, method in METHODS.items()} | PROBED
    words = []
    for column, n in enumerate(sizes, 1):
        hard = {"images": n, "method": "hard labels"}
        effects = {name: results.paired("accuracy", hard | {"method": name}, hard) for name in looks}
        for name, effect in effects.items():
            colour, symbol = looks[name]
            figure.add_scatter(x=[effect.low, effect.high], y=[name] * 2, mode="lines", hoverinfo="skip", row=1,
                               col=column, line={"color": colour, "width": 2})
            figure.add_scatter(x=[effect.mean], y=[name], mode="markers", row=1, col=column, hovertemplate="%{y}: "
                               "%{x:+.1f}<extra></extra>", marker={"color": colour, "symbol": symbol, "size": 10})
        figure.add_vline(x=0, line={"color": COLOURS["hard labels"], "dash": "dot", "width": 2}, row=1, col=column)
        clear = [name for name in METHODS if effects[name].low > 0 or effects[name].high < 0]
        words.append(f"{n} images: hard labels {results.mean('accuracy', **hard).mean:.1f}%, then "
                     + ", ".join(f"{name} {effect.mean:+.1f}" for name, effect in effects.items())
                     + f"; of the nine clear of zero: {_named(clear)}")
    figure.update_xaxes(title_text="probe's accuracy less that of hard labels (points)")
    figure.update_yaxes(autorange="reversed")
    return Plot(figure, f"A linear layer on frozen features, for five digits that no network saw. {'. '.join(words)}. "
                        f"Intervals: 95% over {effects['KD'].n} seeds.")


def rankings(fashion: Results) -> Table:
    """Three public rankings of these methods beside ours: gains over the student alone, and the place of each."""
    names = [name for name in METHODS if name != "ONE"]
    rows = []
    for source, networks, alone, found in RANKINGS:
        theirs = {name: value - alone for name, value in found.items()}
        rows.append({"who": source, "networks": networks} | _placed(theirs, names))
    for part in ("clean", "public weights", "noise", "imbalance"):
        metric = "balanced" if part == "imbalance" else "accuracy"
        effects = method_gains(fashion, part, metric)
        if effects:
            cells = {name: f"{effects[name].mean:+.1f} ± {effects[name].mean - effects[name].low:.1f}"
                     for name in names if name in effects}
            places = sorted(effects, key=lambda name: -effects[name].mean)
            rows.append({"who": f"ours, {PARTS[part]}", "networks": "conv8-16, 14x14"}
                        | {name: f"{cell} ({places.index(name) + 1})" for name, cell in cells.items()})
    return Table(pd.DataFrame(rows).fillna("-"), {"who": "min-width: 11em"})


def order_of(gains_by_name: dict[str, float]) -> list[str]:
    """Names by their gain, best first."""
    return sorted(gains_by_name, key=lambda name: -gains_by_name[name])


def _apart(places: dict[str, float], least: float) -> dict[str, float]:
    """Heights for labels, in the order of their places, each at least `least` below the one before, none far off."""
    found: dict[str, float] = {}
    for name in order_of(places):
        found[name] = min([places[name], *(y - least for y in found.values())])
    lift = sum(places[name] - y for name, y in found.items()) / len(found)
    return {name: y + lift for name, y in found.items()}


def _placed(found: dict[str, float], names: list[str]) -> dict[str, str]:
    places = order_of(found)
    return {name: f"{found[name]:+.1f} ({places.index(name) + 1})" for name in names if name in found}


def _named(names: list[str]) -> str:
    return ", ".join(names) or "none"
