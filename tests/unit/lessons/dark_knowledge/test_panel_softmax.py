"""The softmax panel and its examples, against softmax written out."""

import re

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from helpers import column, y

from kdutils.cohorts import Splits, teachers
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
    assert float(panel.formula().rpartition("= ")[2]) == pytest.approx(p[digit], rel=0.006)


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
