"""Views, cutout, mixup and cutmix against pictures made one by one, and their randomness by its promises."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kdutils.datasets import Dataset
from kdutils.datasets.augment import (
    NONE,
    Augmentation,
    AugmentationSampler,
    ImageStore,
    Normalisation,
    crop_flip,
    cutmix,
    cutout,
    kept,
    mixup,
    outcome,
    rectangle,
)

HEIGHT, WIDTH = 6, 5  # not square: rows and columns must not be confused


def made_images(n=7, channels=3, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, HEIGHT, WIDTH), dtype=torch.uint8, generator=random)


def one_by_one(image, view, pad):
    """A view of one image as a person would make it: border, crop, mirror."""
    side = 2 * pad + 1
    flip, top, left = view // side**2, view // side % side, view % side
    bordered = np.zeros((image.shape[0], HEIGHT + 2 * pad, WIDTH + 2 * pad), np.uint8)
    bordered[:, pad:pad + HEIGHT, pad:pad + WIDTH] = image.cpu().numpy()
    picture = bordered[:, top:top + HEIGHT, left:left + WIDTH]
    return torch.from_numpy(np.ascontiguousarray(picture[:, :, ::-1] if flip else picture))


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("pad", [0, 1, 2])
def test_every_view_of_every_image(pad, flip, device):
    """An off-by-one in a window's start, a mirrored crop on the wrong side, rows taken for columns."""
    images, how = made_images().to(device), Augmentation(pad=pad, flip=flip)
    image = torch.arange(len(images), device=device).repeat(how.views)
    view = torch.arange(how.views, device=device).repeat_interleave(len(images))
    expected = torch.stack([one_by_one(images[i], v, pad) for i, v in zip(image.tolist(), view.tolist(), strict=True)])
    assert torch.equal(ImageStore(images, how).take(image, view).cpu(), expected)
    assert torch.equal(crop_flip(images[image], view, pad).cpu(), expected)


def test_162_views_and_all_different():
    images = made_images(1)
    how = Augmentation()
    pictures = ImageStore(images, how).take(torch.zeros(162, dtype=torch.int64), torch.arange(162))
    assert how.views == 162 and len(pictures.flatten(1).unique(dim=0)) > 150  # far crops of a 6x5 image are all black
    middle = torch.tensor([4 * 9 + 4, 81 + 4 * 9 + 4])
    found = ImageStore(images, how).take(torch.zeros(2, dtype=torch.int64), middle)
    assert torch.equal(found[0], images[0]) and torch.equal(found[1], images[0].flip(-1))


def test_views_of_members_beside_each_other():
    """(M, B) indices: each member sees its own images and views."""
    images, how = made_images(), Augmentation(pad=1)
    index, view = torch.tensor([[0, 3], [5, 5], [6, 1]]), torch.tensor([[0, 17], [4, 9], [8, 13]])
    found = ImageStore(images, how).take(index, view)
    assert found.shape == (3, 2, 3, HEIGHT, WIDTH)
    assert torch.equal(found, crop_flip(images[index], view, 1))
    assert torch.equal(found[1, 1], one_by_one(images[5], 9, 1))


def test_memory_is_said_beforehand():
    images = made_images(4)
    for how in (Augmentation(pad=2), Augmentation(pad=1, flip=False), NONE):
        store = ImageStore(images, how).windows.untyped_storage().nbytes()
        assert store == ImageStore.bytes(4, (3, HEIGHT, WIDTH), how)


@given(st.integers(0, 5), st.data())
def test_a_view_number_is_its_outcome(pad, data):
    view = data.draw(st.integers(0, 2 * (2 * pad + 1) ** 2 - 1))
    flip, top, left = (part.item() for part in outcome(torch.tensor(view), pad))
    assert view == (flip * (2 * pad + 1) + top) * (2 * pad + 1) + left
    assert 0 <= top <= 2 * pad and 0 <= left <= 2 * pad


