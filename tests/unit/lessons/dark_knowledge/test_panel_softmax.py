"""The softmax panel and its examples, against softmax written out."""

import math
import re
import statistics
import time

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from helpers import column, headless_page, line, y
from quick_temperature_lab import QuickLab

from kdutils.cohorts import Splits, teachers
from kdutils.errors import ParameterError
from kdutils.lessons.dark_knowledge.panels.softmax import SoftmaxPanel
from kdutils.lessons.examples import one_per_class
from kdutils.plots.style import COLOURS

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


# ---- the examples -------------------------------------------------------------------------------------------------

def test_there_is_one_sure_test_digit_per_class(examples):
    place = Splits.open("digits", 1)
    logits = teachers(place, place.pool)[0]
    assert [example.label for example in examples] == list(range(10))
    for example in examples:
        assert example.index in place.test[0] and example.index not in place.pool[0]
        assert example.label == place.data.labels[example.index]
        np.testing.assert_array_equal(example.image, place.data.images[example.index, 0].numpy())
        np.testing.assert_array_equal(example.logits.numpy(), logits[example.index].numpy())
        p = scipy.special.softmax(example.logits.numpy())
        assert p.argmax() == example.label and p.max() >= 0.979
        assert example.second == np.argsort(p)[-2] and str(example.second) in str(example)


def test_each_example_has_more_to_say_than_other_sure_digits_of_its_class(examples):
    place = Splits.open("digits", 1)
    test = place.test[0]
    logits = teachers(place, place.pool)[0][test].numpy()
    labels = place.data.labels[test].numpy()
    sure = scipy.special.softmax(logits, 1)[np.arange(len(test)), labels] >= 0.98
    told = scipy.stats.entropy(scipy.special.softmax(logits / 4, 1), axis=1)
    for example in examples:
        mine = (labels == example.label) & sure
        assert test[mine][told[mine].argmax()] == example.index


def test_a_class_of_which_no_digit_is_sure_still_has_an_example():
    place = Splits.open("digits", 1)
    chosen = one_per_class(place, torch.zeros(1, 1797, 10))
    assert [example.label for example in chosen] == list(range(10))


# ---- softmax at temperature T -------------------------------------------------------------------------------------

@pytest.mark.parametrize("temperature", [0.25, 1, 3.7, 32])
@pytest.mark.parametrize("digit", [0, 3, 8])
def test_the_bars_are_the_softmax(panel, examples, temperature, digit):
    panel.set(temperature=temperature, digit=digit)
    example = examples[digit]
    np.testing.assert_array_equal(y(panel, "logits"), example.logits.numpy())
    np.testing.assert_array_equal(panel.chart.points("image")["z"], example.image.ravel())
    p = scipy.special.softmax(example.logits.double().numpy() / temperature)
    np.testing.assert_allclose(y(panel, "probabilities"), p, rtol=1e-4, atol=1e-9)
    bits = scipy.stats.entropy(p, base=2)
    said = panel.reading()
    assert f"At T = {temperature:.3g} this {digit} gets probability" in said and f"entropy is {bits:.2f} of" in said
    numbers = [float(n) for n in re.findall(r"([\d.e-]+)%", said)]
    assert numbers == pytest.approx([100 * p[digit], 100 * p[example.second]], rel=0.01)


def test_image_rows_run_downwards(panel):
    figure = panel.chart.figure()
    assert figure.layout.yaxis.autorange == "reversed"
    image = figure.data[0]
    assert list(column(image.x)[:9]) == [*range(8), 0] and list(column(image.y)[:9]) == [0] * 8 + [1]
    low, high = figure.layout.yaxis2.range
    assert low < min(e.logits.min() for e in panel.examples.values()) < max(
        e.logits.max() for e in panel.examples.values()) < high


def test_the_true_class_has_its_own_colour(panel):
    for digit in (3, 7):
        panel.set(digit=digit)
        for trace in panel.chart.figure().data[1:]:
            true = [colour == COLOURS["hard labels"] for colour in trace.marker.color]
            assert true == [k == digit for k in range(10)]


def test_the_axis_can_be_logarithmic_and_linear_again(panel):
    first = panel.chart.figure().layout.yaxis3
    panel.set(axis="logarithmic")
    axis = panel.chart.figure().layout.yaxis3
    smallest = min(example.probabilities(1.0).min() for example in panel.examples.values())
    assert axis.type == "log" and 10 ** axis.range[0] < smallest and 10 ** axis.range[1] > 1
    panel.set(axis="linear")
    axis = panel.chart.figure().layout.yaxis3
    assert axis == first and axis.type == "linear" and axis.range == (0, 1)


def test_presets_and_reset_of_the_softmax_panel(examples):
    panel = SoftmaxPanel(examples, digit=5, temperature=2)
    opened = y(panel, "probabilities")
    for name, values in panel.presets.items():
        assert name.startswith(f"T = {values['temperature']:g}:")
        panel.preset(name)
        assert panel.values == {"temperature": values["temperature"], "digit": 5, "axis": "linear"}
        p = scipy.special.softmax(examples[5].logits.double().numpy() / values["temperature"])
        np.testing.assert_allclose(y(panel, "probabilities"), p, rtol=1e-4, atol=1e-9)
    panel.set(digit=1, axis="logarithmic")
    panel.reset()
    assert panel.values == {"temperature": 2.0, "digit": 5, "axis": "linear"}
    np.testing.assert_array_equal(y(panel, "probabilities"), opened)
    assert panel.chart.figure().layout.yaxis3.type == "linear"


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"temperature": -1}, {"temperature": math.nan}, {"digit": 10},
                                   {"axis": "polar"}, {"digit": 4, "temperature": 1000}, {"T": 4}])
def test_wrong_values_of_the_softmax_panel_are_one_sentence(panel, refuses, wrong):
    values, bars, said = panel.values, y(panel, "probabilities"), panel.reading()
    name, value = list(wrong.items())[-1]
    with refuses(name, *([repr(value)] if name != "T" else [])):
        panel.set(**wrong)
    assert panel.values == values and panel.reading() == said
    np.testing.assert_array_equal(y(panel, "probabilities"), bars)


@pytest.mark.alone
def test_the_softmax_panel_answers_at_once(panel):
    """The contract: a panel without training answers under 100 ms; with its widget, as on a page."""
    assert panel.widget
    took = []
    for index in range(40):
        start = time.perf_counter()
        panel.set(temperature=0.5 + index / 4, digit=index % 10)
        took.append(time.perf_counter() - start)
    assert statistics.median(took) < 0.05


def test_by_hand_a_wrong_value_is_only_a_sentence(panel):
    assert panel.widget
    with pytest.raises(ParameterError):
        panel.set(temperature=99)
    panel.inputs["digit"].value = 6
    assert panel.values["digit"] == 6 and "this 6" in line(panel, "kd-reading").text


@pytest.mark.parametrize("kind", [SoftmaxPanel, lambda: QuickLab(seeds=2, steps=10)])
def test_headless_a_panel_is_its_figure_and_its_sentence(kind, monkeypatch):
    headless_page(kind, monkeypatch)
