"""Metrics against scikit-learn and SciPy, and by hand where they have none."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from sklearn import metrics as reference

from kdutils import metrics


def example(n=200, classes=6, members=3, dtype=torch.float64):
    """Logits (members, n, classes) that know something, and labels (n,)."""
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (n,), generator=random)
    logits = torch.randn(members, n, classes, generator=random, dtype=dtype)
    logits[:, torch.arange(n), labels] += 1
    return logits, labels


def test_accuracy_recall_and_nll_equal_scikit_learns(device):
    logits, labels = example()
    own = torch.stack([labels, labels.roll(1), labels.roll(2)])
    for truth in (labels, own):
        accuracy, recall = (metric(logits.to(device), truth.to(device), *rest).cpu() for metric, rest in (
            (metrics.accuracy, ()), (metrics.recall, (2,))))
        nll = [metrics.nll(logits.to(device), truth.to(device), temperature).cpu() for temperature in (1.0, 3.0)]
        for m in range(3):
            y, guess = truth.expand(3, 200)[m], logits[m].argmax(-1)
            assert float(accuracy[m]) == pytest.approx(reference.accuracy_score(y, guess))
            assert float(recall[m]) == pytest.approx(reference.recall_score(y, guess, labels=[2], average="macro"))
            for temperature, values in zip((1.0, 3.0), nll, strict=True):
                p = special.softmax(logits[m].numpy() / temperature, axis=-1)
                assert float(values[m]) == pytest.approx(reference.log_loss(y, p, labels=range(6)))


def test_one_network_gives_one_number():
    logits, labels = example(members=1)
    for metric, *rest in ((metrics.accuracy,), (metrics.recall, 1), (metrics.nll,), (metrics.ece,)):
        assert metric(logits[0], labels, *rest).shape == ()
    temperature = torch.tensor([1.0, 2.0, 4.0])
    logits, labels = example()
    assert metrics.nll(logits, labels, temperature).tolist() == pytest.approx(
        [float(metrics.nll(logits[m], labels, float(temperature[m]))) for m in range(3)])


def test_recall_of_a_class_that_does_not_occur_is_not_a_number():
    logits, labels = example()
    assert metrics.recall(logits, labels.clamp(max=4), 5).isnan().all()


def test_auc_equals_scikit_learns_also_with_ties():
    logits, _ = example(classes=2)
    logits = (2 * logits).round() / 2  # many ties, for which a plain sort gives an order of its own
    own = torch.stack([logits[m].argmax(-1) ^ (torch.arange(200) % 3 == 0) for m in range(3)])
    for truth in (own[0], own):
        expected = [reference.roc_auc_score(truth.expand(3, 200)[m], logits[m, :, 1] - logits[m, :, 0])
                    for m in range(3)]
        assert metrics.auc(logits, truth).tolist() == pytest.approx(expected)
    assert metrics.auc(logits[0], own[0]).shape == ()
    assert metrics.auc(logits, torch.zeros(200, dtype=torch.int64)).isnan().all()


def test_ece_by_hand():
    # Of two bins, the upper holds confidences 0.9 (right) and 0.8 (wrong), the lower 0.4 (right).
    p = torch.tensor([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 0])
    by_hand = abs((1 - 0.9) + (0 - 0.8)) / 3 + abs(1 - 0.4) / 3
    assert float(metrics.ece(p.log(), labels, bins=2)) == pytest.approx(by_hand)
    one_bin = abs((1 - 0.9) + (0 - 0.8) + (1 - 0.4)) / 3
    assert float(metrics.ece(p.log(), labels, bins=1)) == pytest.approx(one_bin)


@pytest.mark.parametrize("bins", [1, 2, 10, 15])
def test_ece_equals_the_definition_written_as_loops(bins):
    logits, labels = example()
    for m, value in enumerate(metrics.ece(logits, labels, bins)):
        p = special.softmax(logits[m].numpy(), axis=-1)
        confidence, right = p.max(-1), p.argmax(-1) == labels.numpy()
        total = 0.0
        for b in range(bins):
            inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
            if inside.any():
                total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
        assert float(value) == pytest.approx(total)


def test_ece_of_perfect_and_of_overconfident_networks():
    labels = torch.arange(4)
    sure = 1e4 * torch.eye(4)
    assert float(metrics.ece(sure, labels)) == 0 and float(metrics.ece(sure, labels.roll(1))) == pytest.approx(1)
    assert float(metrics.ece(torch.zeros(4, 4), torch.zeros(4, dtype=torch.int64))) == pytest.approx(0.75)


def test_entropy_is_in_bits():
    logits, _ = example()
    for temperature in (1.0, 4.0):
        p = special.softmax(logits.numpy() / temperature, axis=-1)
        np.testing.assert_allclose(metrics.entropy(logits, temperature), stats.entropy(p, base=2, axis=-1), rtol=1e-6)
    assert metrics.entropy(torch.zeros(2, 8)).tolist() == pytest.approx([3, 3])
    assert metrics.entropy(torch.tensor([[1e4, 0.0]])).tolist() == pytest.approx([0], abs=1e-12)


def test_mass_by_rank():
    logits, _ = example()
    p = -np.sort(-special.softmax(logits.numpy() / 2, axis=-1), axis=-1)
    np.testing.assert_allclose(metrics.mass_by_rank(logits, 2.0), p.mean(1), rtol=1e-9)
    sharp, flat = (metrics.mass_by_rank(logits, temperature) for temperature in (0.5, 20.0))
    assert (sharp[:, 0] > flat[:, 0]).all() and torch.allclose(flat.sum(-1), torch.ones(3, dtype=torch.float64))


@given(st.integers(20, 400), st.floats(0.02, 0.98), st.integers(0, 4), st.integers(0, 10))
def test_bias_correction_gives_the_requested_rate_and_touches_one_class(n, rate, label, seed):
    logits = torch.randn(3, n, 5, generator=torch.Generator().manual_seed(seed))
    logits[..., label] -= 5
    corrected = metrics.bias_corrected(logits, label, rate)
    got = (corrected.argmax(-1) == label).float().mean(-1)
    assert ((got - rate).abs() <= 1.01 / n + 1e-6).all()
    others = [k for k in range(5) if k != label]
    assert torch.equal(corrected[..., others], logits[..., others])
    shift = corrected[..., label] - logits[..., label]
    torch.testing.assert_close(shift, shift[:, :1].expand(-1, n), atol=1e-5, rtol=1e-5)
    assert (shift[1:, 0] != shift[:1, 0]).all(), "each network has a shift of its own"


def test_bias_correction_lowers_a_class_that_is_guessed_too_often():
    logits, _ = example()
    logits[..., 1] += 3
    guesses = metrics.bias_corrected(logits, 1, 0.1).argmax(-1)
    assert (guesses == 1).double().mean(-1).tolist() == pytest.approx([0.1] * 3)


def test_impossible_arguments_are_refused(refuses):
    logits, labels = example()
    for rate in (-0.1, 1.1, math.nan):
        with refuses("rate", str(rate)):
            metrics.bias_corrected(logits, 0, rate)
    with refuses("bins", "0"):
        metrics.ece(logits, labels, bins=0)


# ---- found classes -------------------------------------------------------------------------------------------------

def found_and_true(n=60, found=5, true=4, seed=0):
    random = torch.Generator().manual_seed(seed)
    truth = torch.randint(true, (n,), generator=random)
    noise = torch.randint(found, (n,), generator=random)
    return torch.where(torch.rand(n, generator=random) < 0.6, (truth + 1) % found, noise), truth


@pytest.mark.parametrize(("found", "true"), [(4, 4), (5, 4), (3, 5)])
def test_hungarian_accuracy_is_that_of_the_best_naming_of_all(found, true):
    """Greedy naming, class by class, would miss it; unequal numbers leave classes without a name."""
    for seed in range(5):
        f, t = found_and_true(found=found, true=true, seed=seed)
        best = 0.0
        for names in itertools.permutations(range(max(found, true))):
            best = max(best, float((torch.tensor(names)[f] == t).float().mean()))
        assert metrics.hungarian_accuracy(f, t) == pytest.approx(best, abs=1e-6)


def test_hungarian_accuracy_where_greedy_naming_fails():
    f, t = torch.tensor([0] * 6 + [0] * 5 + [1] * 5), torch.tensor([0] * 6 + [1] * 5 + [0] * 5)
    assert metrics.hungarian_accuracy(f, t) == pytest.approx(10 / 16)  # greedy takes the 6 and gets no more


def test_purity_by_hand_and_that_more_classes_are_never_worse():
    f, t = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 0, 1, 1, 1, 1])
    assert metrics.purity(f, t) == pytest.approx(5 / 6)
    assert metrics.purity(torch.arange(6), t) == 1.0


def test_names_of_found_classes_do_not_matter_and_agreement_equals_scikit_learns():
    f, t = found_and_true()
    shuffled = torch.tensor([3, 0, 4, 1, 2])[f]
    assert metrics.agreement(f, t) == pytest.approx(metrics.agreement(shuffled, t))
    assert metrics.agreement(f, t)["nmi"] == pytest.approx(reference.normalized_mutual_info_score(t, f))
    assert metrics.agreement(f, t)["ari"] == pytest.approx(reference.adjusted_rand_score(t, f))
    perfect = {"hungarian": 1.0, "purity": 1.0, "nmi": 1.0, "ari": 1.0}
    assert metrics.agreement((t + 1) % 4, t) == pytest.approx(perfect)


def test_classes_used_leaves_out_rare_and_empty_ones():
    found = torch.tensor([0] * 150 + [1] * 48 + [4] * 2)
    assert metrics.classes_used(found) == 3 and metrics.classes_used(found, 0.02) == 2
    assert metrics.classes_used(found, 0.0) == 3  # classes 2 and 3 hold nothing
