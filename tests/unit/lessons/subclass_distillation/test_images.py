"""Subclass distillation with image networks: who is told what, who is paired with whom, what is refused."""

import pytest
import torch

from kdutils.datasets import grouped
from kdutils.lessons.subclass_distillation import images as subclass_images
from kdutils.lessons.subclass_distillation.images import SubclassImages
from kdutils.networks import ImageNetwork


def test_image_networks_are_told_what_their_method_says(monkeypatch):
    """Each student hears the teacher trained just before it; only the oracle sees fine labels, in blocks of a class."""
    asked, tasks, starts, compared, kept = [], [], [], [], []
    real, agreement = subclass_images.image_steps, subclass_images.metrics.agreement

    def watched(network, task, objective, knobs, recipe, switches):
        asked.append((network.logits.out_features, task.teacher, task.labels, dict(knobs.read(1, torch.device("cpu")))))
        tasks.append(task)
        starts.append(network.state_dict()["logits.weight"].clone())
        return real(network, task, objective, knobs, recipe, switches)

    def noted(found, truth):
        compared.append(truth)
        return agreement(found, truth)

    monkeypatch.setattr(subclass_images, "image_steps", watched)
    monkeypatch.setattr(subclass_images.metrics, "agreement", noted)
    params = SubclassImages(seeds=1, data="digits-2x5", pair="wrn-10-2:resnet8", epochs=1, batch=32, images=64, seed=4,
                            switches="plain", beta=0.3, t_aux=0.5, alpha=0.4, temperature=3.0)
    results = subclass_images.run(params, keep=kept.append)
    assert results.complete and [len(one.table) for one in kept] == list(range(1, 10))
    rows = results.table
    assert rows.method.tolist() == ["hard labels", *(m for m in subclass_images.TEACHERS for _ in range(2))]
    assert rows.role.tolist() == ["student", *["teacher", "student"] * 4]
    assert [width for width, *_ in asked] == [2, 2, 2, 10, 10, 10, 10, 10, 10]
    assert [teacher is not None for _, teacher, *_ in asked] == [False, *[False, True] * 4]
    assert [labels is not None for _, _, labels, _ in asked] == [False] * 7 + [True, False]
    assert rows.network.tolist() == [{"teacher": "wrn-10-2", "student": "resnet8"}[role] for role in rows.role]
    data, bench = grouped("digits-2x5"), subclass_images.prepare(params)
    _, _, fine, _ = asked[7]
    assert torch.equal((fine >= 5).long(), data.labels[bench.train]) and fine.max() == 9
    assert [values.get("beta") for *_, values in asked[1::2]] == [0, 0, 0.3, 0]
    assert all(values == {"alpha": 0.4, "temperature": 3.0} for *_, values in asked[2::2])
    assert {task.seed for task in tasks} == {4} == set(rows.seed)
    assert all(torch.equal(start, ImageNetwork("resnet8", len(start), 1).module(4).logits.weight)
               for start in starts[2::2])
    assert not bench.pictures.augmentation.flip and not torch.isin(bench.train, bench.test).any()
    assert len(compared) == 4 and all(torch.equal(truth, data.hidden[bench.test]) for truth in compared)
    assert rows.hungarian.notna().tolist() == [role == "teacher" for role in rows.role]


@pytest.mark.parametrize("wrong, words", [
    ({"pair": "resnet8"}, ("pair", "resnet8")), ({"pair": "resnet8:resnet9"}, ("resnet9",)),
    ({"subclasses": 0}, ("subclasses", "0")), ({"t_aux": -1}, ("t_aux", "-1")), ({"beta": -1}, ("beta", "-1")),
    ({"alpha": -0.5}, ("alpha", "-0.5")), ({"seeds": 0}, ("seeds", "0")), ({"epochs": 0}, ("epochs", "0"))])
def test_image_networks_refuse_impossible_parameters(wrong, words, refuses):
    with refuses(*words):
        SubclassImages(**wrong)


def test_more_subclasses_than_examples_are_refused_before_any_training(monkeypatch, refuses):
    monkeypatch.setattr(subclass_images, "image_steps", lambda *_, **__: pytest.fail("trained before checking"))
    with refuses("every class", "20"):
        subclass_images.run(SubclassImages(data="digits-2x5", pair="resnet8:resnet8", subclasses=20, images=30))
