"""Teachers of image networks: what they are known by, and the answers that are kept."""


import pytest
import torch
from made_pictures import CLASSES, SIDE, N, alike, made_data, made_pictures, made_teacher, trained
from torch import nn

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
    image_steps,
)
from kdutils.training.images import prepared
from kdutils.training.views import cached_if_it_fits


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
