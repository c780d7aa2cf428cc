// What a panel's card needs of the page: the stage and what is asked on it, names that ipywidgets leaves unsaid, few
// stops of the Tab key, and a word to the reader when its kernel is gone.

const GONE = "The kernel of this page is gone: this panel shows what it last drew. Run its cell again.";
const ICON = '<svg viewBox="0 0 12 12" aria-hidden="true"><path d="M1 4V1h3M8 1h3v3M11 8v3H8M4 11H1V8"/></svg>';
const NARROWEST = 0.85; // of the type that is asked for: smaller, and the column of words becomes wider
const SMALLEST = 10.5; // px of type on a stage, below which words would rather be scrolled

const seconds = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- the stage ------------------------------------------------------------------------------------------------------

// The panel alone on the screen: full screen where that is allowed, else over the whole window.
class Stage {
  constructor(card, button, asked) {
    Object.assign(this, { card, button, asked, fitting: false });
    this.sizes = new ResizeObserver(() => this.fit());
    this.words = new MutationObserver(() => this.fit(true));
  }

  get on() { return this.card.classList.contains("kd-stage"); }

  async enter() {
    const { card } = this;
    card.classList.add("kd-stage");
    this.asked.show(card);
    card.dataset.lmSuppressShortcuts = "true"; // JupyterLab's keys would act on a cell that nobody sees
    this.tell();
    addEventListener("keydown", this.keys, true);
    document.addEventListener("fullscreenchange", this.changed);
    try {
      await card.requestFullscreen();
    } catch {
      // A popover is above everything too, wherever in the page it stands.
      if (this.on && card.showPopover) { card.popover = "manual"; card.showPopover(); }
    }
    if (!this.on) return;
    this.sizes.observe(card);
    this.words.observe(card, { subtree: true, childList: true, characterData: true });
    this.fit();
  }

  leave() {
    if (!this.on) return;
    const { card } = this;
    this.sizes.disconnect();
    this.words.disconnect();
    removeEventListener("keydown", this.keys, true);
    document.removeEventListener("fullscreenchange", this.changed);
    if (document.fullscreenElement === card) document.exitFullscreen().catch(() => {});
    if (card.popover) { card.hidePopover(); card.popover = null; }
    card.classList.remove("kd-stage");
    this.asked.hide();
    card.style.removeProperty("--kd-type");
    card.classList.remove("kd-wide");
    delete card.dataset.lmSuppressShortcuts;
    this.tell();
    card.scrollIntoView({ block: "nearest" });
  }

  toggle() { if (this.on) this.leave(); else this.enter(); }

  keys = (event) => {
    if (event.key === "Escape") this.leave();
    else if (!this.asked.key(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };

  changed = () => { if (document.fullscreenElement !== this.card && !this.card.popover) this.leave(); };

  tell() {
    this.button.setAttribute("aria-pressed", String(this.on));
    this.button.lastChild.textContent = this.on ? "Back" : "Stage";
  }

  // Type as large as that of the figure, and as small as its words need; before it gets small its column gets wider.
  // smaller: words have changed; type does not grow again, or it would go up and down with every sentence.
  fit(smaller = false) {
    const { card } = this;
    if (!this.on || !card.isConnected) return;
    const at = parseFloat(card.style.getPropertyValue("--kd-type")) || Infinity;
    const asked = parseFloat(getComputedStyle(card.querySelector(".kd-figure") ?? card).fontSize);
    if (!smaller) card.classList.remove("kd-wide");
    const set = (size) => { card.style.setProperty("--kd-type", `${size}px`); return size; };
    let size = set(smaller ? Math.min(at, asked) : asked);
    while (size > SMALLEST && !this.fits()) {
      if (size > NARROWEST * asked || card.classList.contains("kd-wide")) size = set(Math.max(SMALLEST, size - 0.5));
      else { card.classList.add("kd-wide"); size = set(smaller ? size : asked); }
    }
  }

  fits() {
    const { card } = this, reading = card.querySelector(".kd-reading");
    const inside = (box) => !box || box.scrollHeight <= box.clientHeight + 1 && box.scrollWidth <= box.clientWidth + 1;
    const controls = card.querySelector(".kd-controls"), bar = card.querySelector(".kd-bar");
    return [card, reading, controls, bar, this.asked.line].every(inside);
  }
}

// What the teaching note asks, one line at a time, on the stage alone.
class Asked {
  constructor(lines) {
    Object.assign(this, { lines, at: 0, line: null });
  }

  show(card) {
    if (!this.lines.length) return;
    this.line = document.createElement("div");
    this.line.className = "kd-asked";
    this.line.setAttribute("aria-live", "polite");
    const next = document.createElement("button");
    next.type = "button";
    next.title = "The next line of the teaching note (N, or Page Down); Shift+N goes back";
    next.addEventListener("click", () => this.go(1));
    this.line.append(document.createElement("span"), next);
    card.append(this.line);
    this.go(0);
  }

  hide() { this.line?.remove(); this.line = null; }

  go(by) {
    const count = this.lines.length;
    this.at = (this.at + by + count) % count;
    const [words, next] = this.line.children;
    words.textContent = this.lines[this.at];
    next.textContent = `Next (${this.at + 1} of ${count})`;
  }

  // Whether this key was for the line. A presenter's key is Page Down, which on a slider is the slider's.
  key({ key, target, ctrlKey, metaKey, altKey }) {
    if (!this.line || ctrlKey || metaKey || altKey || target.isContentEditable || target.matches?.("select, input"))
      return false;
    const free = !target.matches?.("[role=slider]");
    const by = { n: 1, N: -1, PageDown: free && 1, PageUp: free && -1 }[key];
    if (by) this.go(by);
    return Boolean(by);
  }
}

// ---- names and stops --------------------------------------------------------------------------------------------------

function nameSlider(slider) {
  const [handle, readout] = [slider.querySelector("[role=slider]"), slider.querySelector(".widget-readout")];
  if (!handle || !readout || handle.hasAttribute("aria-label")) return;
  const words = slider.querySelector("label").textContent;
  handle.setAttribute("aria-label", words);
  readout.setAttribute("tabindex", "-1"); // the slider itself is the stop; a click still edits the number
  if (readout.isContentEditable) {
    readout.setAttribute("role", "textbox");
    readout.setAttribute("aria-label", `${words}, as a number`);
  }
  const tell = () => {
    if (handle.getAttribute("aria-valuetext") !== readout.textContent)
      handle.setAttribute("aria-valuetext", readout.textContent);
  };
  const watch = new MutationObserver(tell);
  watch.observe(readout, { childList: true, characterData: true, subtree: true });
  watch.observe(handle, { attributes: true, attributeFilter: ["aria-valuetext"] });
  tell();
}

// A group of buttons is one stop of the Tab key; arrows move inside it.
function nameGroup(group) {
  const parts = [...group.querySelectorAll("button, input")];
  if (!parts.length) return;
  if (!group.dataset.named) {
    group.dataset.named = "true";
    group.setAttribute("role", "group");
    const kind = ["presets", "transport"].find((name) => group.classList.contains(`kd-${name}`));
    group.setAttribute("aria-label", { presets: "Presets", transport: "Run" }[kind] ?? "More");
    group.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
      const all = [...group.querySelectorAll("button, input")];
      const at = all.indexOf(document.activeElement);
      if (!step || at < 0) return;
      event.preventDefault();
      event.stopPropagation();
      all[(at + step + all.length) % all.length].focus();
    });
    group.addEventListener("focusin", (event) => {
      for (const one of group.querySelectorAll("button, input")) one.tabIndex = one === event.target ? 0 : -1;
    });
  }
  if (parts.filter((one) => one.tabIndex === 0).length !== 1)
    parts.forEach((one, i) => { one.tabIndex = i ? -1 : 0; });
}

