"""The loop of image training: batches, snapshots, schedules, and what is refused before any work."""

import itertools
import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from made_pictures import CLASSES, SHORT, SIDE, N, made_data, made_pictures, made_teacher, trained

from kdutils.datasets.augment import Augmentation, Normalisation
from kdutils.networks import image_network
from kdutils.objectives import hard_labels
from kdutils.training import (
    PLAIN,
    CachedTeacher,
    ImageRecipe,
    ImageTask,
    Pictures,
    Speedups,
    image_logits,
    image_steps,
)
from kdutils.training.images import SCHEDULES, prepared
from kdutils.training.memory import free_memory
from kdutils.training.switches import CHOICES, chosen, fast


def test_batches_are_shuffled_views_change_and_arms_of_a_seed_are_paired():
    pictures = made_pictures()
    rows = list(prepared(ImageTask(pictures, 5), SHORT, 70))
    again = list(prepared(ImageTask(pictures, 5, made_teacher(pictures)), SHORT, 70))
    other = next(prepared(ImageTask(pictures, 6), SHORT, 70))
    assert len(rows) == 70
    assert all(torch.equal(a[name], b[name]) for a, b in zip(rows, again, strict=True) for name in ("index", "view"))
    first, second = (torch.cat([row["index"] for row in rows[i:i + 3]]) for i in (0, 3))
    assert first.sort().values.equal(torch.arange(N)) and second.sort().values.equal(torch.arange(N))
    assert not first.equal(second) and not rows[0]["index"].equal(other["index"])
    assert not torch.cat([row["view"] for row in rows[:3]]).equal(torch.cat([row["view"] for row in rows[3:6]]))


def test_a_mixture_has_two_labels():
    """mixup: weight * loss(labels) + (1 - weight) * loss(partners' labels), of one forward pass on the mixed image."""
    pictures = made_pictures(mixup=1.0)
    task, recipe = ImageTask(pictures, 3), ImageRecipe(steps=1, batch=12)
    row = next(prepared(task, recipe, 1))
    x = pictures.normalisation.on("cpu", SIDE)(pictures.windows.take(row["index"], row["view"]))
    x = row["weight"] * x + (1 - row["weight"]) * x[row["partner"]]
    labels, network = pictures.labels[row["index"]], image_network("resnet8", CLASSES, seed=3)
    logits = network(x)
    expected = (row["weight"] * F.cross_entropy(logits, labels)
                + (1 - row["weight"]) * F.cross_entropy(logits, labels[row["partner"]]))
    found, student = trained(pictures, recipe=recipe, objective=hard_labels)
    torch.testing.assert_close(found[0], expected.detach())
    torch.testing.assert_close(student.stem[1].running_mean, network.stem[1].running_mean)
    assert student.stem[1].num_batches_tracked == 1


def test_holes_and_boxes_reach_the_network():
    recipe = ImageRecipe(steps=2, batch=12)
    plain, _ = trained(made_pictures(), recipe=recipe, objective=hard_labels)
    for what in ({"cutout": 6}, {"cutmix": 1.0}):
        found, _ = trained(made_pictures(**what), recipe=recipe, objective=hard_labels)
        assert abs(found[0] - plain[0]) > 1e-5


def test_noisy_labels_are_learnt_instead():
    pictures, recipe = made_pictures(), ImageRecipe(steps=2, batch=12)
    noisy = (pictures.labels + 1) % CLASSES
    plain, _ = trained(pictures, recipe=recipe, objective=hard_labels)
    found, _ = trained(pictures, recipe=recipe, objective=hard_labels, labels=noisy)
    assert not torch.allclose(plain, found)


def test_features_reach_the_objective():
    """A feature method asks for what it reads; nothing else is kept."""
    seen = []

    def objective(student, teacher, labels, knobs):
        seen.append(list(student))
        return hard_labels(student, teacher, labels, knobs)

    run = image_steps(image_network("resnet8", CLASSES), ImageTask(made_pictures()), objective,
                      recipe=ImageRecipe(steps=1, batch=12), reads=("stage2", "logits"))
    list(run)
    assert seen == [["stage2", "logits"]]


def test_snapshots_come_when_asked_and_a_closed_run_stops():
    student, task = image_network("resnet8", CLASSES), ImageTask(made_pictures())
    run = image_steps(student, task, hard_labels, recipe=ImageRecipe(epochs=2.4, batch=12), every=5)
    found = [(s.step, s.steps) for s in run]
    assert found == [(0, 12), (5, 12), (10, 12), (12, 12)]
    run = image_steps(student, task, hard_labels, recipe=ImageRecipe(epochs=2, batch=12))
    first, second = next(run), next(run)
    assert second.step == 5 and math.isnan(first.loss.item()) and math.isfinite(second.loss.item())
    assert math.isnan(first.images_per_second) and second.images_per_second > 0 and second.seconds > 0
    weights = {name: value.clone() for name, value in student.state_dict().items()}
    run.close()
    assert all(torch.equal(value, weights[name]) for name, value in student.state_dict().items())


def test_a_snapshot_has_the_mean_since_the_last_one():
    """The last stretch may be shorter; each mean has its own steps only."""
    recipe = ImageRecipe(steps=10, batch=12)
    each, means = (trained(made_pictures(), objective=hard_labels, recipe=recipe, every=every)[0] for every in (1, 4))
    torch.testing.assert_close(means, torch.stack([part.mean() for part in each.split(4)]))


