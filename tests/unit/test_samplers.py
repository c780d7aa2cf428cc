"""Samplers: what each one makes, that its teacher alone labels it, and what is refused."""

import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from kdutils.datasets import load
from kdutils.datasets.samplers import (
    KEEPING,
    MIXINGS,
    RULES,
    SAMPLERS,
    crops,
    keep,
    labelled,
    mixing,
    sample,
    shifted,
)


@pytest.fixture(scope="module")
def digits():
    return load("digits").inputs[:60]


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_gives_as_many_inputs_of_the_same_shape_and_the_same_ones_again(name, digits):
    made = sample(name, digits, 130, seed=3)
    assert made.shape == (130, 1, 8, 8) and made.dtype == torch.float32 and torch.isfinite(made).all()
    assert torch.equal(made, sample(name, digits, 130, seed=3))
    assert not torch.equal(made, sample(name, digits, 130, seed=4))
    assert sample(name, digits[:1], 3, seed=0).shape == (3, 1, 8, 8), "one input is enough"


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_never_draws_from_the_global_stream_nor_changes_its_inputs(name, digits):
    before, state = digits.clone(), torch.get_rng_state()
    sample(name, digits, 10, seed=0)
    assert torch.equal(digits, before) and torch.equal(torch.get_rng_state(), state)


def test_every_input_is_used_equally_often_up_to_one(digits):
    made = sample("empirical", digits, 150, seed=1).flatten(1)
    counts = (torch.cdist(made, digits.flatten(1)) < 1e-5).sum(0)
    assert set(counts.tolist()) <= {2, 3} and counts.sum() == 150


def test_a_shift_is_that_of_scipy(digits):
    moves = torch.tensor([[0.5, -0.25], [1.0, 0.0], [-0.75, 0.6]])
    made = shifted(digits[:3], moves)
    for image, (right, down), new in zip(digits[:3, 0].numpy(), moves.tolist(), made[:, 0].numpy(), strict=True):
        theirs = ndimage.shift(image, (down, right), order=1, mode="grid-constant")
        np.testing.assert_allclose(new, theirs, atol=1e-5)


def test_shifts_stay_within_a_pixel(digits):
    dot = torch.zeros(1, 1, 9, 9)
    dot[..., 4, 4] = 1
    made = sample("shifts", dot, 200, seed=0)
    assert made[..., 3:6, 3:6].sum() == pytest.approx(float(made.sum()), rel=1e-5) and (made.amax((1, 2, 3)) < 1).all()


@pytest.mark.parametrize("name", MIXINGS)
def test_the_control_mixes_labels_with_the_draw_of_the_inputs(name, digits):
    draw = mixing(name, digits, 40, seed=5)
    assert torch.equal(draw.inputs(digits), sample(name, digits, 40, seed=5))
    labels = torch.eye(60)
    mixed = draw.labels(labels)
    torch.testing.assert_close(mixed.sum(1), torch.ones(40))
    white = torch.zeros(60, 1, 8, 8)
    for row, (first, share) in enumerate(itertools.islice(zip(draw.first.tolist(), mixed, strict=True), 40)):
        white.zero_()
        white[first] = 1        # the share of the first input is what is left of it in the picture
        assert float(draw.inputs(white)[row].mean()) == pytest.approx(float(share[first]), abs=1e-5)


@pytest.mark.parametrize("name", KEEPING)
def test_an_input_that_is_moved_or_jittered_keeps_its_label(name, digits):
    made, labels = labelled(name, digits, torch.eye(60), 130, seed=2)
    assert torch.equal(made, sample(name, digits, 130, seed=2))
    own = labels.argmax(1)
    # A whole pixel makes an 8x8 digit look like another: it is compared with its own moved back and forth.
    grid = torch.cartesian_prod(torch.linspace(-1, 1, 21), torch.linspace(-1, 1, 21))
    to_own, to_next = (torch.stack([(shifted(digits[source], move.expand(130, 2)) - made).square().sum((1, 2, 3))
                                    for move in grid]).amin(0) for source in (own, (own + 1) % 60))
    assert (to_own < to_next).all()
    again = sample("empirical", digits, 130, seed=2)
    assert torch.equal(digits[labelled("empirical", digits, torch.eye(60), 130, 2)[1].argmax(1)], again)


def test_pictures_between_two_are_nearly_half_of_each(digits):
    share = mixing("between", digits, 500, seed=0).share
    assert share.min() >= 0.35 and share.max() <= 0.65


