// The browser's half of LiveFigure (live_figure.py). What is drawn lives in Python; this file only draws it, and
// hear.js, words.js, arrange.js and redraw.js, which stand before it in the same module, keep it in touch, fit and draw it.
//
// The model's state holds a whole frame (`first`, `numbers`), so that a view shows something before the kernel answers:
// it may be busy with the cells below. Then
//
//   browser -> kernel   {kind: "opened"}          a view is ready: send everything, then all that changes
//                       {kind: "drawn", number}   the frame is on the screen: send the next
//   kernel -> browser   {kind: "frame", number, spec?, layout?, traces?, reading?, parts} + float32
//       spec      {data, layout}: start anew; comes with every column
//       layout    a patch of the layout; traces: a patch per trace uid
//       parts     [[uid, axis, "set" | "append", count], ...], in the order of the numbers

const SHARED = "__kdutils_plotly__"; // one promise for all figures of the page
const PATIENCE = 2_000; // ms without an answer until a reader is told
const BURST = 300; // ms of drawing that may go on without a rest: a control's own frame and its answer's
const CARD = 440; // px: a panel on the page is no higher, where its words allow
const LEAST = 210; // px: a figure is no lower; one that is not wide, whose legend has more lines, a third higher

// ---- plotly.js, once per page -------------------------------------------------------------------------------------

async function load(model) {
  const library = await model.widget_manager.get_model(model.get("library"));
  const unzipped = new Blob([library.get("source")]).stream().pipeThrough(new DecompressionStream("gzip"));
  const source = await new Response(unzipped).text();
  const before = globalThis.Plotly; // the bundle puts itself there; JupyterLab's own plotly may live there already
  const url = URL.createObjectURL(new Blob(
    ["const module = {exports: {}}, exports = module.exports;\n", source, "\n;export default module.exports;"],
    { type: "text/javascript" }));
  try {
    return (await import(url)).default;
  } finally {
    URL.revokeObjectURL(url);
    if (before) globalThis.Plotly = before;
  }
}

async function plotly(model) {
  const promise = (globalThis[SHARED] ||= load(model));
  try {
    return await promise;
  } catch (error) {
    if (globalThis[SHARED] === promise) delete globalThis[SHARED]; // the next figure tries again
    throw error;
  }
}

// ---- data and look ------------------------------------------------------------------------------------------------

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function merge(target, patch) {
  for (const [key, value] of Object.entries(patch)) {
    if (isObject(value) && isObject(target[key])) merge(target[key], value);
    else target[key] = value;
  }
}

function joined(old, more) {
  const all = new Float32Array(old.length + more.length);
  all.set(old);
  all.set(more, old.length);
  return all;
}

// What the kernel wants shown. Traces are replaced, not changed: plotly compares identities.
class Picture {
  data = null;
  layout = {};

  take(frame, buffer) {
    if (frame.spec) ({ data: this.data, layout: this.layout } = frame.spec);
    if (!this.data) return false; // a frame for an older view: ours starts with a spec
    if (frame.layout) merge(this.layout, frame.layout);
    const place = new Map(this.data.map((trace, index) => [trace.uid, index]));
    const fresh = new Set();
    const change = (uid) => {
      const index = place.get(uid);
      if (!fresh.has(uid)) { this.data[index] = { ...this.data[index] }; fresh.add(uid); }
      return this.data[index];
    };
    for (const [uid, patch] of Object.entries(frame.traces ?? {})) {
      const trace = change(uid);
      for (const key of Object.keys(patch)) if (isObject(trace[key])) trace[key] = structuredClone(trace[key]);
      merge(trace, patch);
    }
    // The buffer may start anywhere in a larger one: copy, so that float32 is aligned.
    const { buffer: bytes, byteOffset, byteLength } = buffer;
    const numbers = new Float32Array(bytes.slice(byteOffset, byteOffset + byteLength));
    let from = 0;
    for (const [uid, axis, how, count] of frame.parts) {
      const trace = change(uid);
      const part = numbers.slice(from, from += count);
      trace[axis] = how === "append" ? joined(trace[axis] ?? [], part) : part;
    }
    return true;
  }
}

// A picture as the state of its model: a whole frame, and the numbers of its columns.
function whole({ data, layout }, reading) {
  const parts = [], columns = [];
  const bare = data.map((trace) => {
    const rest = { ...trace };
    for (const axis of ["x", "y", "z"]) {
      if (!(trace[axis] instanceof Float32Array)) continue;
      parts.push([trace.uid, axis, "set", trace[axis].length]);
      columns.push(trace[axis]);
      delete rest[axis];
    }
    return rest;
  });
  const numbers = columns.reduce((all, more) => joined(all, more), new Float32Array());
  return { first: { spec: { data: bare, layout }, reading, parts }, numbers: new DataView(numbers.buffer) };
}

