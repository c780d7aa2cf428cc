// Where only points of lines and bars are others, plotly moves these (`animate`), quicker than `react` and to the same
// elements; not beside pictures and maps, which it would take off.

const MOVED = new Set(["scatter", "bar"]), AXES = ["x", "y"];
const drawn = new WeakMap(); // by plot

const seconds = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const isColumn = (values) => values instanceof Float32Array;
const columns = (trace, value) => Object.fromEntries(AXES.filter((axis) => isColumn(trace[axis]))
  .map((axis) => [axis, value(trace[axis])]));
const equal = (a, b) => a === b || (isColumn(a) && isColumn(b) && a.length === b.length
  && a.every((one, i) => Object.is(one, b[i])));

function isFixed(trace, letter, layout) {
  const axis = layout[`${letter}axis${(trace[`${letter}axis`] ?? letter).slice(1)}`];
  return axis?.range && !axis.autorange;
}

async function redraw(Plotly, plot, data, layout, config) {
  const empty = (trace) => columns(trace, (all) => !all.length); // hidden
  const look = JSON.stringify([layout, data.map((trace) => ({ ...trace, ...empty(trace) }))]);
  const former = drawn.get(plot);
  drawn.delete(plot);
  const others = (trace, i) => AXES.filter((axis) => !equal(trace[axis], former.data[i][axis]));
  if (former?.look === look && !document.hidden && data.every((trace, i) => MOVED.has(trace.type ?? "scatter")
      && others(trace, i).every((axis) => isFixed(trace, axis, layout)))) {
    // All traces, to keep their order; a page that is hidden meanwhile has no frames.
    const points = { data: data.map((trace) => columns(trace, (all) => all)), traces: [...data.keys()] };
    const moved = data.some((trace, i) => others(trace, i).length) && Plotly.animate(plot, points,
      { transition: { duration: 0 }, frame: { duration: 0, redraw: false }, mode: "immediate" });
    await Promise.race([moved, seconds(1000)]);
  } else {
    await Plotly.react(plot, data, layout, config);
  }
  drawn.set(plot, { look, data: data.map(({ x, y }) => ({ x, y })) });
}