def test_a_caller_without_gradients_trains_all_the_same():
    recipe = ImageRecipe(steps=3, batch=12)
    expected, _ = trained(made_pictures(), objective=hard_labels, recipe=recipe)
    with torch.no_grad():
        found, _ = trained(made_pictures(), objective=hard_labels, recipe=recipe)
    assert torch.equal(found, expected)


def test_epochs_are_rounded_to_whole_steps():
    assert [ImageRecipe(epochs=epochs, batch=20).total(70) for epochs in (0.1, 1, 1.6, 2.5)] == [1, 3, 5, 8]


def test_a_consumer_may_evaluate_and_the_student_learns_on():
    """A known bug elsewhere: evaluation leaves the student in evaluation mode for good."""
    pictures, data = made_pictures(), made_data()
    losses = []
    student = image_network("resnet8", CLASSES, seed=3)
    for snapshot in image_steps(student, ImageTask(pictures, 3), hard_labels, recipe=SHORT, every=10):
        image_logits(snapshot.network, data, torch.arange(10), pictures.normalisation)
        assert snapshot.network.training
        snapshot.network.eval()
        losses.append(snapshot.loss)
    undisturbed, _ = trained(pictures, objective=hard_labels, every=10)
    assert torch.equal(torch.cat(losses[1:]), undisturbed)


def test_logits_are_of_images_as_they_are(device):
    """Evaluation mode, no augmentation, whatever the chunk."""
    data, network = made_data(device), image_network("resnet8", CLASSES).to(device)
    normal = Normalisation.of(data, torch.arange(N, device=device))
    index = torch.tensor([5, 3, 50, 1, 7], device=device)
    mean, std = (torch.tensor(part, device=device)[:, None, None] for part in (normal.mean, normal.std))
    expected = network.eval()((data.images[index] / 255 - mean) / std)
    found = image_logits(network.train(), data, index, normal, chunk=2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert network.training


def test_the_schedule_of_the_benchmarks():
    """240 epochs: a tenth at 150, 180 and 210. Late by one epoch would be a different recipe."""
    at = partial(lambda epoch: SCHEDULES["step"](epoch / 240))
    assert [at(epoch) for epoch in (0, 149, 150, 179, 180, 209, 210, 239)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_one_cycle_rises_and_falls_to_nothing():
    values = [SCHEDULES["one-cycle"](step / 1000) for step in range(1000)]
    assert values[0] == pytest.approx(0.04) and max(values) == values[300] == 1 and values[-1] < 1e-4
    assert all(b > a for a, b in itertools.pairwise(values[:301])) and all(b < a for a, b in
                                                                            itertools.pairwise(values[300:]))


def test_wrong_arguments_are_refused_before_any_work(refuses):
    pictures = made_pictures()
    student = image_network("resnet8", CLASSES)
    with refuses("schedule", "stepwise"):
        ImageRecipe(schedule="stepwise")
    with refuses("batch", "1"):
        ImageRecipe(batch=1)
    with refuses("nesterov", "momentum"):
        ImageRecipe(nesterov=True, momentum=0)
    with refuses("feature", "stage9"):
        image_steps(student, ImageTask(pictures), hard_labels, reads=("stage9",))
    with refuses("every", "-1"):
        image_steps(student, ImageTask(pictures), hard_labels, every=-1)
    with refuses("labels", f"({N},)"):
        ImageTask(pictures, labels=torch.zeros(3, dtype=torch.int64))
    with refuses("cuda_graphs", "cpu"):
        image_steps(student, ImageTask(pictures), hard_labels, switches=Speedups(cuda_graphs=True))
    with refuses("online", "mixup"):
        views = CachedTeacher(made_teacher(pictures), pictures)
        ImageTask(pictures, teacher=views, augmentation=Augmentation(pad=1, mixup=0.2))
    others = Pictures.of(made_data(), torch.arange(N).flip(0), Augmentation(pad=1))
    with refuses("kept answers", pictures.fingerprint, others.fingerprint):  # each would be to another image
        ImageTask(pictures, teacher=CachedTeacher(made_teacher(others), others))
    with refuses("finitely many", "cutout=3"):
        CachedTeacher(made_teacher(pictures), made_pictures(cutout=3))
    with refuses("kept_as", "bfloat16"):
        CachedTeacher(made_teacher(pictures), pictures, "bfloat16")
    with refuses("pad", "pad=1", "pad=2"):
        ImageTask(pictures, augmentation=Augmentation(pad=2))
    with refuses("switches", "slow"):
        chosen("slow", "cpu")


def test_switches_say_what_is_on_and_leave_cudnn_as_it_was():
    before = torch.backends.cudnn.benchmark
    with Speedups(cudnn_benchmark=not before).set():
        assert torch.backends.cudnn.benchmark is not before
    assert torch.backends.cudnn.benchmark is before
    assert str(PLAIN) == "all switches off" and str(Speedups(bf16=True, fused=True)) == "bf16, fused"
    assert chosen("plain", "cpu") == PLAIN and not chosen("single precision", "cpu").bf16
    assert fast("cuda").cuda_graphs and not fast("cpu").cuda_graphs and not CHOICES["fast"]("cpu").compiled


def test_free_memory_is_a_number_of_bytes_or_unknown():
    found = free_memory("cpu")
    assert found is None or 2**20 < found < 2**50


def test_memory_that_torch_has_taken_and_does_not_use_is_free(monkeypatch):
    """The driver counts it as used: a second teacher's answers would not fit where the first's were dropped."""
    for name, value in (("mem_get_info", (30, 100)), ("memory_reserved", 60), ("memory_allocated", 45)):
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    assert free_memory("cuda") == 30 + 60 - 45
