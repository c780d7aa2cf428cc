"""A figure of which only points have changed is moved, not laid out anew, and looks the same to the last element."""

from pathlib import Path

import numpy as np
import plotly.offline
import pytest
import quick_panels

import kdutils.live
from kdutils.live.training_panel import TrainingPanel

# Lines, bands and bars of every kind; and one panel beside whose lines lies a map.
LINES = ("TemperatureLab", "ToleranceLab", "OneAnswerPanel", "GaussianTug", "BetweenTheDots", "MethodRace", "GazeLab")
REDRAW = (Path(kdutils.live.__file__).parent / "redraw.js").read_text(encoding="utf-8")
# Each frame drawn by redraw and, beside it, by plotly's own react: which were moved, and where they differ. The second
# of two equal figures has its legend a pixel lower with react: that is left out.
COMPARE = """async (frames) => {
    const plots = ['redraw', 'react'].map(() => {
        const plot = document.createElement('div');
        Object.assign(plot.style, {width: '900px', height: '400px'});
        document.body.append(plot);
        return plot; });
    const written = (node, uid) => node.nodeType !== 1 ? node.textContent : '<' + node.tagName + ' '
        + [...node.attributes].map(({name, value}) => name + '=' + (name === 'style' ? value.split(';')
            .map((one) => one.trim()).filter((one) => one && one !== 'opacity: 1').sort().join(';') : value))
            .filter((one) => one !== 'style=').sort().join(' ').replaceAll(uid, '')
            .replace(/trace[0-9a-f]{6}/g, 'trace') + '>'
            + [...node.childNodes].map((child) => written(child, uid)).join('');
    const look = (plot) => [...plot.querySelectorAll('svg.main-svg')]
        .map((svg) => written(svg, plot._fullLayout._uid)).join('\\n')
        .replace(/(<g class=legend [^>]*translate)[^>]*/g, '$1');
    let moved = false;
    const library = {...Plotly, animate: (...all) => { moved = true; return Plotly.animate(...all); }};
    const data = ({spec, parts, numbers}) => {
        const traces = structuredClone(spec.data), all = Float32Array.from(numbers, (one) => one ?? NaN);
        let from = 0;
        for (const [uid, axis, how, count] of parts) {
            traces.find((trace) => trace.uid === uid)[axis] = all.slice(from, from += count); }
        return traces; };
    const found = [];
    for (const frame of frames) {
        moved = false;
        await redraw(library, plots[0], data(frame), structuredClone(frame.spec.layout), {});
        await Plotly.react(plots[1], data(frame), structuredClone(frame.spec.layout), {});
        const [ours, theirs] = plots.map(look);
        let at = 0;
        while (at < ours.length && ours[at] === theirs[at]) at++;
        const [mine, other] = [ours, theirs].map((all) => all.slice(Math.max(0, at - 90), at + 60));
        found.push([moved, ours === theirs ? '' : `${mine} <-> ${other}`]);
    }
    for (const plot of plots) plot.remove();
    return found; }"""


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page()
    page.add_script_tag(content=plotly.offline.get_plotlyjs())
    page.add_script_tag(content=REDRAW)
    yield page
    page.close()


def frame(panel) -> dict:
    """All that the panel shows now, as it goes to the browser."""
    now = panel.chart.frame(whole=True)
    numbers = [None if np.isnan(one) else float(one) for one in np.frombuffer(now.numbers, np.float32)]
    return {"spec": now.content["spec"], "parts": now.content["parts"], "numbers": numbers}


@pytest.mark.parametrize("case", [case for case in quick_panels.CASES if case.kind.__name__ in LINES], ids=str)
def test_what_is_moved_looks_as_if_it_were_drawn_anew(case, page):
    """Catches a band or a bar that stays behind, an axis that no longer follows, a legend without a curve."""
    panel = case.make()
    frames = [frame(panel)]
    for values in (*list(panel.presets.values())[:3], panel.opened_with):
        panel.set(**values)
        frames.append(frame(panel))
    if isinstance(panel, TrainingPanel):
        for values in list(panel.presets.values())[:2]:
            panel.set(**values)
            panel.run()
            frames.append(frame(panel))
    found = page.evaluate(COMPARE, frames)
    assert not [difference for _, difference in found if difference]


def test_a_lab_whose_control_moves_is_moved(page):
    """Catches a fast way that is never taken."""
    lab = next(case for case in quick_panels.CASES if case.kind.__name__ == "TemperatureLab").make()
    frames = []
    for temperature in (2.0, 4.0, 8.0, 6.0, 3.0):
        lab.set(temperature=temperature)
        lab.run()
        frames.append(frame(lab))
    lab.set(transfer=50)    # its answers are hollow now: traces that were hidden appear
    frames.append(frame(lab))
    moved = [one for one, difference in page.evaluate(COMPARE, frames) if not difference]
    assert moved == [False, True, True, True, True, False]
