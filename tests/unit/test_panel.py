"""Panels from Python, by hand and without a browser, with a tiny formula."""

import os
import subprocess
import sys

import ipywidgets
import pytest
from helpers import descendants, line, ours, until
from tiny_panels import Softmax, Training, button, shown

from kdutils.errors import ParameterError


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert until(lambda: not ours()), ours()


# ---- from Python ---------------------------------------------------------------------------------------------------

def test_set_draws_what_changed():
    panel = Softmax(classes=3)
    assert panel.draws == [{"temperature", "classes", "shape"}]
    before = panel.values
    panel.set(temperature=8, shape="square")
    panel.set(temperature=8)
    assert panel.draws[1:] == [{"temperature", "shape"}]
    assert before["temperature"] == 4
    assert panel.values == {"temperature": 8.0, "classes": 3, "shape": "square"}
    with pytest.raises(TypeError):
        panel.values["temperature"] = 1


def test_preset_and_reset():
    panel = Softmax(classes=3)
    panel.preset("few")
    assert panel.values == {"temperature": 4.0, "classes": 2, "shape": "square"}
    panel.reset()
    assert panel.values == {"temperature": 4.0, "classes": 3, "shape": "linear"}
    with pytest.raises(ParameterError, match="preset must be one of hot, few"):
        panel.preset("cold")


@pytest.mark.parametrize(("values", "sentence"), [
    ({"temperature": -1}, "temperature must be between 0.5 and 50, got -1"),
    ({"classes": 3, "shape": "round"}, "shape must be one of linear, square"),
    ({"temprature": 1}, "Softmax has no control 'temprature'; it has temperature, classes, shape"),
    ({"temperature": 9, "classes": 9, "shape": "square"}, "classes must be <= 8 for squares"),
])
def test_wrong_values_raise_and_nothing_changes(values, sentence):
    panel = Softmax()
    before = panel.values
    with pytest.raises(ParameterError, match=sentence):
        panel.set(**values)
    assert panel.values == before and len(panel.draws) == 1
    with pytest.raises(ParameterError, match=sentence):
        Softmax(**values)


# ---- by hand -------------------------------------------------------------------------------------------------------

def test_moving_controls_and_pressing_buttons():
    panel = shown(Softmax())
    panel.inputs["temperature"].value = 20.0
    assert panel.values["temperature"] == 20 and "%" in line(panel, "kd-reading").text
    panel.inputs["shape"].value = "square"
    button(panel, "hot").click()
    button(panel, "few").click()
    assert panel.values == {"temperature": 20.0, "classes": 2, "shape": "square"}
    assert panel.inputs["classes"].value == 2
    button(panel, "Reset").click()
    assert panel.inputs["temperature"].value == 4.0 and panel.values["shape"] == "linear"


def test_a_refused_value_is_explained_and_taken_back():
    panel = shown(Softmax(shape="square"))
    calm = panel.status
    panel.inputs["classes"].value = 9
    assert panel.status == "classes must be <= 8 for squares, got 9."
    assert line(panel, "kd-status").text == panel.status and line(panel, "kd-status").state == "refused"
    assert panel.inputs["classes"].value == panel.values["classes"] == 5
    panel.inputs["classes"].value = 8
    assert panel.values["classes"] == 8 and panel.status == calm


def test_a_callback_that_throws_leaves_a_usable_panel(caplog):
    panel = shown(Softmax())
    panel.draw = lambda changed: 1 / 0
    panel.inputs["temperature"].value = 20.0
    assert panel.status == "That did not work: ZeroDivisionError: division by zero"
    assert isinstance(panel.error, ZeroDivisionError) and "Softmax" in caplog.text
    del panel.draw
    panel.inputs["temperature"].value = 8.0
    assert panel.draws[-1] == {"temperature"}
    panel.draw = lambda changed: 1 / 0
    with pytest.raises(ZeroDivisionError):      # Python gets its errors
        panel.set(temperature=2)


def test_letting_go_is_noticed_once_and_leaves_no_thread(monkeypatch):
    monkeypatch.setattr(Softmax, "delay", 1.0)      # longer than the next lines take, also on a busy machine
    panel = shown(Softmax())
    for value in (5.0, 6.0, 7.0):
        panel.inputs["temperature"].value = value
    panel.inputs["classes"].value = 3
    assert not panel.releases and len(ours()) == 1
    assert until(lambda: panel.releases)
    assert panel.releases == [({"temperature", "classes"}, "kdutils-released")]
    assert until(lambda: not ours())
    button(panel, "hot").click()
    assert until(lambda: len(panel.releases) == 2)


def test_letting_go_is_not_noticed_from_python_and_can_be_cancelled(monkeypatch):
    monkeypatch.setattr(Softmax, "delay", 600.0)
    panel = shown(Softmax())
    panel.set(temperature=9)
    assert not ours()
    panel.inputs["temperature"].value = 20.0
    button(panel, "Reset").click()
    assert until(lambda: not ours()) and not panel.releases
    panel.released(frozenset({"temperature"}))
    assert panel.releases[0][0] == {"temperature"}


def test_an_error_after_letting_go_is_said(caplog):
    panel = shown(Softmax())
    panel.release_error = True
    panel.inputs["temperature"].value = 20.0
    assert until(lambda: "ZeroDivisionError" in panel.status)


def test_the_page_says_everything_in_words():
    panel = Softmax()
    texts = [widget.value for widget in descendants(panel.widget) if isinstance(widget, ipywidgets.HTML)]
    assert "Softmax &amp; co." in texts[0]
    assert [widget.description for widget in panel.inputs.values()] == ["Temperature", "Classes", "Shape"]
    assert line(panel, "kd-status").spoken and line(panel, "kd-reading").text == panel.reading()


# ---- who looks at it ----------------------------------------------------------------------------------------------

def test_live_display_is_a_view_of_the_widget(monkeypatch):
    monkeypatch.setenv("KDUTILS_HEADLESS", "0")
    panel = Softmax()
    bundle = panel._repr_mimebundle_(include=None, exclude=None)
    view = bundle["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == panel.widget.model_id and "Softmax" in bundle["text/plain"]
    assert Training()._repr_mimebundle_() and not ours()


def test_importing_panels_starts_no_thread_and_makes_no_widget():
    code = ("import threading, sys, kdutils.live.training_panel\n"
            "assert threading.active_count() == 1 and 'ipywidgets' not in sys.modules, sorted(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ}, timeout=60)
