// Figures on a page of their own, without JupyterLab and without a kernel: drawn by the course's own module, each in a
// box as wide as the page. ([source of the module, [[name, frame, numbers in base64, of a panel], ...]]) -> nothing.
async ([source, figures]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  globalThis.__kdutils_plotly__ = Promise.resolve(globalThis.Plotly);
  for (const [name, first, numbers, ofPanel] of figures) {
    const [box, el] = [document.createElement("div"), document.createElement("div")];
    box.dataset.name = name;
    if (ofPanel) {
      box.className = "kd-panel";
      box.innerHTML = "<div class='kd-head' style='height: 100px'></div><div style='height: 130px'></div>";
    }
    box.append(el);
    document.body.append(box);
    const bytes = Uint8Array.from(atob(numbers), (letter) => letter.charCodeAt(0));
    const state = { first, numbers: new DataView(bytes.buffer), config: {} };
    const nothing = () => {};
    const manager = { get_model: async () => ({}) };
    widget.render({ el, model: { get: (key) => state[key], on: nothing, off: nothing, send: nothing,
                                 widget_manager: manager } });
  }
}