@pytest.mark.parametrize("channels_last", [True, False])
def test_normalisation_is_the_formula(channels_last, device):
    """Statistics of the wrong channel, of the test images, or taken over images as 0..255."""
    images, labels = made_images(9), torch.zeros(9, dtype=torch.int64)
    images[:, 1] //= 3
    data = Dataset("made", images, labels, ("a", "b")).to(device)
    train = torch.tensor([0, 2, 3, 7], device=device)
    normal = Normalisation.of(data, train)
    values = images[[0, 2, 3, 7]].double() / 255
    assert normal.mean == pytest.approx(values.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert normal.std == pytest.approx(values.std((0, 2, 3), correction=0).tolist(), abs=1e-12)
    mean, std = (torch.tensor(part)[:, None, None] for part in (normal.mean, normal.std))
    found = normal.on(device, WIDTH, channels_last)(data.images)
    torch.testing.assert_close(found.cpu(), (images / 255 - mean) / std, rtol=1e-5, atol=1e-5)
    order = torch.channels_last if channels_last else torch.contiguous_format
    assert found.is_contiguous(memory_format=order)


def test_the_full_scale_of_digits_is_16():
    data = Dataset("made", made_images() // 16, torch.zeros(7, dtype=torch.int64), ("a", "b"), full_scale=16)
    normal = Normalisation.of(data, torch.arange(7))
    found = normal.on("cpu", WIDTH)(data.images)
    assert found.mean().item() == pytest.approx(0, abs=1e-5) and found.std().item() == pytest.approx(1, abs=0.01)


def test_cutout_is_a_hole_around_its_centre(device):
    """Rows and columns confused, a hole that grows at the edge, other channels left whole."""
    images = torch.ones(2, 3, 2, HEIGHT, WIDTH, device=device)
    centre = torch.tensor([[[0, 0], [3, 2], [5, 4]], [[1, 3], [4, 0], [2, 2]]])
    found = cutout(images, centre.to(device), 3).cpu()
    for member, row in enumerate(centre.tolist()):
        for image, (top, left) in enumerate(row):
            expected = torch.ones(2, HEIGHT, WIDTH)
            expected[:, max(0, top - 1):top + 2, max(0, left - 1):left + 2] = 0
            assert torch.equal(found[member, image], expected)


def test_mixup_is_the_formula(device):
    """Members' batches mixed with each other, or the weight on the partner's side."""
    random = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 1, HEIGHT, WIDTH, generator=random)
    partner, weight = torch.tensor([[1, 2, 0], [0, 2, 1]]), torch.tensor([0.75, 0.1])
    found = mixup(images.to(device), partner.to(device), weight.to(device)).cpu()
    for m in range(2):
        for b in range(3):
            expected = weight[m] * images[m, b] + (1 - weight[m]) * images[m, partner[m, b]]
            torch.testing.assert_close(found[m, b], expected)
    alone = mixup(images[0].to(device), partner[0].to(device), weight[0].to(device)).cpu()
    torch.testing.assert_close(alone, found[0])


def test_cutmix_indexes_height_and_width(device):
    """A known bug elsewhere: axes 1 and 2 of a batch are channels and height."""
    images = torch.arange(3.0)[:, None, None, None].expand(3, 2, HEIGHT, WIDTH)
    box = torch.tensor([1, 4, 2, 5])
    found = cutmix(images.to(device), torch.tensor([2, 0, 1], device=device), box.to(device)).cpu()
    expected = images.clone()
    expected[:, :, 1:4, 2:5] = torch.tensor([2.0, 0, 1])[:, None, None, None]
    assert torch.equal(found, expected)
    assert kept(box, HEIGHT, WIDTH).item() == pytest.approx(1 - 9 / (HEIGHT * WIDTH))


@given(st.floats(0, 1), st.floats(0, 0.999), st.floats(0, 0.999))
def test_cutmix_takes_what_its_weight_says(weight, row, column):
    """In the middle of a large image the box has 1 - weight of the area; at an edge the weight is corrected."""
    box = rectangle(torch.tensor([weight]), torch.tensor([[0.5, 0.5]]), 200, 100)
    assert kept(box, 200, 100).item() == pytest.approx(weight, abs=0.05)
    clipped = rectangle(torch.tensor([weight]), torch.tensor([[row, column]]), 200, 100)
    top, bottom, left, right = clipped[0].tolist()
    assert 0 <= top <= bottom <= 200 and 0 <= left <= right <= 100
    assert kept(clipped, 200, 100).item() >= kept(box, 200, 100).item() - 1e-6


def test_members_have_their_own_dice_and_uses_their_own_streams():
    """Switching cutout or mixup on must not change crops; a member must not depend on who is beside it."""
    plain = AugmentationSampler(Augmentation(), [1, 2, 1], (32, 32)).draw(50, 8)
    rich = AugmentationSampler(Augmentation(cutout=8, cutmix=1.0), [1, 2, 1], (32, 32)).draw(50, 8)
    alone = AugmentationSampler(Augmentation(cutout=8, cutmix=1.0), [2], (32, 32)).draw(50, 8)
    assert torch.equal(plain.view, rich.view)
    for name in ("view", "centre", "weight", "partner", "box"):
        values = getattr(rich, name)
        assert torch.equal(values[:, 0], values[:, 2]) and not torch.equal(values[:, 0], values[:, 1])
        assert torch.equal(values[:, 1], getattr(alone, name)[:, 0])


def test_what_dice_show():
    """Every view comes up evenly, holes anywhere, partners are permutations, weights are Beta(a, a)."""
    dice = AugmentationSampler(Augmentation(pad=1, cutout=2, mixup=0.4), [0], (HEIGHT, WIDTH))
    draws = dice.draw(2000, 9)
    counts = draws.view.flatten().bincount(minlength=18)
    assert len(counts) == 18 and (counts - 1000).abs().max() < 5 * 1000**0.5
    for axis, size in enumerate((HEIGHT, WIDTH)):
        assert (draws.centre[..., axis].flatten().bincount() - 18_000 / size).abs().max() < 5 * (18_000 / size) ** 0.5
    assert torch.equal(draws.partner.sort(-1).values, torch.arange(9).expand(2000, 1, 9))
    weight = draws.weight.flatten().double()
    assert weight.mean().item() == pytest.approx(0.5, abs=0.04)
    assert weight.var().item() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.1)
    assert not torch.equal(dice.draw(2000, 9).view, draws.view)
    assert draws.box is None and len(draws) == 2000


