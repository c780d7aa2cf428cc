"""Digits as scikit-learn has them, splits and relabellings by their promises."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_digits

from kdutils import rng
from kdutils.datasets import (
    Dataset,
    exponential_counts,
    label_noise,
    load,
    long_tail,
    power_law_counts,
    split,
    superclasses,
    transfer_set,
    without_class,
    wrong_share,
)


@pytest.fixture(scope="module")
def digits():
    return load("digits")


# Digits -----------------------------------------------------------------------------------------------------------

def test_digits_are_scikit_learns(digits):
    bunch = load_digits()
    assert len(digits) == 1797 and digits.shape == (1, 8, 8) and digits.n_classes == 10 and digits.test is None
    assert digits.classes == tuple("0123456789") and digits.images.dtype == torch.uint8
    np.testing.assert_array_equal(digits.images[:, 0], bunch.images)
    np.testing.assert_array_equal(digits.labels, bunch.target)
    np.testing.assert_allclose(digits.inputs[:, 0], bunch.images / 16)
    assert digits.inputs.dtype == torch.float32 and float(digits.inputs.max()) == 1


def test_a_dataset_moves_whole(digits, device):
    coarse = superclasses(digits, {"low": range(5), "high": range(5, 10)}).to(device)
    assert {value.device.type for value in (coarse.images, coarse.labels, coarse.hidden, coarse.inputs)} == {device}
    assert coarse.fingerprint == superclasses(digits, {"low": range(5), "high": range(5, 10)}).fingerprint


def test_the_fingerprint_follows_images_and_labels(digits):
    def with_(**changes):
        return replace(digits, **changes)

    images, labels = digits.images.clone(), digits.labels.clone()
    images[3, 0, 2, 2] += 1
    labels[3] = (labels[3] + 1) % 10
    assert with_().fingerprint == digits.fingerprint
    assert len({digits.fingerprint, with_(images=images).fingerprint, with_(labels=labels).fingerprint}) == 3


def test_a_dataset_of_another_shape_is_refused(digits, refuses):
    with refuses("images", "float32"):
        Dataset("x", digits.inputs, digits.labels, digits.classes)
    with refuses("images", "(1797, 8, 8)"):
        Dataset("x", digits.images[:, 0], digits.labels, digits.classes)
    with refuses("labels", "(1797,)", "(5,)"):
        Dataset("x", digits.images, digits.labels[:5], digits.classes)
    with refuses("labels", "int32"):
        Dataset("x", digits.images, digits.labels.int(), digits.classes)


# Splits and transfer sets -----------------------------------------------------------------------------------------

def test_a_split_is_disjoint_complete_and_its_own_for_each_seed(digits):
    splits = [split(digits, seed) for seed in range(5)]
    for one in splits:
        assert (len(one.pool), len(one.test)) == (1200, 597)
        assert sorted([*one.pool.tolist(), *one.test.tolist()]) == list(range(1797))
    assert len({tuple(sorted(one.test.tolist())) for one in splits}) == 5
    assert torch.equal(split(digits, 3).pool, splits[3].pool) and torch.equal(split(digits, 3).test, splits[3].test)
    assert len(split(digits, 0, n_test=100).test) == 100
    shared = set(splits[0].test.tolist()) & set(splits[1].test.tolist())
    assert 150 < len(shared) < 250, "two random thirds share about a ninth of all"


def test_the_owners_split_is_kept(digits):
    official = Dataset("x", digits.images, digits.labels, digits.classes, test=torch.arange(1500, 1797))
    first, second = split(official, 0), split(official, 1)
    assert torch.equal(first.test, official.test) and torch.equal(second.test, official.test)
    assert sorted(first.pool.tolist()) == list(range(1500)) == sorted(second.pool.tolist())
    assert not torch.equal(first.pool, second.pool)


@pytest.mark.parametrize("seed", range(3))
def test_transfer_sets_are_nested_and_balanced(digits, seed):
    pool = split(digits, seed).pool
    sets = {n: transfer_set(digits, pool, n).tolist() for n in (1, 7, 10, 50, 100, 333, 1200)}
    for n, chosen in sets.items():
        counts = Counter(digits.labels[chosen].tolist())
        assert len(set(chosen)) == n and set(chosen) <= set(pool.tolist())
        assert n > 333 or max(counts.values()) - min(counts[label] for label in range(10)) <= 1, n
        assert all(set(smaller) <= set(chosen) for m, smaller in sets.items() if m < n)
    assert sets[50] != transfer_set(digits, split(digits, seed + 1).pool, 50).tolist()


def test_a_scarce_class_gives_what_it_has():
    data = Dataset("x", torch.zeros(12, 1, 1, 1, dtype=torch.uint8), torch.tensor([0] * 9 + [1, 1, 2]), ("a", "b", "c"))
    chosen = transfer_set(data, torch.randperm(12, generator=torch.Generator().manual_seed(0)), 8)
    assert Counter(data.labels[chosen].tolist()) == {0: 5, 1: 2, 2: 1}


def test_impossible_sizes_are_refused(digits, refuses):
    pool = split(digits, 0).pool
    with refuses("transfer images", "1200", "1201"):
        transfer_set(digits, pool, 1201)
    with refuses("transfer images", "0"):
        transfer_set(digits, pool, 0)
    with refuses("n_test", "1797"):
        split(digits, 0, n_test=1797)
    with refuses("seed", "-1"):
        split(digits, -1)


def test_an_omitted_class_is_gone_and_nothing_else(digits):
    pool = split(digits, 0).pool
    target = load_digits().target
    assert without_class(digits, pool, 3).tolist() == [i for i in pool.tolist() if target[i] != 3]


def test_a_class_that_does_not_exist_cannot_be_omitted(digits, refuses):
    with refuses("omitted class", "10"):
        without_class(digits, split(digits, 0).pool, 10)


# Relabellings -----------------------------------------------------------------------------------------------------

def test_superclasses_hide_the_old_labels(digits, refuses):
    coarse = superclasses(digits, {"odd": (1, 3, 5, 7, 9), "even": (0, 2, 4, 6, 8)})
    assert coarse.classes == ("odd", "even") and coarse.n_classes == 2
    assert torch.equal(coarse.labels, 1 - digits.labels % 2) and torch.equal(coarse.hidden, digits.labels)
    assert torch.equal(coarse.images, digits.images) and digits.n_classes == 10 and digits.hidden is None
    assert coarse.hidden_classes == tuple("0123456789") and digits.hidden_classes is None
    for groups in ({"a": range(9)}, {"a": range(10), "b": (3,)}, {"a": range(11)}):
        with refuses("groups", "0..9"):
            superclasses(digits, groups)


@given(st.integers(1, 300), st.floats(0, 1), st.integers(2, 12), st.integers(0, 50))
def test_label_noise_has_the_exact_rate_and_never_the_true_class(n, rate, classes, seed):
    labels = torch.arange(n) % classes
    noisy = label_noise(labels, rate, classes, seed)
    assert int((noisy != labels).sum()) == round(rate * n)
    assert noisy.min() >= 0 and noisy.max() < classes and torch.equal(labels, torch.arange(n) % classes)
    assert torch.equal(noisy, label_noise(labels, rate, classes, seed))


def test_label_noise_is_uniform_over_images_and_wrong_classes(device):
    labels = (torch.arange(40_000) % 5).to(device)
    noisy = label_noise(labels, 0.4, 5, seed=1)
    assert noisy.device.type == device and torch.equal(noisy.cpu(), label_noise(labels.cpu(), 0.4, 5, seed=1))
    table = np.zeros((5, 5), int)
    np.add.at(table, (labels.cpu(), noisy.cpu()), 1)
    wrong = table[~np.eye(5, dtype=bool)]
    assert stats.chisquare(wrong).pvalue > 0.001
    where = (noisy != labels).cpu().view(40, 1000).sum(1)
    assert stats.chisquare(where).pvalue > 0.001
    assert not torch.equal(noisy, label_noise(labels, 0.4, 5, seed=2))


def test_impossible_noise_is_refused(refuses):
    for rate in (-0.1, 1.5, math.nan):
        with refuses("label noise", "between 0 and 1", str(rate)):
            label_noise(torch.zeros(4, dtype=torch.int64), rate, 3, 0)
    with refuses("n_classes", "1"):
        label_noise(torch.zeros(4, dtype=torch.int64), 0.5, 1, 0)


# Seeds ------------------------------------------------------------------------------------------------------------

def test_every_seed_and_purpose_has_a_stream_of_its_own():
    purposes = ("split", "init", "order", "label noise")
    derived = {rng.derive(seed, purpose) for seed in range(200) for purpose in purposes}
    assert len(derived) == 800 and all(0 <= one < 2**63 for one in derived)
    first, second = (torch.rand(5, generator=rng.generator(3, "order")) for _ in range(2))
    assert torch.equal(first, second)


def test_the_streams_never_change():
    """A change here would silently redraw every split and start behind the recorded results."""
    assert [rng.derive(0, "split"), rng.derive(1, "init"), rng.derive(7, "order")] == [
        8097132310637923042, 3822240992883532327, 4256815825578742963]


# Imbalance --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("gamma", "counts", "total"), [
    (0.2, (5000, 858, 557, 439, 375, 333, 304, 282, 264, 250), 8662),
    (0.6, (5000, 1166, 720, 539, 440, 376, 331, 297, 271, 250), 9390),
    (1.0, (5000, 1607, 957, 682, 529, 433, 366, 317, 280, 250), 10421),
    (2.0, (5000, 3173, 1972, 1289, 892, 648, 490, 382, 306, 250), 14402),
])
def test_power_law_counts_are_those_of_the_study(gamma, counts, total):
    assert power_law_counts(5000, 250, 10, gamma) == counts and sum(counts) == total


def test_counts_fall_from_the_most_to_the_fewest_for_any_number_of_classes():
    for classes in (2, 7, 100):
        counts = power_law_counts(500, 25, classes, 0.5)
        assert len(counts) == classes and (counts[0], counts[-1]) == (500, 25) and sorted(counts)[::-1] == list(counts)
    assert exponential_counts(100, 1, 3) == (100, 10, 1)


def test_a_long_tail_takes_the_first_images_of_each_class_and_begins_where_it_is_told(digits):
    pool, counts = split(digits, 3).pool, power_law_counts(80, 4, 10, 0.6)
    chosen = long_tail(digits, pool, counts, first=7)
    assert digits.labels[chosen].bincount().tolist() == [counts[(label - 7) % 10] for label in range(10)]
    assert torch.isin(chosen, pool).all() and len(set(chosen.tolist())) == sum(counts)
    of_seven = pool[digits.labels[pool] == 7]
    assert torch.equal(chosen[:80], of_seven[:80])


def test_what_is_not_a_long_tail_is_refused(digits, refuses):
    pool = split(digits, 0).pool
    with refuses("images of class 0", "500"):
        long_tail(digits, pool, (500, *[5] * 9))
    with refuses("each of 10 classes", "got 9"):
        long_tail(digits, pool, (5,) * 9)
    with refuses("gamma", "0"):
        power_law_counts(100, 5, 10, 0)
    with refuses("most", "5"):
        power_law_counts(5, 5, 10, 1)


def test_a_label_drawn_anew_may_be_the_right_one():
    assert wrong_share(0.6, 10) == pytest.approx(0.54)
    labels = torch.zeros(50_000, dtype=torch.int64)
    noisy = label_noise(labels, wrong_share(0.4, 10), 10, seed=1)
    assert (noisy != 0).float().mean() == pytest.approx(0.36, abs=1e-3)