// A button's icon is a letter of a private alphabet, and no part of its name; one that waits for its turn says so.
function nameButton(button) {
  button.querySelector("i")?.setAttribute("aria-hidden", "true");
  const off = String(button.classList.contains("kd-off"));
  if (button.getAttribute("aria-disabled") !== off) button.setAttribute("aria-disabled", off);
}

function nameParts(card) {
  for (const button of card.querySelectorAll("button.jupyter-button")) nameButton(button);
  for (const slider of card.querySelectorAll(".widget-slider")) nameSlider(slider);
  for (const group of card.querySelectorAll(".kd-buttons")) nameGroup(group);
  const lost = card.querySelector(".jupyter-widgets-disconnected") !== null;
  card.classList.toggle("kd-lost", lost);
  const status = card.querySelector(".kd-status"); // of a page that was saved it shows what it said then
  if (lost && status && status.textContent !== GONE) { status.textContent = GONE; status.dataset.state = "failed"; }
}

// ---- the view -------------------------------------------------------------------------------------------------------

async function render({ model, el }) {
  const closed = new AbortController();
  const button = document.createElement("button");
  button.type = "button";
  button.className = "kd-to-stage";
  button.title = "This panel alone on the screen (Shift+F); Escape brings the page back";
  button.innerHTML = ICON;
  button.append("Stage");
  el.append(button);
  let stage = null;
  // Controls are made after their card, and a card while its cell is out of sight.
  const watch = new MutationObserver((changes) => {
    const card = el.closest(".kd-panel"); // none: its output is being cleared
    if (card && changes.some(({ target }) => !target.closest?.(".kd-plot"))) nameParts(card);
  });
  const keys = (event) => {
    if (event.key !== "F" || !event.shiftKey || event.ctrlKey || event.metaKey || event.target.isContentEditable) return;
    event.preventDefault();
    stage.toggle();
  };
  // Notebook 7 has an order of its own for arrows, and hears them first. A keydown passes here before it gets there.
  const arrows = ({ key, target }) => {
    const part = target.closest?.(".kd-controls, .kd-bar");
    if (!part || part.closest(".kd-panel") !== el.closest(".kd-panel") || !/^(Arrow|Page|Home|End)/.test(key)) return;
    target.dataset.lmSuppressShortcuts = "true";
    setTimeout(() => delete target.dataset.lmSuppressShortcuts);
  };
  addEventListener("keydown", arrows, { capture: true, signal: closed.signal });
  (async () => {
    while (!el.closest(".kd-panel")?.isConnected && !closed.signal.aborted) await seconds(100);
    if (closed.signal.aborted) return;
    const card = el.closest(".kd-panel");
    stage = new Stage(card, button, new Asked(model.get("lines")));
    button.addEventListener("click", () => stage.toggle());
    card.addEventListener("keydown", keys);
    nameParts(card);
    watch.observe(card, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
    card.dataset.ready = "true"; // for tests: keys and names are there
  })();
  return () => {
    closed.abort();
    watch.disconnect();
    stage?.leave();
  };
}

export default { render };