def test_weights_of_cutmix_are_those_of_its_boxes():
    draws = AugmentationSampler(Augmentation(cutmix=1.0), [3], (HEIGHT, WIDTH)).draw(30, 4)
    assert torch.equal(draws.weight, kept(draws.box, HEIGHT, WIDTH))


def test_draws_stay_on_the_cpu_and_move_together():
    draws = AugmentationSampler(Augmentation(mixup=1.0), [3], (HEIGHT, WIDTH)).draw(5, 4)
    first = draws.each(lambda value: value[0])
    assert first.view.shape == (1, 4) and first.box is None and first.weight.shape == (1,)


def test_only_crop_and_flip_have_finitely_many_views():
    assert Augmentation().finite and NONE.finite and NONE.views == 1
    assert not any(Augmentation(**{name: 1}).finite for name in ("cutout", "mixup", "cutmix"))


def test_wrong_augmentations_are_named(refuses):
    with refuses("pad", "-1"):
        Augmentation(pad=-1)
    with refuses("mixup", "-0.5"):
        Augmentation(mixup=-0.5)
    with refuses("mixup", "cutmix", "0.2", "1"):
        Augmentation(mixup=0.2, cutmix=1)
    with refuses("standard deviation", "0.0"):
        data = Dataset("black", torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.zeros(3).long(), ("a", "b"))
        Normalisation.of(data, torch.arange(3))
