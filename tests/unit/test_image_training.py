"""The loop for one image network against ordinary torch code, and the teacher that is asked once per picture."""

import itertools
import math
from contextlib import nullcontext
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from kdutils.datasets import Dataset
from kdutils.datasets.augment import Augmentation, Normalisation, crop_flip, cutout
from kdutils.networks import image_network
from kdutils.objectives import distillation, hard_labels
from kdutils.training import (
    PLAIN,
    CachedTeacher,
    ImageRecipe,
    ImageTask,
    Knobs,
    Pictures,
    Speedups,
    Teacher,
    image_logits,
    image_step,
    image_steps,
    images,
)
from kdutils.training.images import SCHEDULES, prepared
from kdutils.training.memory import free_memory
from kdutils.training.switches import CHOICES, chosen, fast
from kdutils.training.views import cached_if_it_fits

SIDE, N, CLASSES = 8, 60, 5
SHORT = ImageRecipe(steps=50, batch=20, lr=0.005)  # small batches and large rates amplify rounding


def made_data(device="cpu"):
    """Classes that differ in colour, so that something is learnt."""
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (N,), generator=random)
    pixels = torch.randint(0, 120, (N, 3, SIDE, SIDE), generator=random) + 25 * labels[:, None, None, None]
    return Dataset("made", pixels.to(torch.uint8), labels, tuple("abcde")).to(device)


def made_pictures(device="cpu", **augmentation):
    return Pictures.of(made_data(device), torch.arange(0, N, device=device), Augmentation(pad=1, **augmentation))


def made_teacher(pictures, switches=PLAIN, seed=9):
    """A teacher with lived-in batch norm statistics."""
    network = image_network("resnet8", CLASSES, seed=seed).to(pictures.device)
    normalise = pictures.normalisation.on(pictures.device, SIDE)
    index = torch.arange(N, device=pictures.device)
    for _ in range(5):
        network(normalise(pictures.windows.take(index, torch.zeros_like(index))))
    return Teacher(network, pictures.normalisation, switches)


def trained(pictures, teacher=None, switches=PLAIN, seed=3, recipe=SHORT, temperature=4.0, objective=distillation,
            every=1, **task):
    """Losses (steps,) of a small student, and the student."""
    student = image_network("resnet8", CLASSES, seed=seed)
    run = image_steps(student, ImageTask(pictures, seed, teacher, **task), objective,
                      Knobs(temperature=temperature, alpha=0.9), recipe, switches, every)
    return torch.cat([snapshot.loss for snapshot in itertools.islice(run, 1, None)]).cpu(), student


def alike(found, expected, device="cpu"):
    """Losses (steps,) that differ by rounding only: to 1e-5.

    A GPU adds in another order from one algorithm to the next, and where a ReLU is near its kink 1e-7 of that is 1e-4
    after 40 steps: there, the first 5 steps to 2e-5, less than a TF32 convolution's error, and all of them to 1e-3.
    """
    if torch.device(device).type == "cuda":
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)
        torch.testing.assert_close(found[:5], expected[:5], rtol=0, atol=2e-5)
    else:
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


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


# The teacher's answers


def test_pictures_are_known_by_what_they_are_made_of():
    """Answers to other images, or cut otherwise, must not be found; the test images lend nothing to normalisation."""
    data, train = made_data(), torch.arange(30)
    made = [Pictures.of(data, index, how) for index, how in (
        (train, Augmentation(pad=1)), (train + 1, Augmentation(pad=1)), (train, Augmentation(pad=2)),
        (train, Augmentation(pad=1, flip=False)), (train, Augmentation(pad=1)))]
    assert len({pictures.fingerprint for pictures in made}) == 4 and made[0].fingerprint == made[-1].fingerprint
    assert made[0].normalisation == Normalisation.of(data, train) != Normalisation.of(data, torch.arange(N))


