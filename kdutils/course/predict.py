"""Predict, then observe, then explain: a choice made before the panel is tried, and looked at again after it."""

import html
from collections.abc import Callable, Sequence

from kdutils.errors import ParameterError
from kdutils.headless import headless

# ipywidgets gives every option one line: on a narrow page a longer one would lie over the next.
LINES = ("<style>.kd-predict .widget-radio-box { height: auto; } .kd-predict .widget-radio-box label { height: auto; "
         "line-height: 1.4; margin-bottom: 4px; white-space: normal; display: flex; gap: 6px; align-items: baseline; } "
         ".kd-predict .widget-radio-box input { flex: none; order: -1; height: auto; margin: 0; } "
         ".kd-predict .widget-html-content { line-height: 1.4; }</style>")


class Prediction:
    """A question with a few options, shown as radio buttons. Skippable; skipped where nobody can answer.

    choice: the option chosen last, or None. `reveal()` shows, further down the page, what was chosen and why the
    answer is what it is; it follows the choice if that changes later.
    """

    def __init__(self, question: str, options: Sequence[str], answer: str, because: str):
        if answer not in options:
            raise ParameterError(f"answer must be one of the options {list(options)}, got {answer!r}.")
        self.question, self.options, self.answer, self.because = question, tuple(options), answer, because
        self.choice: str | None = None
        self._listeners: list = []

    def choose(self, option: str | None) -> None:
        """Record a choice; None takes it back."""
        if option is not None and option not in self.options:
            raise ParameterError(f"choose one of {list(self.options)}, got {option!r}.")
        self.choice = option
        for listener in self._listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call it whenever the choice has changed."""
        self._listeners.append(listener)

    @property
    def verdict(self) -> str:
        """What was predicted, set beside the answer, in one sentence."""
        if self.choice is None:
            return f"You made no prediction. What happens: {self.answer}."
        if self.choice == self.answer:
            return f"You predicted: {self.choice}. That is what happens."
        return f"You predicted: {self.choice}. What happens: {self.answer}."

    def reveal(self) -> "Reveal":
        """The explanation, with the prediction in front of it."""
        return Reveal(self)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        words = f"Predict: {self.question} " + " | ".join(self.options)
        if headless():
            page = f"<p><b>Predict first.</b> {html.escape(self.question)} Open the option that you choose.</p>"
            return {"text/html": page + "".join(map(self._folded, self.options)), "text/plain": words}
        return {"text/plain": words, **_view(self._widget())}

    def _folded(self, option: str) -> str:
        """An option that tells, once it is opened, whether it is what happens: a static page can note no choice."""
        found = "That is what happens." if option == self.answer else "That is not what happens. Try it, then read on."
        return f"<details><summary>{html.escape(option)}</summary><p>{found}</p></details>"

    def _widget(self):
        import ipywidgets as widgets

        title = widgets.HTML(f"{LINES}<b>Predict first.</b> {html.escape(self.question)}")
        radio = widgets.RadioButtons(options=self.options, value=self.choice, layout={"width": "auto"})
        said = widgets.HTML("Choose, then go on; or go on without choosing.")

        def chosen(change):
            self.choose(change["new"])
            said.value = f"Noted: {html.escape(str(change['new']))}. Now try it."

        radio.observe(chosen, names="value")
        return widgets.VBox([title, radio, said]).add_class("kd-predict")


class Reveal:
    """A prediction looked at again."""

    def __init__(self, prediction: Prediction):
        self.prediction = prediction

    def _html(self) -> str:
        """Folded where nothing was chosen: Run All, and a static page, come here before the reader saw the question."""
        chosen = self.prediction.choice is not None
        said = self.prediction.verdict if chosen else f"What happens: {self.prediction.answer}."
        page = f"<p><b>{html.escape(said)}</b> {html.escape(self.prediction.because)}</p>"
        return page if chosen else f"<details><summary>No prediction yet. Show what happens.</summary>{page}</details>"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        words = f"{self.prediction.verdict} {self.prediction.because}"
        if headless():
            return {"text/html": self._html(), "text/plain": words}
        import ipywidgets as widgets

        shown = widgets.HTML(self._html())
        self.prediction.listen(lambda: setattr(shown, "value", self._html()))
        return {"text/plain": "What happens: run the cell to see.", **_view(shown)}


def _view(widget) -> dict:
    return {"application/vnd.jupyter.widget-view+json": {"version_major": 2, "version_minor": 0,
                                                         "model_id": widget.model_id}}