// JupyterLab's colours, light or dark, wherever the figure does not choose its own.
function themed(layout) {
  const style = getComputedStyle(document.body);
  const css = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  const ink = css("--jp-ui-font-color1", "#212121");
  const line = css("--jp-border-color2", "#d6d6d6");
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: css("--jp-border-color1", "#bdbdbd") };
  const look = structuredClone(layout);
  const prefer = (target, values) => { for (const key in values) target[key] ??= values[key]; };
  prefer(look, { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true });
  prefer((look.font ??= {}), { color: ink, family: css("--jp-ui-font-family", "system-ui, sans-serif"), size: 12 });
  prefer((look.legend ??= {}), { bgcolor: "rgba(0,0,0,0)" });
  prefer((look.hoverlabel ??= {}), { bgcolor: css("--jp-layout-color1", "#fff"), bordercolor: line });
  prefer((look.hoverlabel.font ??= {}), { color: ink });
  prefer((look.modebar ??= {}), { bgcolor: "rgba(0,0,0,0)", color: css("--jp-ui-font-color3", "#9e9e9e"),
                                  activecolor: ink });
  for (const name of new Set(["xaxis", "yaxis", ...Object.keys(look)])) {
    if (/^[xy]axis\d*$/.test(name)) prefer((look[name] ??= {}), axis);
  }
  return look;
}

const HERE = -1; // a drawing that no kernel asked for: the first one, another width, other colours

// ---- the view -----------------------------------------------------------------------------------------------------

// The next repaint; a hidden tab has none, so not longer than 250 ms.
const repaint = () => Promise.race([new Promise(requestAnimationFrame), seconds(250)]);

// A moment in which the page has nothing else to do, or the end of its patience.
const idle = () => new Promise((resolve) => (globalThis.requestIdleCallback ?? setTimeout)(resolve, { timeout: 2500 }));

