"""The teachers of lesson 03: who is told what, what is cached, and what is measured of them."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score

from kdutils.cohorts import Splits
from kdutils.datasets import grouped, load, superclasses
from kdutils.lessons.subclass_distillation.teachers import (
    clusters,
    discovered,
    enough_of_each,
    hidden_blocks,
    label_teachers,
    subclass_teachers,
    teachers,
)
from kdutils.training import Recipe

QUICK = Recipe(steps=8)


def test_a_teacher_is_the_same_alone_and_beside_others(lab):
    """Members must not mix, and the cache must tell them apart."""
    both = subclass_teachers(lab, lab.pool, (5, 5), [(0.0, 0.5), (0.3, 0.5)], recipe=QUICK)
    for i, value in enumerate([(0.0, 0.5), (0.3, 0.5)]):
        alone = subclass_teachers(lab, lab.pool, (5, 5), [value], recipe=QUICK)[0]
        torch.testing.assert_close(alone, both[i], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(both[0], both[1], atol=1e-2)
    assert not torch.allclose(both[1, 0], both[1, 1], atol=1e-2), "seeds have starts of their own"


def test_hidden_classes_reach_the_oracle_alone(lab, outputs, params):
    """Other hidden digits change the oracle and nobody else: no other teacher may peep."""
    shuffled = lab.data.hidden[torch.randperm(len(lab.data), generator=torch.Generator().manual_seed(0))]
    # Digits of the right half, but the wrong ones: classes stay, what is inside them does not.
    wrong = torch.where(lab.data.labels == 0, shuffled % 5, shuffled % 5 + 5)
    other = teachers(replace(lab, data=replace(lab.data, hidden=wrong)), params)
    for name, mine in outputs.items():
        same = torch.equal(mine["logits"], other[name]["logits"])
        assert same == (name != "oracle"), name


def test_hidden_classes_of_a_class_stand_together(lab):
    data = replace(lab.data, labels=torch.tensor([1, 0, 1, 0, 1, 0]), hidden=torch.tensor([0, 9, 7, 4, 0, 9]),
                   images=lab.data.images[:6])
    blocks, sizes = hidden_blocks(replace(lab, data=data))
    assert blocks.tolist() == [2, 1, 3, 0, 2, 1] and sizes == (2, 2)
    assert hidden_blocks(lab)[1] == (5, 5)


def test_k_means_divides_each_class_by_its_own_pixels(lab):
    found = clusters(lab, lab.pool, (3, 4))
    assert found.shape == (2, 1797) and torch.equal(found, clusters(lab, lab.pool, (3, 4)))
    x, labels = lab.data.inputs.flatten(1), lab.data.labels
    for seed in range(2):
        pool, test = lab.pool[seed], lab.test[seed]
        assert torch.equal((found[seed, pool] >= 3).long(), labels[pool]), "training images keep to their class"
        centres = torch.stack([x[pool][found[seed, pool] == k].mean(0) for k in range(7)])
        nearest = torch.cdist(x[test], centres).argmin(-1)
        assert (nearest == found[seed, test]).float().mean() > 0.97, "up to k-means' own tolerance"
        assert ((found[seed, test] >= 3).long() != labels[test]).any(), "a test image's class is not given away"


def test_k_means_never_sees_a_test_image(lab):
    """Catches centres of all images of a class."""
    images = lab.data.images.clone()
    images[lab.test[0]] = images[lab.test[0]].flip(-1)
    other = replace(lab, data=replace(lab.data, images=images), seeds=lab.seeds[:1], pool=lab.pool[:1])
    assert torch.equal(clusters(other, other.pool, (3, 4))[0, lab.pool[0]],
                       clusters(lab, lab.pool, (3, 4))[0, lab.pool[0]])


def test_k_means_is_the_same_whatever_the_order_of_its_sums(monkeypatch):
    """The last digit of a sum differs between machines, as it does between orders of the pixels. Seed 15 found two
    other subclasses by it, seeds 5 and 9 with ten of them: their pictures lie equally far from two centres."""
    import sklearn.cluster

    order = torch.randperm(64, generator=torch.Generator().manual_seed(0)).numpy()

    class Permuted(sklearn.cluster.KMeans):
        def fit_predict(self, x):
            found = super().fit_predict(x[:, order].copy())
            self.cluster_centers_[:, order] = self.cluster_centers_.copy()
            return found

    for seed, sizes in ((15, (5, 5)), (5, (10, 10)), (9, (10, 10))):
        lab = Splits.of(grouped("digits-2x5"), 1, seed)
        with monkeypatch.context() as patch:
            patch.setattr(sklearn.cluster, "KMeans", Permuted)
            other = clusters(lab, lab.pool, sizes)
        assert torch.equal(clusters(lab, lab.pool, sizes), other), seed


@pytest.mark.parametrize(("seed", "sizes"), [(15, (5, 5)), (5, (10, 10)), (9, (10, 10))])
def test_the_clusters_of_a_seed_do_not_depend_on_the_seed_beside_it(seed, sizes):
    """Catches ties that are broken by another seed's jitter: these seeds have pictures equally far from two centres."""
    alone, second = Splits.of(grouped("digits-2x5"), 1, seed), Splits.of(grouped("digits-2x5"), 2, seed - 1)
    assert torch.equal(clusters(alone, alone.pool, sizes)[0], clusters(second, second.pool, sizes)[1])


