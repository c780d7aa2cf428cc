// Words of a figure in the room that they have: lines, names along an axis, legend entries. arrange.js follows this file
// in one module.

const isText = (text) => typeof text === "string" && text.trim() !== "";
const isNumber = (text) => /^[-−+]?[\d.,]+ ?%?$/.test(text);
const LINE = 1.3;       // height of a line, in sizes of its letters
const SMALLEST = 7.5;   // px: numbers in a map that are smaller cannot be read
const SLANT = 40;       // degrees, of names that would not fit side by side

const canvas = globalThis.document?.createElement("canvas").getContext("2d");

function widthOf(text, size, family) {
  canvas.font = `${size}px ${family}`;
  return Math.max(...text.split("<br>").map((line) => canvas.measureText(line.replace(/<[^>]+>/g, "")).width));
}

// The text in lines no longer than `room` px where spaces allow it; text with tags of its own stays as it is.
function wrapped(text, room, { size, family }) {
  if (/<(?!br>)/.test(text)) return text;
  const lines = [""];
  for (const word of text.replaceAll("<br>", " ").split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (!lines.at(-1) || widthOf(longer, size, family) <= room) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.join("<br>");
}

// The same for a text whose own lines mean something.
const folded = (text, room, font) => text.split("<br>").map((line) => wrapped(line, room, font)).join("<br>");

const linesOf = (text) => text.split("<br>").length;
const widest = (texts, { size, family }) => Math.max(0, ...texts.map((text) => widthOf(text, size, family)));

// What stands along an axis: [{value, text}, ...] in its order, its own ticks or the categories of its traces; or null.
function labelsOf(data, layout, name) {
  const axis = layout[name] ?? {}, letter = name[0], id = letter + name.slice(5);
  if (axis.tickvals) return axis.tickvals.map((value, i) => ({ value, text: String(axis.ticktext?.[i] ?? value) }));
  if (axis.tickmode === "array" || axis.showticklabels === false) return null;
  const named = data.filter((trace) => (trace[`${letter}axis`] ?? letter) === id && typeof trace[letter]?.[0] === "string");
  const all = axis.categoryarray ?? [...new Set(named.flatMap((trace) => [...trace[letter]]).filter(isText))];
  return named.length ? all.map((text) => ({ value: text, text })) : null;
}

function relabel(axis, labels, texts) {
  Object.assign(axis, { tickmode: "array", tickvals: labels.map(({ value }) => value), ticktext: texts });
}

// Numbers that would touch the one before them go, on an axis of `length` px whose range is known.
function thin(axis, labels, length, { size, family }) {
  if (!axis.range) return;
  const [low, high] = axis.range, place = axis.type === "log" ? Math.log10 : (value) => value;
  let end = -Infinity;
  const texts = labels.map(({ value, text }) => {
    const at = (place(value) - low) / (high - low) * length, half = widthOf(text, size, family) / 2;
    if (at - half < end + 3) return "";
    end = at + half;
    return text;
  });
  if (texts.includes("")) relabel(axis, labels, texts);
}

// Makes the labels under an axis fit its `length` px: numbers are thinned, names stand in lines or aslant. The height
// that they need beyond one line.
function fitUnder(data, layout, name, length, font) {
  const axis = layout[name] ?? {}, labels = labelsOf(data, layout, name);
  if (axis.visible === false || !labels?.length) return 0;
  const texts = labels.map(({ text }) => text), share = length / texts.length - 6;
  const aslant = (degrees) => (widest(texts, font) * Math.sin(degrees * Math.PI / 180) - 0.2 * font.size);
  if (axis.tickangle) return aslant(Math.abs(axis.tickangle));
  if (texts.every(isNumber)) { thin(axis, labels, length, font); return 0; }
  const lines = texts.map((text) => (widthOf(text, font.size, font.family) > share ? folded(text, share, font) : text));
  if (widest(lines, font) > share + 4) { axis.tickangle = -SLANT; return aslant(SLANT); }
  if (lines.some((line, i) => line !== texts[i])) relabel(axis, labels, lines);
  axis.tickangle = 0;
  return (Math.max(...lines.map(linesOf)) - 1) * LINE * font.size;
}

// Names beside an axis in lines of at most `room` px. {width, height}: what they need; null if there are none.
function fitBeside(data, layout, name, room, font) {
  const axis = layout[name] ?? {}, labels = labelsOf(data, layout, name);
  if (axis.visible === false || !labels?.length || labels.every(({ text }) => isNumber(text))) return null;
  const texts = labels.map(({ text }) => folded(text, room, font));
  if (axis.showticklabels !== false) relabel(axis, labels, texts);
  const lines = texts.reduce((all, text) => all + linesOf(text), 0);
  return { width: widest(texts, font), height: (lines * LINE + 0.5 * texts.length) * font.size };
}

// No more numbers up an axis of `length` px than stand apart: plotly puts five at least.
function fitUp(axis, length, { size }) {
  const most = Math.max(2, Math.floor(length / (LINE * size)));
  const numbers = axis.tickvals?.map((value, i) => ({ value, text: String(axis.ticktext?.[i] ?? value) }));
  if (numbers) {
    const each = Math.ceil(numbers.length / most);
    if (each > 1 && numbers.every(({ text }) => isNumber(text)))
      relabel(axis, numbers, numbers.map(({ text }, i) => (i % each ? "" : text)));
  } else if (axis.dtick > 0 && axis.range && axis.type !== "log") {
    while (Math.abs(axis.range[1] - axis.range[0]) / axis.dtick > most) axis.dtick *= 2;
  } else if (most < 7) axis.nticks ??= most;
}

// Numbers in the cells of a map, by traces of text or by notes, as small as cells of wide x high px ask. Smaller than
// SMALLEST nobody reads them: there they go, and hovering says them.
function fitCells(data, notes, layout, { x, y }, [wide, high]) {
  const cell = (name, length, places) => length / (Math.abs(layout[name]?.range?.[1] - layout[name]?.range?.[0])
    || new Set(places).size);
  const fit = (texts, places, font) => {
    const [across, up] = [cell(x, wide, places.map(([at]) => at)), cell(y, high, places.map(([, at]) => at))];
    const asked = Math.min(font.size, up / LINE, (across - 3) * font.size / widest(texts, font));
    return asked < SMALLEST ? 0 : asked;
  };
  const here = notes.filter(({ xref = "x", yref = "y", text }) => xref === x.replace("axis", "")
    && yref === y.replace("axis", "") && isText(text) && isNumber(text));
  if (here.length > 1) for (const note of here) {
    const size = fit(here.map(({ text }) => text), here.map((one) => [one.x, one.y]), { ...layout.font, ...note.font });
    if (size) note.font = { ...note.font, size };
    else note.visible = false;
  }
  return data.map((trace) => {
    const ours = trace.mode === "text" && (trace.xaxis ?? "x") === x.replace("axis", "") && trace.x && trace.y;
    const numbers = ours && Array.isArray(trace.text) ? trace.text.filter(isText) : [];
    if (!numbers.length || !numbers.every(isNumber)) return trace;
    const size = fit(numbers, Array.from(trace.x, (at, i) => [at, trace.y[i]]), { ...layout.font, ...trace.textfont });
    return size ? { ...trace, textfont: { ...trace.textfont, size } } : { ...trace, visible: false };
  });
}

// The title of an axis in lines of at most `room` px; the height of those beyond the first.
function fitTitle(axis, room, font) {
  if (!isText(axis?.title?.text)) return 0;
  axis.title.text = wrapped(axis.title.text, room, { ...font, size: axis.title.font?.size ?? font.size });
  return (linesOf(axis.title.text) - 1) * LINE * font.size;
}

// Entries of the legend in lines of at most `room` px.
const shortNames = (data, room, font) => data.map((trace) => (
  isText(trace.name) && widthOf(trace.name, font.size, font.family) > room
    ? { ...trace, name: wrapped(trace.name, room, font) } : trace));

const hasEntry = (trace) => trace.visible !== false && trace.showlegend !== false && isText(trace.name)
  && trace.type !== "heatmap" && trace.type !== "image";

// Entries of the legend side by side, each as wide as its name, in close lines: plotly does so with groups of one entry.
// Without groups all would be as wide as the longest, in groups of several they would stand one under another.
function inGroups(data, layout) {
  const named = data.filter((trace) => hasEntry(trace) && trace.legendgroup).map(({ legendgroup }) => legendgroup);
  if (new Set(named).size < named.length) {
    layout.legend.traceorder = "normal";
    return data;
  }
  Object.assign(layout.legend, { traceorder: "grouped", tracegroupgap: 0 });
  return data.map((trace) => (hasEntry(trace) && !trace.legendgroup ? { ...trace, legendgroup: trace.uid } : trace));
}

// Height in px of a horizontal legend in `width` px, as plotly (computeLegendDimensions) lays it out. Traces without
// points count, though plotly leaves them out: they will have some, and the figure shall not jump then.
function legendHeight(data, layout, width) {
  const shown = data.filter(hasEntry);
  if (layout.showlegend === false || shown.length + (layout.showlegend === true) < 2 && !shown.some((t) => t.showlegend))
    return 0;
  const { size, family } = { ...layout.font, ...layout.legend.font }, gap = 5;
  const entries = shown.map(({ name }) => ({ wide: 40 + gap + widthOf(name, size, family),
                                             high: Math.max(16, linesOf(name) * size * LINE) + 3 }));
  if (layout.legend.traceorder === "grouped") return inRows(entries, width) + 2 * gap;
  if (sum(entries.map(({ wide }) => wide)) - gap < width) return Math.max(...entries.map(({ high }) => high)) + 2 * gap;
  const wide = Math.max(...entries.map((entry) => entry.wide));
  return inRows(entries.map(({ high }) => ({ wide, high })), width + gap) + 2 * gap;
}

// Height of boxes {wide, high} side by side, in as many rows of `width` px as they need.
function inRows(boxes, width) {
  let at = 0, row = 0, total = 0;
  for (const { wide, high } of boxes) {
    if (at > 0 && at + wide > width) { total += row; at = row = 0; }
    at += wide;
    row = Math.max(row, high);
  }
  return total + row;
}
