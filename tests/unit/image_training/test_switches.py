"""Training of image networks: every switch gives what the plain way gives."""

import math
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from made_pictures import CLASSES, N, alike, made_data, made_pictures, made_teacher, trained
from torch.utils._python_dispatch import TorchDispatchMode

from kdutils.datasets.augment import crop_flip
from kdutils.networks import image_network
from kdutils.objectives import distillation, hard_labels
from kdutils.training import (
    PLAIN,
    CachedTeacher,
    ImageRecipe,
    ImageTask,
    Knobs,
    Speedups,
    image_logits,
    image_step,
    image_steps,
    images,
)
from kdutils.training.images import prepared
from kdutils.training.switches import fast
from kdutils.training.views import cached_if_it_fits


def written_out(pictures, teacher, recipe, temperature=4.0, seed=3):
    """Ordinary torch: one network, torch's SGD, torch's losses, a scheduler; pictures cut one by one."""
    student = image_network("resnet8", CLASSES, seed=seed).to(pictures.device).train()
    sgd = torch.optim.SGD(student.parameters(), lr=recipe.lr, momentum=recipe.momentum,
                          weight_decay=recipe.weight_decay, nesterov=recipe.nesterov)
    milestones = [math.ceil(recipe.steps * part) for part in (0.625, 0.75, 0.875)]
    scheduler = torch.optim.lr_scheduler.MultiStepLR(sgd, milestones, gamma=0.1)
    data, losses = made_data(pictures.device), []
    mean, std = (torch.tensor(part, device=pictures.device)[:, None, None]
                 for part in (pictures.normalisation.mean, pictures.normalisation.std))
    for row in prepared(ImageTask(pictures, seed), recipe, recipe.steps):
        x = (crop_flip(data.images[row["index"]], row["view"], 1) / 255 - mean) / std
        with torch.no_grad():
            soft = F.softmax(teacher.network(x) / temperature, 1)
        logits = student(x)
        loss = 0.9 * temperature**2 * F.kl_div(F.log_softmax(logits / temperature, 1), soft, reduction="batchmean")
        loss = loss + 0.1 * F.cross_entropy(logits, data.labels[row["index"]])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        scheduler.step()
        losses.append(loss.item())
    return torch.tensor(losses), student


@pytest.mark.parametrize("nesterov", [False, True])
def test_all_switches_off_is_ordinary_torch(nesterov, device):
    """Momentum, weight decay, schedule, normalisation, crop and loss, each against torch's own."""
    pictures = made_pictures(device)
    recipe = ImageRecipe(steps=24, batch=12, momentum=0.8, nesterov=nesterov, weight_decay=0.02)
    expected, network = written_out(pictures, made_teacher(pictures), recipe)
    found, student = trained(pictures, made_teacher(pictures), recipe=recipe)
    alike(found, expected, device)
    near = 1e-4 if device == "cpu" else 1e-2
    for name, value in network.state_dict().items():
        torch.testing.assert_close(student.state_dict()[name], value, rtol=10 * near, atol=near)


@pytest.mark.parametrize("switches", [Speedups(channels_last=True, cudnn_benchmark=True), Speedups(fused=True),
                                      Speedups(channels_last=True, fused=True, folded=True)], ids=str)
def test_fast_paths_in_single_precision_equal_the_plain_one(switches, device):
    pictures = made_pictures(device)
    plain, _ = trained(pictures, made_teacher(pictures))
    quick, _ = trained(pictures, made_teacher(pictures, switches), switches)
    assert len(plain) == 50
    alike(quick, plain, device)


def test_weights_lie_in_the_order_of_the_switches():
    """In another order every convolution would turn its weights over, at every step."""
    pictures, switches = made_pictures(), Speedups(channels_last=True)
    _, student = trained(pictures, teacher := made_teacher(pictures, switches), switches,
                         recipe=ImageRecipe(steps=1, batch=12))
    for network in (student, teacher.network):
        weight = network.get_submodule("stage2.0.conv2").weight
        assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