def test_cutmix_takes_every_pixel_from_one_of_two(digits):
    draw = mixing("cutmix", digits, 50, seed=0)
    made = draw.inputs(digits)
    first, second = digits[draw.first], digits[draw.second]
    assert ((made == first) | (made == second)).all() and set(draw.share.unique().tolist()) == {0.0, 1.0}
    assert 0.3 < float(draw.share.mean()) < 0.8


def test_neighbours_are_the_nearest(digits):
    draw = mixing("neighbours", digits, 80, seed=0)
    flat = digits.flatten(1)
    for i, j in zip(draw.first.tolist(), draw.second.tolist(), strict=True):
        nearer = ((flat - flat[i]).square().sum(1) < (flat[j] - flat[i]).square().sum() - 1e-4).sum()
        assert i != j and nearer <= 5     # itself and four more


def test_the_gaussian_has_the_mean_and_most_of_the_variance(digits):
    made = sample("gaussian", digits, 20_000, seed=0).flatten(1)
    flat = digits.flatten(1)
    torch.testing.assert_close(made.mean(0), flat.mean(0), atol=0.02, rtol=0)
    assert 0.94 < float(made.var(0).sum() / flat.var(0).sum()) < 1.0


def test_shuffled_pixels_keep_the_histogram_of_each_place(digits):
    made = sample("shuffled", digits, 4000, seed=0)
    torch.testing.assert_close(made.mean(0), digits.mean(0), atol=0.03, rtol=0)
    assert all(np.isin(made[:, 0, y, x], digits[:, 0, y, x]).all() for y, x in ((0, 3), (4, 4)))


UNSURE = torch.tensor([0.5, 0.1, 0.9, 0.3, 0.8, 0.2])


@pytest.mark.parametrize("rule, n, allowed", [("all", 6, {0, 1, 2, 3, 4, 5}), ("sure", 3, {1, 3, 5}),
                                              ("unsure", 3, {0, 2, 4}), ("most unsure", 2, {2, 4}),
                                              ("by chance", 6, {0, 1, 2, 3, 4, 5})])
def test_rules_choose_by_how_unsure_the_teacher_is(rule, n, allowed):
    chosen = keep(UNSURE, n, rule)
    assert set(chosen.tolist()) == allowed and len(chosen) == n


def test_by_chance_follows_the_uncertainty():
    unsure = torch.tensor([1.0, 3.0])
    picks = torch.cat([keep(unsure, 1, "by chance", seed) for seed in range(600)])
    assert float(picks.float().mean()) == pytest.approx(0.75, abs=0.05)


def test_crops_show_the_picture_and_only_it():
    picture = torch.linspace(0, 1, 200)[None, :].expand(120, 200)
    made = crops(picture, 300, 0, (8, 8))
    assert made.shape == (300, 1, 8, 8) and 0 <= float(made.min()) and float(made.max()) <= 1
    torch.testing.assert_close(made[:, :, 0], made[:, :, -1], atol=1e-5, rtol=0)
    width = made[:, 0, 0, -1] - made[:, 0, 0, 0]
    assert 0.02 < float(width.min()) < 0.06 and 0.2 < float(width.max()) < 0.3


@pytest.mark.parametrize("call, words", [
    (lambda x: sample("gan", x, 3, 0), ("sampler", "gan")),
    (lambda x: sample("mixup", x[:0], 3, 0), ("at least one",)),
    (lambda x: sample("mixup", x, 0, 0), ("queries", "0")),
    (lambda x: sample("mixup", x[0], 3, 0), ("(1, 8, 8)",)),
    (lambda x: mixing("shifts", x, 3, 0), ("mixing sampler", "shifts")),
    (lambda x: labelled("noise", x, torch.zeros(60, 2), 3, 0), ("sampler with labels", "noise")),
    (lambda x: keep(UNSURE, 4, "sure"), ("queries", "between 1 and 3", "4")),
    (lambda x: keep(UNSURE, 4, "best"), ("rule", "best", "most unsure")),
    (lambda x: keep(UNSURE[:0], 1, "all"), ("0 candidates",)),
    (lambda x: crops(torch.zeros(20, 20), 3, 0, (8, 8)), ("largest", "2.5")),
])
def test_what_cannot_be_sampled_is_refused_in_one_sentence(call, words, digits, refuses):
    with refuses(*words):
        call(digits)


def test_there_is_a_rule_for_each_reading_of_uncertain_samples():
    assert RULES == ("all", "sure", "unsure", "most unsure", "by chance")
