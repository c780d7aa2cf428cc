// Where subplots, titles and legend stand in a figure of a given size; live_figure.js follows this file in one module.
//
// Lessons design a figure for a page that is DESIGN px wide. Gaps between subplots hold words, so they keep their size
// while the subplots share what is left; on a narrow page subplots stand one under another; on the stage those of one
// row stand in as many rows as make them largest.

const DESIGN = 1000;
const NARROW = 700;     // px: below it subplots stack
const TYPE = 13;        // px: the text of a figure on a page
const NEAR = 1e-3;      // two places of a figure that are one

const axisOf = (id, letter) => `${letter}axis${(id ?? letter).slice(1)}`;
const same = (a, b) => Math.abs(a - b) < NEAR;
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const isText = (text) => typeof text === "string" && text.trim() !== "";

// ---- words ----------------------------------------------------------------------------------------------------------

const canvas = globalThis.document?.createElement("canvas").getContext("2d");

function widthOf(text, size, family) {
  canvas.font = `${size}px ${family}`;
  return Math.max(...text.split("<br>").map((line) => canvas.measureText(line.replace(/<[^>]+>/g, "")).width));
}

// The text in lines no longer than `room` px where spaces allow it; text with tags of its own stays as it is.
function wrapped(text, room, size, family) {
  if (/<(?!br>)/.test(text)) return text;
  const lines = [""];
  for (const word of text.replaceAll("<br>", " ").split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (!lines.at(-1) || widthOf(longer, size, family) <= room) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.join("<br>");
}

const linesOf = (text) => text.split("<br>").length;

// ---- subplots -------------------------------------------------------------------------------------------------------

// {x, y: names of its axes; across, up: their domains; bare: without ticks and words; square: of one scale;
// name: has words beside its y axis}, in reading order.
function subplotsOf(data, layout) {
  const found = new Map();
  const base = (id, letter) => layout[axisOf(id, letter)]?.overlaying ?? id ?? letter;
  for (const trace of data) {
    const x = axisOf(base(trace.xaxis, "x"), "x"), y = axisOf(base(trace.yaxis, "y"), "y");
    const [first, second] = [layout[x] ?? {}, layout[y] ?? {}];
    found.set(x + y, { x, y, across: first.domain ?? [0, 1], up: second.domain ?? [0, 1],
                       bare: first.visible === false && second.visible === false,
                       square: Boolean(first.scaleanchor || second.scaleanchor), name: isText(second.title?.text) });
  }
  return [...found.values()].sort((a, b) => b.up[1] - a.up[1] || a.across[0] - b.across[0]);
}

const overlap = (a, b) => Math.min(a[1], b[1]) - Math.max(a[0], b[0]) > NEAR;

// Pieces of [0, 1] between the edges of all subplots along one direction; words: between two neighbours, or outside.
function pieces(plots, along, other) {
  const edges = [...new Set([0, 1, ...plots.flatMap((plot) => plot[along])])].sort((a, b) => a - b)
    .filter((edge, i, all) => !i || edge - all[i - 1] > NEAR);
  return edges.slice(1).map((to, i) => {
    const piece = [edges[i], to];
    const words = plots.every((plot) => !overlap(plot[along], piece)) || plots.some((plot) => {
      const after = plots.filter((next) => overlap(plot[other], next[other]) && next[along][0] > plot[along][1] - NEAR);
      const next = Math.min(...after.map((one) => one[along][0]));
      return after.length && piece[0] > plot[along][1] - NEAR && piece[1] < next + NEAR;
    });
    return { from: piece[0], to, words };
  });
}

// From a place in the design to one in `length` px: pieces with words have their size in px, the others share the rest.
function stretch(parts, design, length, scale) {
  const size = (part) => (part.to - part.from) * design * scale;
  const fixed = Math.min(sum(parts.filter((part) => part.words).map(size)), 0.6 * length);
  const words = sum(parts.filter((part) => part.words).map((part) => part.to - part.from)) || 1;
  let at = 0;
  const knots = [[0, 0]];
  for (const part of parts) {
    const share = part.to - part.from;
    at += part.words ? fixed * share / words : (length - fixed) * share / (1 - (fixed ? words : 0));
    knots.push([part.to, at / length]);
  }
  return (place) => {
    const next = Math.max(1, knots.findIndex(([to], i) => i && place <= to + NEAR));
    const [[a, b], [c, d]] = [knots[next - 1], knots[next]];
    return b + (place - a) * (d - b) / (c - a);
  };
}

// ---- rows -----------------------------------------------------------------------------------------------------------

const inOneRow = (plots) => plots.every(({ up }) => same(up[0], plots[0].up[0]) && same(up[1], plots[0].up[1]));

// On a narrow page: one subplot with axes in a row, as many without as have room.
function stacked(plots, width) {
  const rows = [];
  let room = 0;
  for (const plot of plots) {
    const need = plot.bare ? 70 : 330;
    if (room < need) { rows.push([]); room = width; }
    rows.at(-1).push(plot);
    room -= need;
  }
  return rows;
}

// Of all ways to break one row into several, the one whose smallest subplot is largest.
function largest(plots, width, height, scale) {
  const ways = Array.from({ length: 2 ** (plots.length - 1) }, (_, cuts) => {
    const rows = [[plots[0]]];
    plots.slice(1).forEach((plot, i) => { if (cuts >> i & 1) rows.push([plot]); else rows.at(-1).push(plot); });
    return rows;
  });
  const value = (rows) => {
    const high = height / rows.length - 65 * scale;
    return Math.min(...rows.map((row) => {
      const share = sum(row.map(weight)), room = width - 60 * scale * (row.length - 1);
      return Math.min(...row.map((plot) => {
        const wide = room * weight(plot) / share;
        return plot.bare || plot.square ? 1.6 * Math.min(wide, high) : Math.min(wide, 1.5 * high);
      }));
    }));
  };
  return ways.reduce((best, way) => (value(way) > value(best) + 1 ? way : best));
}

const weight = (plot) => plot.across[1] - plot.across[0];

// Boxes in px for rows of subplots; heads: lines of title above each row; height: of all, or undefined for natural.
function boxes(rows, width, height, scale, heads) {
  const bare = rows.map((row) => row.every((plot) => plot.bare));
  const before = rows.map((_, i) => (i ? (heads[i] * 1.3 * TYPE + 4) * scale + (bare[i - 1] ? 12 : 52) * scale : 0));
  const side = (row) => Math.min(120 * scale, (width - 10 * (row.length - 1)) / row.length);
  const asked = rows.map((row, i) => (bare[i] ? side(row) : 190 * scale));
  const natural = sum(asked) + sum(before);
  const total = height ?? natural;
  const pictures = sum(asked.filter((_, i) => bare[i])), others = sum(asked) - pictures;
  const grow = others ? (total - sum(before) - pictures) / others : 1;
  const placed = new Map();
  let top = 0;
  rows.forEach((row, i) => {
    top += before[i];
    const high = bare[i] ? asked[i] : asked[i] * grow;
    const gap = row.some((plot) => !plot.bare) ? 58 * scale : 10;
    const room = width - gap * (row.length - 1), share = sum(row.map(weight));
    let left = 0;
    for (const plot of row) {
      const wide = room * weight(plot) / share;
      placed.set(plot, { across: [left / width, (left + wide) / width], up: [1 - (top + high) / total, 1 - top / total] });
      left += wide + gap;
    }
    top += high;
  });
  return { placed, total };
}

// ---- the whole figure -----------------------------------------------------------------------------------------------

// Every size of text, and of what is drawn, by one factor.
function scaledLayout(layout, scale) {
  for (const [key, value] of Object.entries(layout)) {
    if (value === null || typeof value !== "object") continue;
    if (/font$/.test(key) && value.size) value.size *= scale;
    scaledLayout(value, scale);
  }
}

function scaledTrace(trace, scale) {
  const times = (value) => (typeof value === "number" ? value * scale : value?.map?.((one) => one * scale) ?? value);
  const fresh = { ...trace };
  if (trace.line) fresh.line = { ...trace.line, width: times(trace.line.width ?? 2) };
  if (trace.marker) {
    fresh.marker = { ...trace.marker };
    if (trace.type !== "bar") fresh.marker.size = times(trace.marker.size ?? 6);
  }
  if (trace.textfont?.size) fresh.textfont = { ...trace.textfont, size: times(trace.textfont.size) };
  return fresh;
}

// Height of a horizontal legend in px: plotly gives all entries the width of the longest if they need a second line.
function legendHeight(data, layout, width, scale) {
  const shown = data.filter((trace) => trace.showlegend !== false && trace.visible !== false && isText(trace.name)
    && trace.type !== "heatmap" && trace.type !== "image");
  if (layout.showlegend === false || shown.length + (layout.showlegend === true) < 2 && !shown.some((t) => t.showlegend))
    return 0;
  const size = layout.legend.font?.size ?? layout.font.size;
  const wide = shown.map((trace) => widthOf(trace.name, size, layout.font.family) + 50 + 10 * scale);
  const across = Math.max(1, Math.floor(width / Math.max(...wide)));
  return (sum(wide) <= width ? 1 : Math.ceil(shown.length / across)) * (size * 1.3 + 6) + 6;
}

// The layout (which is changed in place) and the traces for these px. height: undefined lets the figure choose.
// stage: what is one row may become several; stack: subplots stand one under another. legend: its height as it was
// drawn, once that is known.
function arrange(data, layout, { width, height, stage = false, stack = false, scale = 1, legend }) {
  const design = layout.height ?? 400;
  const margin = { l: 60, r: 20, t: 50, b: 50, ...layout.margin };
  if (scale !== 1) {
    scaledLayout(layout, scale);
    data = data.map((trace) => scaledTrace(trace, scale));
    for (const side of ["l", "r", "b"]) margin[side] *= scale;
  }
  const { size, family } = layout.font;
  // Words of an axis close to its ticks: room that they do not need is the figure's.
  for (const [name, axis] of Object.entries(layout))
    if (/^xaxis\d*$/.test(name)) {
      if (isText(axis.title?.text)) axis.title.standoff ??= 4 * scale;
      if (axis.ticktext) axis.automargin ??= "height"; // words under an axis may turn
    }
  margin.b = Math.min(margin.b, 46 * scale);
  const notes = layout.annotations ?? [];
  const plots = subplotsOf(data, layout);
  const axes = plots.flatMap(({ x, y }) => [x, y]);
  if (stack) margin.r = Math.min(margin.r, Math.max(20, width / 4));
  const within = () => width - margin.l - margin.r;

  // Whose title is whose, before anything moves.
  const owner = new Map();
  for (const note of notes) {
    if (note.xref !== "paper" || note.yref !== "paper") continue;
    const plot = plots.find(({ across, up }) => note.x > across[0] - NEAR && note.x < across[1] + NEAR
      && note.y > up[0] - NEAR && note.y < up[1] + NEAR);
    if (plot) owner.set(note, { plot, x: (note.x - plot.across[0]) / weight(plot),
                                y: (note.y - plot.up[0]) / (plot.up[1] - plot.up[0]) });
  }
  const isTitle = (note) => owner.has(note) && same(owner.get(note).y, 1) && isText(note.text);
  const titlesOf = (row) => notes.filter((note) => isTitle(note) && row.includes(owner.get(note).plot));

  const simple = new Set(axes).size === axes.length && plots.length > 0;
  let rows = null;
  if (simple && plots.length > 1 && stage && inOneRow(plots) && plots.length < 8)
    rows = largest(plots, within(), height - 60 * scale, scale);
  else if (simple && plots.length > 1 && stack) rows = stacked(plots, within());
  if (rows?.length === 1 && inOneRow(plots) && rows[0].length === plots.length && !stage) rows = null;
  // Whoever comes to stand at the left edge needs room for its numbers there.
  if (rows) margin.l = Math.max(margin.l, ...rows.map(([first]) => (first.bare ? 0 : first.name ? 68 : 48) * scale));

  const inner = within();

  // Titles in lines that fit; how many lines stand above each row.
  const lift = 4 * scale; // above the topmost number of an axis
  const wrap = (note, room) => {
    note.text = wrapped(note.text, room, note.font?.size ?? size, family);
    note.yshift = lift;
  };
  const inItsRow = (plot, row) => (inner - 58 * scale * (row.length - 1)) * weight(plot) / sum(row.map(weight));
  const across = rows ? null : stretch(pieces(plots, "across", "up"), DESIGN - margin.l - margin.r, inner, 1);
  for (const note of notes.filter(isTitle)) {
    const { plot } = owner.get(note);
    const row = rows?.find((one) => one.includes(plot));
    const wide = row ? inItsRow(plot, row) : inner * (across(plot.across[1]) - across(plot.across[0]));
    const alone = row ? row.length === 1 : plots.filter((one) => same(one.up[1], plot.up[1])).length === 1;
    wrap(note, alone ? inner : wide + 36 * scale);
  }
  const lines = (row) => Math.max(0, ...titlesOf(row).map((note) => linesOf(note.text)));
  const top = rows ? rows[0] : plots.filter(({ up }) => same(up[1], plots[0]?.up[1] ?? 1));
  const titles = lines(top) ? lines(top) * size * 1.3 + 4 + lift : 0;

  // The legend at the top, then the titles.
  const { legend: box } = layout;
  if (!box.orientation) margin.t = layout.margin?.t ?? 100;
  else if ((box.y ?? 1.02) >= 1) {
    const tall = legend ?? legendHeight(data, layout, inner, scale);
    margin.t = 8 * scale + tall + titles + (isText(layout.title?.text) ? 2.2 * size : 0);
    Object.assign(box, isText(layout.title?.text) ? {} : { yref: "container", y: 1, yanchor: "top", x: 0,
                                                           xanchor: "left" });
  }

  let place;
  if (rows) {
    const heads = rows.map(lines);
    const room = height === undefined ? undefined : height - margin.t - margin.b;
    const { placed, total } = boxes(rows, inner, room, scale, heads);
    height ??= total + margin.t + margin.b;
    place = (plot) => placed.get(plot);
  } else {
    height ??= design;
    const up = stretch(pieces(plots, "up", "across"), design - 110, height - margin.t - margin.b, scale);
    place = (plot) => ({ across: plot.across.map(across), up: plot.up.map(up) });
  }
  if (simple) {
    for (const plot of plots) {
      const box = place(plot);
      (layout[plot.x] ??= {}).domain = box.across;
      (layout[plot.y] ??= {}).domain = box.up;
    }
    for (const [note, at] of owner) {
      const box = place(at.plot);
      note.x = box.across[0] + at.x * (box.across[1] - box.across[0]);
      note.y = box.up[0] + at.y * (box.up[1] - box.up[0]);
    }
  }
  return { data, layout: Object.assign(layout, { width, height, margin, autosize: false }) };
}
