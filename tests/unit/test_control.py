"""Sliders and choices: what they accept, what they offer by hand."""

import math

import numpy as np
import pytest
import torch
from tiny_panels import Softmax, shown

from kdutils.errors import ParameterError
from kdutils.live.control import Choice, LogSlider, Slider
from kdutils.live.panel import Panel


@pytest.mark.parametrize(("value", "kept"), [
    (3, 3.0), (np.float32(2.5), 2.5), (np.int64(7), 7.0), (torch.tensor(1.5), 1.5), (50.0 + 1e-12, 50.0),
])
def test_numbers_become_plain(value, kept):
    accepted = Slider("t", "T", low=0.5, high=50.0).accept(value)
    assert accepted == kept and type(accepted) is float


def test_whole_numbers_stay_whole():
    control = Slider("k", "K", low=1, high=10)
    assert type(control.accept(3.0)) is int and control.default == 1
    with pytest.raises(ParameterError, match="k must be a whole number, got 2.5"):
        control.accept(2.5)


@pytest.mark.parametrize("value", [0, 51, math.nan, math.inf, True, "4", None, [4], np.array([1, 2])])
def test_other_values_are_refused(value):
    with pytest.raises(ParameterError, match="t must be between 0.5 and 50"):
        Slider("t", "T", low=0.5, high=50.0).accept(value)


@pytest.mark.parametrize("make", [
    lambda: Slider("t", "T", low=1, high=1), lambda: Slider("t", "T", default=7.0), lambda: Slider("t", "T", step=0.0),
    lambda: LogSlider("t", "T", low=0.0, high=1.0), lambda: LogSlider("t", "T", low=2.0, high=1.0),
    lambda: Choice("t", "T", options=()), lambda: Choice("t", "T", options=("a", "b"), default="c"),
])
def test_impossible_controls_are_refused(make):
    with pytest.raises(ParameterError):
        make()


def test_a_choice_takes_its_options_only():
    """An option that equals the value is taken, as it was given: 8.0 out of a widget is the whole 8."""
    choice = Choice("width", "Width", options=(8, 16))
    assert choice.default == 8 and type(choice.accept(16.0)) is int
    with pytest.raises(ParameterError, match="width must be one of 8, 16; got 12"):
        choice.accept(12)


def test_a_logarithmic_slider_offers_round_numbers_and_what_python_sets():
    panel = shown(Softmax())
    slider = panel.inputs["temperature"]
    words = [word for word, _ in slider.options]
    assert words[:5] == ["0.5", "0.55", "0.6", "0.7", "0.8"] and words[-1] == "50" and "4" in words
    panel.set(temperature=3.14159)
    assert slider.value == 3.14159 and slider.label == "3.142"
    assert panel.values["temperature"] == 3.14159
    assert panel.draws[-1] == {"temperature"} and len(panel.draws) == 2


def test_more_than_three_controls_or_wrong_presets_are_the_authors_mistake():
    with pytest.raises(TypeError, match="at most 3 controls"):
        type("Four", (Panel,), {"controls": tuple(Slider(name, name) for name in "abcd")})
    with pytest.raises(TypeError, match="Preset 'x' of Wrong: a must be between 0 and 1, got 2"):
        type("Wrong", (Panel,), {"controls": (Slider("a", "A"),), "presets": {"x": {"a": 2}}})
