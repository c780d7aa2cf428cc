"""Tables encode their columns as scikit-learn does; the simulated clicks follow their equations and know the truth."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kdutils.datasets import Table, bayes_log_loss, clicks, split, superclasses, transfer_set
from kdutils.datasets.clicks import CATEGORIES, NUMBERS, the_world


def table(n=50, **changes):
    random = np.random.default_rng(1)
    numeric = torch.from_numpy(random.normal(3, [1, 20], (n, 2))).float()
    columns = torch.from_numpy(np.stack([random.integers(0, size, n) for size in (3, 5)], 1))
    return Table(**{"name": "made", "numeric": numeric, "categories": columns, "cardinalities": (3, 5),
                    "labels": torch.from_numpy(random.integers(0, 2, n)), "classes": ("a", "b")} | changes)


# Table ------------------------------------------------------------------------------------------------------------

def test_inputs_are_standardised_and_one_hot_as_in_scikit_learn(device):
    """Catches a column offset by one, and the standard deviation taken with n - 1."""
    data = table().to(device)
    numbers = StandardScaler().fit_transform(data.numeric.cpu())
    categories = OneHotEncoder(categories=[range(3), range(5)], sparse_output=False).fit_transform(
        data.categories.cpu())
    assert data.inputs.shape == (50, *data.shape) == (50, 1, 1, 10) and data.inputs.dtype == torch.float32
    np.testing.assert_allclose(data.inputs[:, 0, 0].cpu(), np.c_[numbers, categories], atol=1e-6)


def test_the_test_rows_do_not_shift_the_scale():
    test = torch.arange(40, 50)
    plain, spoiled = table(test=test), table(test=test)
    spoiled.numeric[40:] += 1000
    torch.testing.assert_close(spoiled.inputs[:40], plain.inputs[:40])
    np.testing.assert_allclose(plain.inputs[:40, 0, 0, :2], StandardScaler().fit_transform(plain.numeric[:40]),
                               atol=1e-6)


def test_missing_numbers_are_the_mean_and_constant_columns_nothing():
    data = table()
    data.numeric[::7, 0] = torch.nan
    data.numeric[:, 1] = 4.5
    inputs = data.inputs[:, 0, 0]
    known = ~data.numeric[:, 0].isnan()
    np.testing.assert_allclose(inputs[known, 0], stats.zscore(data.numeric[known, 0].numpy()), atol=1e-6)
    assert not inputs[~known, 0].any() and not inputs[:, 1].any() and inputs.isfinite().all()


def test_rows_keep_what_belongs_together():
    """A permutation of the rows permutes everything: nothing is left behind in the old order."""
    data = clicks(0, 300)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    mixed = data.rows(order)
    torch.testing.assert_close(mixed.inputs, data.inputs[order])
    for name in ("numeric", "categories", "labels", "hidden", "probability"):
        assert torch.equal(getattr(mixed, name), getattr(data, name)[order]), name
    assert mixed.fingerprint != data.fingerprint == data.rows(torch.arange(300)).fingerprint
    assert math.isclose(bayes_log_loss(mixed), bayes_log_loss(data), rel_tol=1e-12)


def test_the_fingerprint_follows_the_content():
    other = table()
    other.numeric[3, 1] += 1
    category = table(categories=(table().categories + 1) % 3)
    assert table().fingerprint == table().fingerprint
    hidden = table(hidden=torch.zeros(50, dtype=torch.int64))
    assert len({one.fingerprint for one in (table(), other, category, hidden, table(labels=1 - table().labels))}) == 5


def test_a_table_splits_and_regroups_like_any_data_set():
    data = clicks(0, 1000)
    parts = split(data, 3, n_test=300)
    assert (len(parts.pool), len(parts.test)) == (700, 300) and not set(parts.pool.tolist()) & set(parts.test.tolist())
    few = transfer_set(data, parts.pool, 20)
    assert data.labels[few].sum() == 10, "clicks are rare, but a transfer set is balanced"
    whole = superclasses(data, {"impression": (0, 1)})
    assert whole.n_classes == 1 and torch.equal(whole.hidden, data.labels) and whole.hidden_classes == data.classes


def test_a_table_trains_a_population():
    from kdutils.networks import MLP, Population
    from kdutils.objectives import hard_labels
    from kdutils.training import Recipe, Task, fit

    data = clicks(0, 600)
    pool = torch.stack([split(data, seed, 200).pool for seed in (0, 1)])
    population = Population(MLP(data.shape[-1], (8,), 2), (0, 1))
    task = Task(data.inputs, data.labels, pool, (0, 1))
    history = fit(population, task, hard_labels, recipe=Recipe(60, 64), every=30)
    assert (history[-1].loss < history[1].loss).all() and history[-1].loss.max() < 0.4


def test_wrong_tables_are_refused(refuses):
    for change, words in [({"numeric": table().numeric.double()}, ("numeric", "float32", "float64")),
                          ({"numeric": table().numeric[:9]}, ("numeric", "(50, F)", "(9, 2)")),
                          ({"categories": table().categories[:, :1]}, ("categories", "(50, 2)", "(50, 1)")),
                          ({"categories": table().categories.int()}, ("categories", "int64", "int32")),
                          ({"cardinalities": (3, 4)}, ("categorical column 1", "0 to 3", "4")),
                          ({"categories": table().categories - 1}, ("categorical column 0", "-1")),
                          ({"labels": table().labels.float()}, ("labels", "int64")),
                          ({"fields": ("a", "b")}, ("fields", "4", "2"))]:
        with refuses(*words):
            table(**change)


# Clicks -----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def many():
    return clicks(0, 40_000)


def test_one_sample_is_one_seed(many):
    first, again, other = clicks(5, 500), clicks(5, 500), clicks(6, 500)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert torch.equal(first.hidden, again.hidden) and torch.equal(first.probability, again.probability)
    assert clicks(5, 500, world=1).fingerprint != first.fingerprint
    assert first.shape == (1, 1, len(NUMBERS) + sum(CATEGORIES.values())) and first.test is None
    assert many.classes == ("no click", "click") and many.hidden_classes[-1] == "segment 5" and len(many.fields) == 10


def test_drawing_clicks_leaves_torchs_own_generator_alone():
    before = torch.get_rng_state()
    clicks(9, 10, world=3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("rate, segments, world", [(0.1, 6, 0), (0.05, 3, 1), (0.15, 12, 2), (0.5, 1, 3)])
def test_the_click_rate_is_as_stated(rate, segments, world):
    """Binomial error of this sample and of the reference sample that sets the intercept: four standard errors."""
    data = clicks(1, 20_000, segments=segments, rate=rate, world=world)
    assert abs(data.labels.double().mean() - rate) < 4 * math.sqrt(rate * (1 - rate) * 2 / 20_000)


def test_segments_have_their_shares_and_every_label_holds_several(many):
    share = 1 / np.sqrt(np.arange(1, 7))
    counts = many.hidden.bincount().numpy()
    assert stats.chisquare(counts, 40_000 * share / share.sum()).pvalue > 0.001
    for label in (0, 1):
        mixture = many.hidden[many.labels == label].bincount(minlength=6) / (many.labels == label).sum()
        assert (mixture > 0.01).sum() >= 4, "both labels are mixtures of segments"


def chi_square_of_calibration(probability, outcome, bins=10):
    """p-value of sum over bins of (count - expected)^2 / variance, bins of equal size by probability."""
    order = np.argsort(probability)
    parts = np.array_split(order, bins)
    terms = [(outcome[part].sum() - probability[part].sum()) ** 2 / (probability[part] * (1 - probability[part])).sum()
             for part in parts]
    return stats.chi2.sf(sum(terms), bins)


@pytest.mark.parametrize("world", range(3))
def test_the_true_probabilities_are_calibrated(world):
    """Catches a sign, a missing prior, or the segment's own probability in place of the mixture's."""
    data = clicks(2, 30_000, world=world)
    p, y = data.probability.numpy(), data.labels.numpy()
    assert chi_square_of_calibration(p, y) > 0.001
    assert chi_square_of_calibration(np.clip(p * 1.15, 0, 1), y) < 0.001, "the test would see an error of 15%"
    made = the_world(world, 6, 0.1, 1.0, 1.0)
    posterior = made.posterior(data.numeric.double(), data.categories).numpy()
    for segment in range(6):
        # Rows that are almost surely of this segment or not carry no variance; the others must be calibrated.
        open_ = (posterior[:, segment] > 0.001) & (posterior[:, segment] < 0.999)
        assert chi_square_of_calibration(posterior[open_, segment], (data.hidden.numpy() == segment)[open_]) > 0.0005


def test_the_probability_by_another_route():
    """The docstring's equations, row by row, with SciPy's densities."""
    data, made = clicks(3, 20, segments=4, separation=0.7, strength=1.3, world=5), the_world(5, 4, 0.1, 0.7, 1.3)
    share = 1 / np.sqrt(np.arange(1, 5))
    for row in range(20):
        x, c = data.numeric[row].double().numpy(), data.categories[row].tolist()
        joint, clicked = np.zeros(4), np.zeros(4)
        for s in range(4):
            centre = made.centre[s].numpy()
            q = [np.exp(odds[s].numpy()) / np.exp(odds[s].numpy()).sum() for odds in made.odds]
            joint[s] = share[s] * np.prod(stats.norm.pdf(x, centre)) * np.prod([q[k][c[k]] for k in range(5)])
            logit = made.offset[s].item() + made.pull[s].numpy() @ (x - centre) + sum(
                push[s, c[k]].item() for k, push in enumerate(made.push))
            clicked[s] = 1 / (1 + np.exp(-logit))
        # The table keeps float32 numbers, the probability was computed before rounding.
        assert math.isclose(data.probability[row], joint @ clicked / joint.sum(), rel_tol=1e-5)


def test_the_bayes_log_loss_is_the_best_in_expectation(many):
    from sklearn.metrics import log_loss

    p, y = many.probability.numpy(), many.labels.numpy()
    measured, best = log_loss(y, p), bayes_log_loss(many)
    spread = np.std(-np.where(y == 1, np.log(p), np.log1p(-p))) / math.sqrt(len(y))
    assert abs(measured - best) < 4 * spread
    assert log_loss(y, np.full(len(y), y.mean())) > best + 0.03, "the fields say something"
    assert log_loss(y, np.clip(p + 0.02, 0, 1)) > measured


def test_without_separation_or_strength_nothing_is_told():
    blind = the_world(0, 5, 0.1, 0.0, 1.0)
    data = clicks(0, 200, segments=5, separation=0, world=0)
    posterior = blind.posterior(data.numeric.double(), data.categories)
    torch.testing.assert_close(posterior, blind.share.expand(200, 5))
    flat = clicks(0, 200, strength=0).probability
    torch.testing.assert_close(flat, torch.full_like(flat, 0.1), rtol=1e-9, atol=0)


@settings(max_examples=25)  # a new world each
@given(st.integers(1, 50), st.floats(0.001, 0.999), st.floats(0, 5), st.floats(0, 5), st.integers(0, 5))
def test_any_world_is_sound(segments, rate, separation, strength, world):
    data = clicks(0, 20, segments, rate, separation, strength, world)
    assert data.probability.isfinite().all() and 0 <= data.probability.min() <= data.probability.max() <= 1
    assert data.hidden.max() < segments and data.inputs.isfinite().all() and math.isfinite(bayes_log_loss(data))


def test_impossible_worlds_are_refused(refuses):
    for name, value in {"n": 0, "segments": 0, "world": -1, "separation": -1, "strength": math.nan}.items():
        with refuses(name, str(value)):
            clicks(**{name: value})
    for rate in (0, 1, 1.5):
        with refuses("click rate", str(rate), "0.001"):
            clicks(rate=rate)
    with refuses("segments", "51", "50"):
        clicks(segments=51)
    with refuses("seed", "-1"):
        clicks(-1)
