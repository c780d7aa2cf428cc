"""The second scale: which pictures there are, what they are labelled, and what nobody may train on."""

import pytest
import torch
import torch.nn.functional as F
from made_cifar import made_hundred

from kdutils.datasets import CARDS, cifar, load
from kdutils.datasets.augment import crop_flip
from kdutils.second_scale import FAMILIES, prepare


@pytest.fixture
def hundred(tmp_path, monkeypatch):
    """A made CIFAR-100 where KDUTILS_DATA points."""
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path))
    monkeypatch.setitem(CARDS, "cifar-100", made_hundred(tmp_path))


def photographs(**changed):
    return prepare(**{"data": "cifar-100-coarse", "families": FAMILIES, "side": 16, "views": 3, "seeds": 2} | changed)


def test_whole_families_are_there_class_by_class_and_shrunk_by_means(hundred):
    lab, source = photographs(), load("cifar-100")
    assert lab.data.classes == tuple(name for family in FAMILIES for name in cifar.COARSE[family])
    assert lab.families == tuple(tuple(range(5 * i, 5 * i + 5)) for i in range(4))
    assert lab.images == 20 * 18 and len(lab.data) == 3 * 360 + 60, "18 of 20 images a class, and 3 for the test"
    names = [source.classes[label] for label in source.labels[source.test]]
    of_source = source.test[torch.tensor([name in lab.data.classes for name in names])]
    assert [lab.data.classes[i] for i in lab.test_labels[0]] == [source.classes[i] for i in source.labels[of_source]]
    square = source.images[of_source[7], :, 10:12, 20:22].float().mean((-1, -2)).round()
    assert torch.equal(lab.data.images[lab.test[0, 7], :, 5, 10].float(), square)


def test_held_out_images_are_measured_and_never_trained_on(hundred):
    """Catches choices that were made with test images, and validation images that are trained on."""
    final, choosing = photographs(views=1), photographs(views=1, validation=True)
    assert torch.equal(final.data.images[:final.images], choosing.data.images[:choosing.images])
    assert choosing.test.shape == (2, 40) and choosing.test_labels[0].bincount().tolist() == [2] * 20
    known = {tuple(image.flatten().tolist()) for image in final.data.images}
    assert not any(tuple(image.flatten().tolist()) in known for image in choosing.data.images[choosing.test[0]])


def test_folding_loses_no_pixel_and_channels_are_measured_on_training_images(hundred):
    lab = photographs()
    back = F.pixel_shuffle(lab.data.inputs, 2)
    train = lab.data.images[:lab.images].double() / 255
    mean, std = train.mean((0, 2, 3), keepdim=True), train.std((0, 2, 3), keepdim=True)
    torch.testing.assert_close(back, ((lab.data.images.double() / 255 - mean) / std).float(), atol=1e-4, rtol=1e-4)
    assert lab.data.inputs.shape[1:] == (12, 8, 8) and str(lab.network((8, 16))) == "conv8-16-20"


@pytest.mark.parametrize(("data", "families", "side"), [("cifar-100-coarse", FAMILIES, 16), ("digits-2x5", (), 8)])
def test_a_further_picture_is_a_view_of_its_own_image_with_its_label(data, families, side, hundred):
    """Catches views in the order of another image, or with its label, and digits in the mirror."""
    lab = photographs(data=data, families=families, side=side)
    flips = 2 if side == 16 else 1
    pad, each = side // 8, (2 * (side // 8) + 1) ** 2 * flips
    for image in (0, 5, lab.images - 1):
        views = crop_flip(lab.data.images[image].expand(each, -1, -1, -1), torch.arange(each), pad)
        for row in (image + lab.images, image + 2 * lab.images):
            assert (views == lab.data.images[row]).flatten(1).all(1).any()
            assert lab.data.labels[row] == lab.data.labels[image]
    assert not torch.equal(lab.data.images[lab.images:2 * lab.images], lab.data.images[2 * lab.images:3 * lab.images])


def test_transfer_sets_hold_all_pictures_of_balanced_images(hundred):
    lab = photographs()
    few, more = lab.transfer(40), lab.transfer(80)
    assert few.shape == (2, 120) and lab.transfer(lab.images)[0].sort().values.equal(lab.pool[0])
    for row, wider in zip(few, more, strict=True):
        images = set((row % lab.images).tolist())
        assert len(images) == 40 and images < set((wider % lab.images).tolist())
        assert lab.data.labels[row].bincount().tolist() == [6] * 20
    assert set(few[0].tolist()) != set(few[1].tolist()), "another tenth for another seed"


def test_a_wrong_label_is_wrong_in_every_view_and_never_in_the_test(hundred):
    lab = photographs()
    labels = lab.noisy(0.25)
    wrong = labels != lab.data.labels
    views = wrong[:, :3 * lab.images].unflatten(1, (3, -1))
    assert (views.sum(2) == 90).all() and (views == views[:, :1]).all() and not wrong[:, 3 * lab.images:].any()
    assert not torch.equal(labels[0], labels[1])


def test_coarse_labels_are_families_and_the_classes_are_hidden(hundred):
    lab, fine = photographs(coarse=True), photographs()
    assert lab.data.classes == FAMILIES and torch.equal(lab.data.hidden, fine.data.labels)
    assert torch.equal(lab.data.labels, fine.data.labels // 5)
    assert lab.data.inputs.shape == fine.data.inputs.shape, "still folded"


def test_without_named_families_all_are_there():
    lab = prepare("digits-2x5", (), 8, 1, 1)
    assert lab.data.n_classes == 10 and lab.families == ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))
    assert lab.images + 597 < len(load("digits")), "some are held out"
    assert lab.test.shape == (1, 597)


@pytest.mark.parametrize(("changed", "words"), [
    ({"side": 5}, ("side", "8x8", "got 5")), ({"side": 16}, ("side", "8x8", "got 16")),
    ({"families": ("fish",)}, ("family", "0-4", "'fish'")), ({"families": ("0-4", "0-4")}, ("families", "twice")),
    ({"views": 0}, ("views", "at least 1")), ({"data": "clicks"}, ("grouping", "digits-2x5", "'clicks'"))])
def test_wrong_values_are_refused_in_a_sentence(changed, words, refuses):
    with refuses(*words):
        prepare(**{"data": "digits-2x5", "families": (), "side": 8, "views": 2, "seeds": 1} | changed)