def test_a_teacher_is_known_by_its_weights_and_by_how_it_computes():
    network, usual = image_network("resnet8", CLASSES), Normalisation((0.5,) * 3, (0.2,) * 3)
    ways = [PLAIN, Speedups(bf16=True), Speedups(folded=True), Speedups(bf16=True, folded=True)]
    digests = {Teacher(network, usual, switches).digest for switches in ways}
    digests |= {Teacher(network, Normalisation((0.5,) * 3, (0.3,) * 3)).digest}
    assert len(digests) == 5
    assert Teacher(network, usual, Speedups(fused=True)).digest in digests, "what changes no answer changes no key"


class Fingerprint(nn.Module):
    """A teacher whose answer says which picture it was shown: its corner and centre pixels."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return torch.stack([x[:, 0, 0, 0], x[:, 1, 0, -1], x[:, 2, -1, 0], x[:, 0, -1, -1], x[:, 1, 3, 4]], 1)


@pytest.mark.parametrize("flip", [True, False])
def test_every_answer_lies_at_its_picture(flip, device):
    """An off-by-one in image or view, a table of (view, image), a mirror on one side only: all answers would differ."""
    pictures = made_pictures(device, flip=flip)
    teacher = Teacher(Fingerprint().to(device), pictures.normalisation)
    views = CachedTeacher(teacher, pictures, "float32", chunk=7)
    index, view = (grid.flatten() for grid in torch.meshgrid(torch.arange(N), torch.arange(views.views), indexing="ij"))
    shuffled = torch.randperm(len(index), generator=torch.Generator().manual_seed(0))
    for part in shuffled.split(101):
        views.prepare(index[part], view[part])
    index, view = index.to(device), view.to(device)
    pixels = crop_flip(made_data(device).images[index], view, 1)
    assert torch.equal(views(index, view)["logits"], teacher(index, view, pixels)["logits"])
    assert len(views(index, view)["logits"].unique(dim=0)) > 0.9 * len(index), "the teacher cannot tell pictures apart"


def test_kept_answers_give_the_loss_of_the_teacher_in_the_loop(device):
    """50 steps with shuffled order and random views; fp32 to 1e-5."""
    pictures = made_pictures(device)
    online, _ = trained(pictures, made_teacher(pictures))
    kept, _ = trained(pictures, CachedTeacher(made_teacher(pictures), pictures, "float32"))
    alike(kept, online, device)


def test_half_precision_rounds_answers_by_a_2048th(device):
    """The bound that is stated, logit by logit, and what it does to the loss: less than 1e-3 of it over 50 steps."""
    pictures = made_pictures(device)
    teacher = made_teacher(pictures)
    single, half = (CachedTeacher(teacher, pictures, kind) for kind in ("float32", "float16"))
    losses = [trained(pictures, views)[0] for views in (single, half)]
    there = single.there.view(-1)
    exact, rounded = single.table[there], half.table[there].float()
    assert ((rounded - exact).abs() <= exact.abs() / 2048 + 2**-25).all() and not torch.equal(rounded, exact)
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-3, atol=1e-3)


class Loud(Fingerprint):
    def forward(self, x):
        return 1e6 * super().forward(x)


def test_no_logit_overflows_in_half_precision():
    """An infinite logit would make every loss NaN."""
    pictures = made_pictures()
    views = CachedTeacher(Teacher(Loud(), pictures.normalisation), pictures)
    index, view = torch.arange(N), torch.zeros(N, dtype=torch.int64)
    views.prepare(index, view)
    exact = views.teacher.of_many(pictures.windows.take(index, view))
    assert exact.abs().max() > 65_504
    torch.testing.assert_close(views(index, view)["logits"], exact.clamp(-65_504, 65_504), rtol=1 / 2048, atol=0)


def test_a_gpus_teacher_sees_batches_of_one_size():
    """cuDNN would try all algorithms of all layers for each size of a last batch: seconds at every block of steps."""
    pictures = made_pictures()
    views, places = CachedTeacher(made_teacher(pictures), pictures, chunk=7), torch.arange(100, 130)
    assert torch.equal(views.batched(places), places)
    views.device = torch.device("cuda")
    assert torch.equal(views.batched(places), torch.cat([places, torch.full((5,), 129)]))
    assert torch.equal(views.batched(places[:14]), places[:14])


def test_a_picture_passes_through_the_teacher_once():
    """A second student, another temperature: no pass. Another seed: only pictures that nobody has seen."""
    pictures = made_pictures()
    views = CachedTeacher(made_teacher(pictures), pictures)
    trained(pictures, views)
    asked = views.asked
    assert asked == views.there.sum() < N * views.views
    trained(pictures, views)
    trained(pictures, views, temperature=1.0)
    assert views.asked == asked
    trained(pictures, views, seed=4)
    assert asked < views.asked == views.there.sum()


def test_answers_survive_on_disk(tmp_path, monkeypatch):
    """Another teacher, other pictures or another precision must not find them."""
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path))
    pictures = made_pictures()
    first = CachedTeacher(made_teacher(pictures), pictures)
    losses, _ = trained(pictures, first)
    first.keep()
    again = CachedTeacher(made_teacher(pictures), pictures)
    assert torch.equal(trained(pictures, again)[0], losses) and again.asked == 0
    for other in (CachedTeacher(made_teacher(pictures, seed=8), pictures),
                  CachedTeacher(made_teacher(pictures, Speedups(bf16=True)), pictures),
                  CachedTeacher(made_teacher(pictures), pictures, "float32"),
                  CachedTeacher(made_teacher(pictures), made_pictures(flip=False))):
        assert other.table is None and not other.there.any()
    before = sorted(path.stat().st_mtime_ns for path in tmp_path.iterdir())
    again.keep()
    assert sorted(path.stat().st_mtime_ns for path in tmp_path.iterdir()) == before, "nothing new, nothing written"


def test_memory_is_said_beforehand_and_decides():
    """CIFAR-100 in fp16: 1.6 GB. Where it does not fit the teacher stays in the loop, and a sentence says so."""
    assert CachedTeacher.bytes(50_000, 162, 100) == 1_620_000_000
    pictures, said = made_pictures(), []
    teacher = made_teacher(pictures)
    needed = CachedTeacher.bytes(N, 18, CLASSES)
    kept = cached_if_it_fits(teacher, pictures, CLASSES, report=said.append, room=needed)
    assert isinstance(kept, CachedTeacher) and "once" in said[-1] and "0.00 GB" in said[-1]
    assert cached_if_it_fits(teacher, pictures, CLASSES, report=said.append, room=needed - 1) is teacher
    assert "at every step" in said[-1] and said[-1].endswith("0.00 GB.")
    assert cached_if_it_fits(teacher, made_pictures(cutmix=1.0), CLASSES, report=said.append) is teacher
    assert isinstance(cached_if_it_fits(teacher, pictures, CLASSES), CachedTeacher)
    trained(pictures, kept)
    assert kept.table.untyped_storage().nbytes() == needed


def test_answers_take_half_of_what_is_free(monkeypatch):
    """The training itself needs the other half. Where nobody knows what is free, they are kept."""
    pictures = made_pictures()
    teacher, needed = made_teacher(pictures), CachedTeacher.bytes(N, 18, CLASSES)
    for free, kept in ((2 * needed, True), (2 * needed - 2, False), (None, True)):
        monkeypatch.setattr("kdutils.training.views.free_memory", lambda device, free=free: free)
        assert isinstance(cached_if_it_fits(teacher, pictures, CLASSES), CachedTeacher) == kept


@pytest.mark.parametrize("kept", [False, True])
def test_the_teacher_never_learns(kept):
    """Swapped roles, batch norm in training mode, a teacher that follows the network it was copied from."""
    pictures = made_pictures()
    teacher = made_teacher(pictures)
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    _, student = trained(pictures, CachedTeacher(teacher, pictures) if kept else teacher)
    assert all(torch.equal(value, before[name]) for name, value in teacher.network.state_dict().items())
    assert not teacher.network.training and not any(p.requires_grad for p in teacher.network.parameters())
    start = image_network("resnet8", CLASSES, seed=3).state_dict()
    assert not any(torch.equal(value, start[name]) for name, value in student.state_dict().items())


@pytest.mark.parametrize("name", ["resnet8", "wrn-10-2"])
def test_a_folded_teacher_in_bf16_answers_like_autocast(name):
    """Weights rounded twice, or batch norms that are not behind a convolution rounded at all, would be further off."""
    pictures = made_pictures()
    network = image_network(name, CLASSES, seed=2)
    images = pictures.normalisation.on("cpu", SIDE)(made_data().images)
    for _ in range(5):
        network(images)
    exact, cast, quick = (Teacher(network, pictures.normalisation, switches).of_many(made_data().images)
                          for switches in (PLAIN, Speedups(bf16=True), Speedups(bf16=True, folded=True)))
    assert (quick - exact).norm() < 1.5 * (cast - exact).norm() < 0.05 * exact.norm()


def test_a_teacher_is_its_own_copy():
    network = image_network("resnet8", CLASSES)
    teacher = Teacher(network, Normalisation((0.5,) * 3, (0.2,) * 3))
    digest = teacher.digest
    with torch.no_grad():
        network.logits.weight.zero_()
    assert teacher.network.logits.weight.any() and network.logits.weight.requires_grad and network.training
    assert teacher.digest == digest != Teacher(network, teacher.normalisation).digest


def test_the_teacher_has_its_own_normalisation():
    """A known bug elsewhere: the teacher is shown images normalised for the student."""
    pictures = made_pictures()
    dark = Normalisation((0.9, 0.9, 0.9), (0.1, 0.2, 0.3))
    teacher, index = Teacher(Fingerprint(), dark), torch.arange(4)
    pixels = pictures.windows.take(index, index)
    expected = Fingerprint()((pixels / 255 - 0.9) / torch.tensor([0.1, 0.2, 0.3])[:, None, None])
    torch.testing.assert_close(teacher(index, index, pixels)["logits"], expected)


def test_the_teacher_sees_the_mixed_images():
    """Asked about the images as they were before mixing, it would describe others than the student learns from."""
    pictures, told = made_pictures(mixup=1.0, cutout=3), []

    def objective(student, teacher, labels, knobs):
        told.append(teacher["logits"])
        return student["logits"].sum()

    task = ImageTask(pictures, 3, Teacher(Fingerprint(), pictures.normalisation))
    recipe = ImageRecipe(steps=1, batch=12)
    list(image_steps(image_network("resnet8", CLASSES), task, objective, Knobs(temperature=4.0, alpha=0.9), recipe))
    row = next(prepared(task, recipe, 1))
    x = pictures.normalisation.on("cpu", SIDE)(pictures.windows.take(row["index"], row["view"]))
    x = cutout(x, row["centre"], 3)
    x = row["weight"] * x + (1 - row["weight"]) * x[row["partner"]]
    torch.testing.assert_close(told[-1], Fingerprint()(x))


def test_another_teacher_is_another_loss_and_hard_labels_need_none():
    pictures, recipe = made_pictures(), ImageRecipe(steps=4, batch=12)
    one, other = (trained(pictures, made_teacher(pictures, seed=seed), recipe=recipe)[0] for seed in (9, 8))
    assert (one - other).abs().min() > 1e-4
    trained(pictures, objective=hard_labels, recipe=recipe)


def test_an_objective_that_misses_its_teacher_says_so(refuses):
    student, task = image_network("resnet8", CLASSES), ImageTask(made_pictures())
    with refuses("teacher output", "logits"):
        image_steps(student, task, distillation, Knobs(temperature=4.0, alpha=0.9))
    taught = ImageTask(task.pictures, teacher=made_teacher(task.pictures))
    with refuses("knob", "temperature"):
        image_steps(student, taught, distillation, Knobs(alpha=1))


# The loop's promises


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