def test_features_are_standardised_on_what_the_teacher_saw(lab, outputs):
    hidden = outputs["two-class"]["hidden"]
    seen = hidden.gather(1, lab.pool[..., None].expand(-1, -1, 64))
    alive = seen.std(1, correction=0) > 0
    torch.testing.assert_close(seen.mean(1), torch.zeros(2, 64), atol=1e-4, rtol=0)
    torch.testing.assert_close(seen.std(1, correction=0)[alive], torch.ones(int(alive.sum())), atol=1e-3, rtol=0)
    assert hidden.isfinite().all()


@pytest.mark.parametrize("needed, words", [(1, ("class 1", "0")), (3, ("3", "class 1", "0"))])
def test_a_class_without_examples_is_refused(needed, words, refuses):
    with refuses(*words):
        enough_of_each(torch.tensor([[0, 0, 0, 2, 2, 2]]), 3, needed)
    enough_of_each(torch.tensor([[0, 1, 2], [2, 1, 0]]), 3)


def test_what_is_measured_of_a_teacher_agrees_with_a_count_by_hand(small, lab):
    logits = subclass_teachers(lab, lab.pool, (5, 5), [(0.0, 0.5), (0.3, 0.5)],
                               recipe=Recipe(10, batch=128, lr=5e-3))[1]
    for i, seed in enumerate(lab.seeds):
        z, digits = logits[i, lab.test[i]], lab.data.hidden[lab.test[i]]
        (row,) = small[0].where(part="discovery", method="contrastive", s=5, seed=seed).to_dict("records")
        found = z.argmax(-1)
        p = z.softmax(-1).unflatten(-1, (2, 5)).sum(-1)
        right = (p.argmax(-1) == (digits >= 5)).float().mean()
        assert row["accuracy"] == pytest.approx(100 * float(right), abs=1e-4), "by the class's sum, not the argmax"
        assert row["nmi"] == pytest.approx(100 * normalized_mutual_info_score(digits, found))
        assert row["used"] == sum(int((found == k).sum()) >= 5.97 for k in range(10))


def test_teachers_are_measured_on_test_images_only(lab):
    """Catches subclasses that are counted over the training images, or over all."""
    logits = torch.zeros(2, len(lab.data), 10)
    logits[..., 0] = 1
    for i, test in enumerate(lab.test):
        logits[i, test] = torch.nn.functional.one_hot(lab.data.hidden[test], 10).float()
    for row in discovered(lab, logits, (5, 5), method="made up"):
        assert [row[name] for name in ("used", "hungarian", "purity", "nmi", "ari", "accuracy")] == pytest.approx(
            [10, 100, 100, 100, 100, 100])


def test_the_oracle_finds_the_digits_and_two_outputs_find_two_classes(params):
    """Of even and odd digits, whose subclasses do not stand in the order of the digits."""
    enough = replace(params, seeds=1, teacher_steps=150)
    data = superclasses(load("digits"), {"even": range(0, 10, 2), "odd": range(1, 10, 2)})
    lab = Splits.of(data, 1, 3)
    found = teachers(lab, enough)
    rows = pd.DataFrame(discovered(lab, found["oracle"]["logits"], (5, 5), method="oracle")
                        + discovered(lab, found["two-class"]["logits"], (1, 1), method="two-class")).set_index("method")
    assert rows.hungarian["oracle"] > 85 and rows.used["oracle"] == 10
    assert rows.accuracy["oracle"] > 85, "its outputs are blocked by class"
    assert rows.hungarian["two-class"] < 25 and rows.used["two-class"] == 2


def test_label_teachers_give_logits_and_the_last_hidden_layer(lab):
    logits, hidden = label_teachers(lab, lab.pool, lab.data.labels, 2, QUICK)
    assert logits.shape == (2, 1797, 2) and hidden.shape == (2, 1797, 64) and bool((hidden >= 0).all())
