// Pairs of words that lie over each other, and words that leave the figure: (root) -> sentences.
(root) => {
  // Corners of a text as it stands on the screen, turned or not, a little smaller than its line.
  const corners = (text) => {
    const box = text.getBBox(), matrix = text.getScreenCTM();
    const inset = [Math.min(1.5, box.width / 4), box.height * 0.16];
    const [left, right] = [box.x + inset[0], box.x + box.width - inset[0]];
    const [top, bottom] = [box.y + inset[1], box.y + box.height - inset[1]];
    return [[left, top], [right, top], [right, bottom], [left, bottom]]
      .map(([x, y]) => [matrix.a * x + matrix.c * y + matrix.e, matrix.b * x + matrix.d * y + matrix.f]);
  };
  // Two convex shapes are apart if an edge of one of them parts them.
  const apart = (a, b) => [a, b].some((shape) => shape.some(([x, y], i) => {
    const [u, v] = shape[(i + 1) % shape.length], normal = [y - v, u - x];
    const along = (points) => points.map(([p, q]) => p * normal[0] + q * normal[1]);
    const [first, second] = [along(a), along(b)];
    return Math.max(...first) <= Math.min(...second) || Math.max(...second) <= Math.min(...first);
  }));
  const said = [];
  for (const plot of root.querySelectorAll(".kd-plot")) {
    const frame = plot.getBoundingClientRect();
    const texts = [...plot.querySelectorAll("svg.main-svg text")].filter((text) => text.textContent.trim()
      && !text.closest(".hoverlayer, .modebar, .trace, .heatmaplayer") && text.getBBox().width > 0
      && getComputedStyle(text).opacity !== "0" && getComputedStyle(text).visibility !== "hidden");
    const shapes = texts.map(corners);
    shapes.forEach((shape, i) => {
      const words = texts[i].textContent;
      if (shape.some(([x, y]) => x < frame.left - 2 || x > frame.right + 2 || y < frame.top - 2 || y > frame.bottom + 2))
        said.push(`"${words}" is cut off`);
      shapes.slice(i + 1).forEach((other, k) => {
        if (!apart(shape, other)) said.push(`"${words}" lies over "${texts[i + 1 + k].textContent}"`);
      });
    });
  }
  // Words in a subplot may lie over what is drawn there, not over each other.
  for (const trace of root.querySelectorAll(".kd-plot .trace")) {
    const boxes = [...trace.querySelectorAll(".textpoint text")].filter((text) => text.textContent.trim())
      .map((text) => [text, text.getBoundingClientRect()]);
    boxes.forEach(([text, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
        > 0.3 * a.height) said.push(`"${text.textContent}" in a subplot lies over "${other.textContent}"`);
    }));
  }
  const around = (part) => {
    const range = document.createRange();
    range.selectNodeContents(part);
    return range.getBoundingClientRect();
  };
  const card = root.closest(".kd-panel") ?? root.querySelector(".kd-panel");
  for (const part of card?.querySelectorAll(".kd-title, .kd-status, .kd-formula, .kd-reading, label, button") ?? [])
    if (around(part).right > card.getBoundingClientRect().right) said.push(`"${part.textContent}" is cut off by the card`);
  const options = [...root.querySelectorAll(".widget-radio-box label")].map(around);
  options.forEach((box, i) => options.slice(i + 1).forEach((other) => {
    if (box.bottom > other.top + 1) said.push("two options of a prediction lie over each other");
  }));
  return said;
}
