"""Predictions: recorded, skippable, looked at again; a page that nobody can click shows them as text."""

import sys

import pytest
from ipywidgets.widgets.widget import _instances

from kdutils.course.predict import Prediction

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def question() -> Prediction:
    return Prediction("What is <T> for?", ["to cool", "to soften", "nothing & all"], answer="to soften",
                      because="It divides the logits <z>.")


@pytest.fixture
def live(monkeypatch):
    monkeypatch.setenv("KDUTILS_HEADLESS", "0")


@pytest.fixture
def headless(monkeypatch):
    monkeypatch.setenv("KDUTILS_HEADLESS", "1")


def shown(bundle):
    """The widget of a live bundle."""
    return _instances[bundle[VIEW]["model_id"]]


def test_the_verdict_follows_the_choice(question):
    assert question.choice is None
    assert question.verdict == "You made no prediction. What happens: to soften."
    question.choose("to cool")
    assert question.verdict == "You predicted: to cool. What happens: to soften."
    question.choose("to soften")
    assert question.verdict == "You predicted: to soften. That is what happens."
    question.choose(None)
    assert question.verdict.startswith("You made no prediction")


def test_wrong_choices_and_answers_are_refused(question, refuses):
    question.choose("to cool")
    with refuses("choose one of", "to freeze"):
        question.choose("to freeze")
    assert question.choice == "to cool"
    with refuses("answer must be one of the options", "neither"):
        Prediction("?", ["a", "b"], answer="neither", because="")


def test_live_it_is_a_widget_that_notes_the_choice(question, live):
    bundle = question._repr_mimebundle_()
    title, radio, said = shown(bundle).children
    assert radio.options == question.options and radio.value is None      # nothing is chosen for the reader
    assert "What is &lt;T&gt; for?" in title.value
    radio.value = "nothing & all"
    assert question.choice == "nothing & all" and "nothing &amp; all" in said.value
    assert "Predict: What is <T> for?" in bundle["text/plain"]
    for text in (title.value, said.value):
        assert question.because not in text and "happens" not in text     # the answer is not given away


def test_displayed_again_it_shows_the_choice(question, live):
    question.choose("to cool")
    assert shown(question._repr_mimebundle_()).children[1].value == "to cool"


def test_the_reveal_hides_the_answer_until_there_is_a_prediction(question, live):
    """Run All reaches the reveal before the reader has seen the question."""
    bundle = question.reveal()._repr_mimebundle_()
    page = shown(bundle)
    assert page.value.startswith("<details><summary>No prediction yet") and "to soften" not in bundle["text/plain"]
    radio = shown(question._repr_mimebundle_()).children[1]
    radio.value = "to cool"
    assert "<details" not in page.value
    assert "You predicted: to cool. What happens: to soften." in page.value
    assert "It divides the logits &lt;z&gt;." in page.value
    radio.value = "to soften"
    assert "That is what happens." in page.value


def test_two_reveals_follow_one_prediction(question, live):
    pages = [shown(question.reveal()._repr_mimebundle_()) for _ in range(2)]
    question.choose("to soften")
    assert all("That is what happens." in page.value for page in pages)


def test_two_questions_do_not_hear_each_other(question, live):
    other = Prediction("And?", ["a", "b"], answer="a", because="so.")
    page = shown(other.reveal()._repr_mimebundle_())
    question.choose("to cool")
    assert "No prediction yet" in page.value and other.choice is None


def test_headless_it_is_text_and_no_widget(question, headless, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)       # importing it would fail
    bundle = question._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert "<summary>nothing &amp; all</summary>" in bundle["text/html"] and "&lt;T&gt;" in bundle["text/html"]
    assert bundle["text/plain"] == "Predict: What is <T> for? to cool | to soften | nothing & all"
    revealed = question.reveal()._repr_mimebundle_()
    assert revealed["text/html"].startswith("<details>") and "It divides the logits &lt;z&gt;." in revealed["text/html"]
    assert revealed["text/plain"] == "You made no prediction. What happens: to soften. It divides the logits <z>."