def test_bf16_stays_near_and_its_loss_is_in_single_precision(device):
    pictures, switches = made_pictures(device), Speedups(bf16=True)
    plain, _ = trained(pictures, made_teacher(pictures))
    quick, student = trained(pictures, made_teacher(pictures, switches), switches)
    assert 0 < (quick - plain).abs().max() < 0.2 * plain.max()
    assert quick.dtype == torch.float32 and all(value.dtype == torch.float32 for value in student.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_recorded_steps_equal_the_plain_ones(compiled, kept, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    pictures, switches = made_pictures("cuda"), Speedups(
        channels_last=True, compiled=compiled, cuda_graphs=True, fused=True)
    plain, _ = trained(pictures, made_teacher(pictures))
    teacher = made_teacher(pictures, switches)
    quick, _ = trained(pictures, CachedTeacher(teacher, pictures, "float32") if kept else teacher, switches)
    alike(quick, plain, "cuda")


@pytest.mark.parametrize("augmentation", [{}, {"mixup": 0.5, "cutout": 3}, {"cutmix": 1.0}], ids=str)
def test_the_usual_switches_go_through_all_that_a_training_meets(augmentation, device):
    """Kept answers or mixed images, a schedule that falls, a consumer that evaluates, a knob that is turned: a
    recording that did not see one of them would leave the plain path."""
    pictures, data, found = made_pictures(device, **augmentation), made_data(device), []
    compiled = device == "cuda" and not augmentation  # takes most of the time, and once is enough
    for switches in (PLAIN, fast(device, compiled)):
        teacher = made_teacher(pictures, switches)
        if not augmentation:
            teacher = cached_if_it_fits(teacher, pictures, CLASSES)
        knobs, student = Knobs(temperature=4.0, alpha=0.9), image_network("resnet8", CLASSES, seed=3)
        recipe = ImageRecipe(steps=24, batch=20, lr=0.01, schedule="one-cycle")
        losses = []
        for snapshot in image_steps(student, ImageTask(pictures, 3, teacher), distillation, knobs, recipe, switches, 4):
            losses.append(snapshot.loss.cpu())
            z = image_logits(student, data, torch.arange(N, device=device), pictures.normalisation, switches)
            if snapshot.step == 12:
                knobs.set(alpha=0.3)
        found.append((torch.cat(losses[1:]), z.cpu()))
    (plain, exact), (quick, near) = found
    assert (quick - plain).abs().max() < 0.02 * plain.max() and plain[3] > 2 * plain[2], "measured: 0.003"
    assert (near - exact).norm() < 0.25 * exact.norm(), "measured: 0.08"


def test_what_is_recorded_sees_each_batch_each_rate_and_each_knob(monkeypatch):
    """The bookkeeping around a recording, without a GPU: a row not copied, a rate or a knob frozen at first sight."""
    pictures, recordings = made_pictures(), []

    def remember(work, stream):
        recordings.append(work)
        return work

    monkeypatch.setattr(torch.cuda, "Stream", object)
    monkeypatch.setattr(image_step, "aside", lambda stream: nullcontext())
    monkeypatch.setattr(image_step, "capture", remember)
    monkeypatch.setattr(Speedups, "check", lambda *_: None)
    found = {}
    for graphs in (False, True):
        knobs, student = Knobs(temperature=4.0, alpha=0.9), image_network("resnet8", CLASSES, seed=3)
        run = image_steps(student, ImageTask(pictures, 3, made_teacher(pictures)), distillation, knobs,
                          ImageRecipe(steps=12, batch=12), Speedups(cuda_graphs=graphs), every=1)
        losses, untimed = [], []
        for snapshot in run:
            losses.append(snapshot.loss.item())
            untimed.append(math.isnan(snapshot.images_per_second))
            if snapshot.step == 8:
                knobs.set(temperature=2.0)
        found[graphs] = torch.tensor(losses[1:])
        assert untimed == [True] * (5 if graphs else 1) + [False] * (8 if graphs else 12)
    assert len(recordings) == 2
    torch.testing.assert_close(found[True], found[False], rtol=0, atol=1e-6)


def test_a_recorded_rate_is_no_whole_number(monkeypatch):
    """lr=1, as a YAML file gives it, must not make 0 of every later rate of the schedule."""
    monkeypatch.setattr(torch.cuda, "Stream", object)
    monkeypatch.setattr(image_step, "aside", lambda stream: nullcontext())
    task, recipe, student = ImageTask(made_pictures()), ImageRecipe(lr=1, batch=12), image_network("resnet8", CLASSES)
    step = images.GraphStep(student, task, hard_labels, recipe, Speedups(fused=True), ("logits",))
    step(next(prepared(task, recipe, 1)), 0.04, {})
    assert step.lr.item() == pytest.approx(0.04) and step.optimizer.param_groups[0]["lr"] is step.lr


class ReadBack(TorchDispatchMode):
    """Fails at whatever makes the program wait for the device: a value read, a size that depends on values."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.overloadpacket not in {torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero,
                                           torch.ops.aten.masked_select, torch.ops.aten._unique2,
                                           torch.ops.aten.equal, torch.ops.aten.is_nonzero}, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("kept", "augmentation"), [
    (False, {}), (True, {}), (False, {"mixup": 0.5, "cutout": 3}), (False, {"cutmix": 1.0})], ids=str)
def test_nothing_is_read_back_inside_a_step(kept, augmentation):
    """An .item(), an index of booleans: a GPU would wait for the program at each step, and could not be recorded."""
    pictures, recipe = made_pictures(**augmentation), ImageRecipe(batch=12, steps=3)
    teacher = made_teacher(pictures, Speedups(bf16=True, folded=True))
    task = ImageTask(pictures, 3, CachedTeacher(teacher, pictures) if kept else teacher)
    step = images.Step(image_network("resnet8", CLASSES), task, distillation, recipe, Speedups(bf16=True), ("logits",))
    rows = list(prepared(task, recipe, 3))
    with ReadBack():
        for row in rows:
            step(row, 0.05, {"temperature": 4.0, "alpha": 0.9})


def test_the_loss_compiles_whole(monkeypatch):
    """A graph break would cost a launch per piece; mixtures and kept answers compile too."""
    compiles, compiler = [], torch.compile

    def traced(what, **how):
        compiles.append(what)
        return compiler(what, backend="eager", fullgraph=True, **how)

    monkeypatch.setattr(torch, "compile", traced)
    pictures, recipe = made_pictures(mixup=0.5), ImageRecipe(steps=3, batch=12)
    plain, _ = trained(pictures, made_teacher(pictures), recipe=recipe)
    switches = Speedups(compiled=True)
    quick, _ = trained(pictures, made_teacher(pictures, switches), switches, recipe=recipe)
    torch.testing.assert_close(quick, plain, rtol=0, atol=1e-5)
    assert len(compiles) == 2  # the student's loss, the teacher