async function render({ model, el }) {
  const closed = new AbortController();
  el.classList.add("kd-figure"); // here and not by the kernel, whose message a page that is slow to load would drop
  const plot = document.createElement("div");
  plot.className = "kd-plot";
  plot.setAttribute("role", "figure"); // not img: its buttons would be hidden from a screen reader
  plot.setAttribute("aria-label", "A figure that is being loaded");
  plot.textContent = "Loading the figure …";
  const hint = document.createElement("div");
  hint.className = "kd-hint";
  hint.hidden = true;
  hint.textContent = "Waiting for the kernel: if it is busy, this panel answers when it is free; "
    + "if it was restarted, run this cell again.";
  el.append(plot, hint);
  const slow = setTimeout(() => { hint.hidden = false; }, PATIENCE);

  const picture = new Picture();
  let Plotly = null, drawing = false, due = null; // due: number of the newest frame that is not on the screen, or HERE
  let spare = BURST, since = performance.now(); // ms of drawing that are left just now, and when that was counted

  async function draw() {
    if (drawing || !Plotly) return;
    drawing = true;
    plot.dataset.busy = "true";
    while (due !== null && !closed.signal.aborted) {
      while (plot._dragging && !closed.signal.aborted) await repaint(); // a zoom under way would be lost
      // JupyterLab takes cells out of the page when they are out of sight: plotly measures nothing there and draws NaN.
      while (!el.isConnected && !closed.signal.aborted) await seconds(100);
      if (closed.signal.aborted) break;
      const number = due;
      due = null;
      let took = 0, error = null;
      try {
        const start = performance.now();
        await fitted();
        took = performance.now() - start;
        label(number);
      } catch (problem) {
        error = String(problem);
        console.error("kdutils: the figure could not be drawn:", problem);
      }
      await repaint();
      // In the long run at most half of the time goes into drawing: the page stays usable.
      spare = Math.min(BURST, spare + performance.now() - since - 2 * took);
      since = performance.now();
      if (spare < 0) await seconds(-spare);
      if (!closed.signal.aborted && number !== HERE) model.send({ kind: "drawn", number, ...(error && { error }) });
    }
    drawing = false;
    plot.dataset.busy = "false";
  }

  // A drawing in the room of this moment. A legend that took more lines than were foreseen is drawn again with its true
  // height before the page is painted: nobody sees it over a title.
  async function fitted() {
    const space = room();
    drawn = JSON.stringify(space);
    for (let tries = 0; tries < 3; tries++) {
      const known = legend.of === drawn ? legend.height : undefined;
      const { data, layout, legend: foreseen } = arrange(picture.data, themed(picture.layout), { ...space, legend: known });
      await redraw(Plotly, plot, data, layout, model.get("config"));
      const box = plot._fullLayout?.legend;
      if (foreseen === undefined || box?.orientation !== "h" || box._height < foreseen + 3) return;
      legend = { of: drawn, height: box._height };
    }
  }

  // A canvas or a picture is opaque: tests read these, as they are on the screen.
  function label(number) {
    if (number !== HERE) plot.dataset.seq = number;
    plot.dataset.drawn = drawn;
    plot.dataset.points = picture.data.map((trace) => Math.max(trace.x?.length ?? 0, trace.y?.length ?? 0)).join();
    plot.dataset.last = picture.data.map((trace) => trace.y?.at?.(-1) ?? "").join();
  }

  function show(frame, buffer, number) {
    if (!picture.take(frame, buffer)) return;
    if (frame.reading) plot.setAttribute("aria-label", frame.reading);
    due = number;
    draw();
  }

  function listen(message, buffers) {
    if (message.kind !== "frame") return;
    clearTimeout(slow);
    hint.hidden = true;
    show(message, buffers[0], message.number);
  }

  // ---- the room that the page, or the stage, has for the figure

  const card = () => el.closest(".kd-panel");
  let used = { width: 0, words: 0 }, drawn = ""; // the most px that a card of this width has needed for words
  let legend = {}; // the height of the legend where it was more than foreseen, and in which room

  function room() {
    const panel = card(), onStage = Boolean(panel?.classList.contains("kd-stage"));
    const page = panel?.clientWidth || el.clientWidth || DESIGN;
    const tall = new Set(subplotsOf(picture.data, picture.layout).map(({ up }) => up.join())).size > 1;
    panel?.classList.toggle("kd-beside", !onStage && tall && page >= NARROW);
    const space = { width: el.clientWidth || DESIGN, stage: onStage, stack: !onStage && page < NARROW };
    if (onStage) {
      space.scale = parseFloat(getComputedStyle(el).fontSize) / TYPE;
      space.height = Math.max(120, el.clientHeight - hint.offsetHeight);
    } else if (panel && !space.stack) {
      const high = (part) => panel.querySelector(part)?.offsetHeight ?? 0;
      const words = tall ? high(".kd-head") + high(".kd-formula") + high(".kd-reading") + hint.offsetHeight + 24
        : Math.ceil(panel.getBoundingClientRect().height - plot.getBoundingClientRect().height);
      if (used.width !== page) used = { width: page, words: 0 };
      used.words = Math.max(used.words, words);
      const least = page < 900 ? 4 / 3 * LEAST : LEAST;
      space.height = Math.min(picture.layout.height ?? 400, Math.max(least, CARD - used.words));
    }
    return space;
  }

  const again = () => { if (picture.data && due === null) { due = HERE; draw(); } };
  const theme = new MutationObserver(again);
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  // Also after a drawing while the cell was out of sight, which has no width.
  const size = new ResizeObserver(() => {
    // Words beside it may leave it no width in a card that is narrow now: the card is asked whether it is in sight.
    if (!(card() ?? el).clientWidth || !plot.dataset.points) return;
    if (JSON.stringify(room()) !== drawn) again();
  });
  size.observe(el);
  model.on("msg:custom", listen);

  // JupyterLab saves the state of widgets with the page: what is drawn now, and not what was at the start.
  function keep(real) {
    const state = real.get_state;
    real.get_state = (...asked) => ({ ...state.apply(real, asked), ...(picture.data && whole(picture, plot.ariaLabel)) });
    if (real.comm) return;
    clearTimeout(slow); // a page that was saved and is opened again: nobody will answer
    hint.hidden = true;
  }

  // Other widgets of the page are loaded first: plotly.js keeps it busy for a second.
  idle().then(() => Promise.all([plotly(model), hear(model)])).then(([library, real]) => {
    if (closed.signal.aborted) return;
    keep(real);
    Plotly = library;
    plot.textContent = "";
    const first = structuredClone(model.get("first"));
    if (first?.spec) show(first, model.get("numbers"), HERE);
    model.send({ kind: "opened" });
  }).catch((error) => {
    clearTimeout(slow);
    plot.textContent = `The figure could not be loaded: ${error.message}. Reload the page or run the cell again.`;
    console.error("kdutils: plotly.js could not be loaded:", error);
  });

  return () => {
    closed.abort();
    clearTimeout(slow);
    theme.disconnect();
    size.disconnect();
    model.off("msg:custom", listen);
    // Plotly asks for what a trace may leave behind by a selector of its uid, and ours have spaces and apostrophes.
    (plot._fullData ?? []).forEach((trace, index) => { trace.uid = `t${index}`; });
    if (Plotly) Plotly.purge(plot);
  };
}

export default { render };
