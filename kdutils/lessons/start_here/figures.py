"""The figure of a first distillation, and the table of what an interval covers."""

import pandas as pd
import plotly.graph_objects as go

from kdutils.lessons.start_here.halves import spreads
from kdutils.plots.base import Plot, Table, band
from kdutils.plots.style import COLOURS, DASHES, base_layout
from kdutils.results import Results


def learning_curves(results: Results) -> Plot:
    """Test accuracy against steps: hard-label and distilled students with 95% bands, the teacher as a line."""
    figure = go.Figure(layout=base_layout(xaxis={"title": {"text": "training steps"}},
                                          yaxis={"title": {"text": "test accuracy (%)"}, "range": [40, 100]}))
    summary = results.summary("accuracy", by=["method", "step"])
    for method in ("hard labels", "distilled"):
        rows = summary[summary["method"] == method]
        band(figure, rows["step"], rows, method, f"student, {method}")
    last = int(summary["step"].max())
    teacher = summary[summary["method"] == "teacher"].iloc[0]
    figure.add_scatter(x=[0, last], y=[teacher["mean"]] * 2, mode="lines", name="teacher",
                       line={"color": COLOURS["teacher"], "dash": DASHES["teacher"]})
    at_end = {"step": last}
    gain = results.paired("accuracy", this=at_end | {"method": "distilled"}, minus=at_end | {"method": "hard labels"})
    more = "more" if gain.mean >= 0 else "less"
    return Plot(figure, f"After {last} steps, students of soft targets are {abs(gain.mean):.1f} points {more} "
                        f"accurate than students of hard labels; bands are 95% intervals over {gain.n} seeds.")


def overlap(results: Results) -> Table:
    """How far results spread over seeds that share images and over seeds that share none, and the ratio."""
    rows = spreads(results)
    frame = pd.DataFrame({
        "what": rows.quantity,
        "seeds that share images": rows.seeds.map("{:.2f}".format),
        "seeds that share none": rows.halves.map("{:.2f}".format),
        "ratio [95%]": [f"{one.ratio:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in rows.itertuples()],
    })
    return Table(frame, note=f"Standard deviations in points; {results.params['cuts']} ways to cut the digits in two, "
                             f"{results.params['seeds']} seeds in each half.")
