// Where subplots, titles and legend stand in a figure of a given size; words.js stands before this file in one module,
// live_figure.js after it.
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

// ---- subplots -------------------------------------------------------------------------------------------------------

// {x, y: names of its axes; across, up: their domains; bare: without ticks and words; picture: bare, and nothing but an
// small image; map: an image that is read beside its neighbour; square: of one scale; name: has words beside its y axis},
// in reading order.
function subplotsOf(data, layout) {
  const found = new Map();
  const base = (id, letter) => layout[axisOf(id, letter)]?.overlaying ?? id ?? letter;
  for (const trace of data) {
    const x = axisOf(base(trace.xaxis, "x"), "x"), y = axisOf(base(trace.yaxis, "y"), "y");
    const [first, second] = [layout[x] ?? {}, layout[y] ?? {}];
    const bare = first.visible === false && second.visible === false;
    const across = first.domain ?? [0, 1], small = across[1] - across[0] < 0.3;
    const image = trace.type === "heatmap" || trace.type === "image" || found.get(x + y)?.map;
    found.set(x + y, { x, y, across, up: second.domain ?? [0, 1], bare,
                       picture: Boolean(bare && image && small), map: Boolean(image), square: Boolean(first.scaleanchor || second.scaleanchor),
                       name: isText(second.title?.text) });
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

// On a narrow page: one subplot in a row, as many small pictures as have room.
function stacked(plots, width) {
  const rows = [];
  let room = 0;
  for (const plot of plots) {
    const need = plot.picture ? 70 : 330;
    if (room < need) { rows.push([]); room = width; }
    rows.at(-1).push(plot);
    room -= need;
  }
  return rows;
}

// Of all ways to break one row into several, the one whose smallest subplot is largest. Maps that are neighbours stay so.
function largest(plots, width, height, scale) {
  const ways = Array.from({ length: 2 ** (plots.length - 1) }, (_, cuts) => {
    const rows = [[plots[0]]];
    plots.slice(1).forEach((plot, i) => { if (cuts >> i & 1) rows.push([plot]); else rows.at(-1).push(plot); });
    return rows;
  }).filter((rows) => rows.slice(1).every((row, i) => !(row[0].map && rows[i].at(-1).map)));
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

// What names at the right of a row leave of `width` px.
const roomOf = (row, width) => width - Math.max(0, ...row.map((plot) => plot.beside ?? 0));

// Boxes in px for rows of subplots; heads: lines of title above each row; under: px that words under each row need
// beyond two lines; high: px that a row needs at least; height: of all, or undefined for natural.
function boxes(rows, width, height, scale, { heads, under, high }) {
  const bare = rows.map((row) => row.every((plot) => plot.bare));
  const before = rows.map((_, i) => (i ? (heads[i] * LINE * TYPE + 4) * scale + (bare[i - 1] ? 12 : 52) * scale
                                         + under[i - 1] : 0));
  const most = Math.max(...rows.map((row, i) => (bare[i] ? row.length : 1)));
  const side = (row) => (row.every((plot) => plot.picture)
    ? Math.min(120 * scale, (width - 10 * (most - 1)) / most) : Math.min(width, 230 * scale));
  const even = height && (height - sum(before)) / rows.length;
  const asked = rows.map((row, i) => (bare[i] ? Math.min(side(row), even ?? Infinity) : Math.max(190 * scale, high[i])));
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
    const room = roomOf(row, width) - gap * (row.length - 1), share = sum(row.map(weight));
    const each = bare[i] && row.every((plot) => plot.picture) ? (width - 10 * (most - 1)) / most : Infinity;
    let left = 0;
    for (const plot of row) {
      const wide = Math.min(room * weight(plot) / share, rows.length > 1 ? each : Infinity);
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

// What a narrow page asks of a figure before its subplots are placed: margins that leave room, names in lines, and names
// beside each subplot that shared those of its neighbour. Each subplot learns how high its names are.
function narrow(data, layout, plots, margin, width) {
  const { font } = layout, left = [];
  for (const plot of plots) {
    const axis = layout[plot.y];
    if (axis?.matches && axis.showticklabels === false && plots.length > 1) {
      const first = layout[axisOf(axis.matches, "y")] ?? {};
      axis.showticklabels = true;
      for (const key of ["tickvals", "ticktext"]) if (first[key]) axis[key] = [...first[key]];
    }
    const names = fitBeside(data, layout, plot.y, 0.36 * width, font);
    if (names) {
      plot.names = names.height;
      const room = names.width + 12 + (plot.name ? 20 : 0);
      if (axis.side === "right") plot.beside = room;
      else left.push(room);
    } else if (axis?.side === "right") plot.beside = 40;
  }
  if (left.length) margin.l = Math.min(margin.l, Math.max(...left));
  margin.r = Math.min(margin.r, 14); // names beside a subplot take of its own row
}

// The layout (which is changed in place) and the traces for these px. height: undefined lets the figure choose.
// stage: what is one row may become several; stack: subplots stand one under another. legend: its height, where it was
// drawn and turned out another than foreseen; returned is the height that a legend above the subplots was given.
function arrange(data, layout, { width, height, stage = false, stack = false, scale = 1, legend }) {
  const design = layout.height ?? 400;
  const margin = { l: 60, r: 20, t: 50, b: 50, ...layout.margin };
  if (scale !== 1) {
    scaledLayout(layout, scale);
    data = data.map((trace) => scaledTrace(trace, scale));
    for (const side of ["l", "r", "b"]) margin[side] *= scale;
  }
  const { font } = layout, { size } = font;
  // Words of an axis close to its ticks: room that they do not need is the figure's.
  for (const [name, axis] of Object.entries(layout)) {
    if (/^[xy]axis\d*$/.test(name) && axis.showticklabels === false && !axis.tickvals) axis.ticks = "";
    if (/^xaxis\d*$/.test(name)) {
      if (isText(axis.title?.text)) axis.title.standoff ??= 4 * scale;
      if (axis.ticktext) axis.automargin ??= "height"; // words under an axis may turn
    }
  }
  margin.b = Math.min(margin.b, 46 * scale);
  const notes = layout.annotations ?? [];
  const plots = subplotsOf(data, layout);
  const axes = plots.flatMap(({ x, y }) => [x, y]);
  if (stack) {
    data = shortNames(data, width - 70, font);
    narrow(data, layout, plots, margin, width);
  }
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
    note.text = wrapped(note.text, room, { ...font, size: note.font?.size ?? size });
    note.yshift = lift;
  };
  const inItsRow = (plot, row) => (roomOf(row, inner) - 58 * scale * (row.length - 1)) * weight(plot)
    / sum(row.map(weight));
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
  const titles = lines(top) ? lines(top) * size * LINE + 4 + lift : 0;

  // Words under the axes, now that these have their lengths.
  const wideOf = (plot) => {
    const row = rows?.find((one) => one.includes(plot));
    return row ? inItsRow(plot, row) : inner * (across(plot.across[1]) - across(plot.across[0]));
  };
  // What a title may take beside its axis: to the edge of the figure, or half of the way to its neighbours.
  const spareOf = (plot) => {
    const row = rows?.find((one) => one.includes(plot)) ?? plots.filter((one) => same(one.up[0], plot.up[0]));
    if (row.length < 2) return 2 * Math.min(margin.l, margin.r) - 4;
    const gaps = rows ? [58 * scale] : row.flatMap((one) => (one.across[0] > plot.across[1] - NEAR
      ? [inner * (across(one.across[0]) - across(plot.across[1]))] : one.across[1] < plot.across[0] + NEAR
        ? [inner * (across(plot.across[0]) - across(one.across[1]))] : []));
    return Math.min(...gaps) - 10;
  };
  const below = new Map(simple ? plots.map((plot) => {
    const wide = wideOf(plot);
    return [plot, fitUnder(data, layout, plot.x, wide, font) + fitTitle(layout[plot.x], wide + spareOf(plot), font)];
  }) : []);
  const deepest = (row) => Math.max(0, ...row.map((plot) => below.get(plot) ?? 0));
  const last = rows?.at(-1) ?? plots.filter(({ up }) => same(up[0], 0));
  // An axis without a title leaves the room of that to its names.
  const under = last.filter((plot) => layout[plot.x]?.visible !== false).map((plot) => (below.get(plot) ?? 0)
    + (isText(layout[plot.x]?.title?.text) ? margin.b : Math.min(margin.b, 26 * scale)));
  margin.b = under.length ? Math.max(...under) : margin.b;

  // The legend at the top, then the titles.
  const { legend: box } = layout;
  if (!box.orientation) margin.t = layout.margin?.t ?? 100;
  else if ((box.y ?? 1.02) >= 1) {
    data = inGroups(data, layout);
    legend ??= legendHeight(data, layout, inner);
    margin.t = 8 * scale + legend + titles + (isText(layout.title?.text) ? 2.2 * size : 0);
    Object.assign(box, isText(layout.title?.text) ? {} : { yref: "container", y: 1, yanchor: "top", x: 0,
                                                           xanchor: "left", ...(stack && { xref: "container" }) });
  }

  let place;
  if (rows) {
    const heads = rows.map(lines);
    const room = height === undefined ? undefined : height - margin.t - margin.b;
    const high = rows.map((row) => Math.max(...row.map((plot) => plot.names ?? 0)));
    const { placed, total } = boxes(rows, inner, room, scale, { heads, under: rows.map(deepest), high });
    height ??= total + margin.t + margin.b;
    place = (plot) => placed.get(plot);
  } else {
    height ??= Math.max(design, (plots[0]?.names ?? 0) + margin.t + margin.b);
    const up = stretch(pieces(plots, "up", "across"), design - 110, height - margin.t - margin.b, scale);
    place = (plot) => ({ across: plot.across.map(across), up: plot.up.map(up) });
  }
  if (simple) {
    for (const plot of plots) {
      const box = place(plot);
      (layout[plot.x] ??= {}).domain = box.across;
      (layout[plot.y] ??= {}).domain = box.up;
      const px = [(box.across[1] - box.across[0]) * inner, (box.up[1] - box.up[0]) * (height - margin.t - margin.b)];
      fitUp(layout[plot.y], px[1], font);
      data = fitCells(data, notes, layout, plot, px);
    }
    for (const [note, at] of owner) {
      const box = place(at.plot);
      note.x = box.across[0] + at.x * (box.across[1] - box.across[0]);
      note.y = box.up[0] + at.y * (box.up[1] - box.up[0]);
    }
  }
  return { data, layout: Object.assign(layout, { width, height, margin, autosize: false }), legend };
}
