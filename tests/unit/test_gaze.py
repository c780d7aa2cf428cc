"""The renderer and MPIIGaze's layout: the same eyes again, gazes that an iris follows, angles, tiny made files."""

import time

import numpy as np
import pytest
import torch
from scipy.io import savemat

from kdutils.datasets.gaze import OPENING, PITCH, SIZES, YAW, angular_error, direction, eyes, render
from kdutils.datasets.mpiigaze import mpiigaze

LIGHT = torch.tensor([[1.0, 0.0, 0.0]])


@pytest.mark.parametrize("size", SIZES)
def test_a_seed_gives_the_same_eyes_again_and_another_seed_others(size):
    one, again, other = eyes(40, 7, size), eyes(40, 7, size), eyes(40, 8, size)
    assert torch.equal(one.inputs, again.inputs) and torch.equal(one.gaze, again.gaze)
    assert not torch.equal(one.inputs, other.inputs) and not torch.equal(one.gaze, other.gaze)
    assert one.inputs.shape == (40, 1, *SIZES[size]) and one.gaze.shape == (40, 2) and len(one) == 40
    assert one.gaze[:, 0].abs().max() <= YAW and one.gaze[:, 1].abs().max() <= PITCH
    assert OPENING[0] <= one.opening.min() and one.opening.max() <= OPENING[1]


def test_both_sizes_of_a_seed_show_the_same_scenes():
    assert torch.equal(eyes(5, 1, "small").gaze, eyes(5, 1, "mpiigaze").gaze)


@pytest.mark.parametrize("size", SIZES)
def test_the_dark_disc_moves_with_the_gaze(size):
    gaze = torch.tensor([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.3], [0.0, -0.3]])
    images = render(gaze, torch.ones(4), LIGHT.expand(4, -1), size)[:, 0]
    dark = (0.5 - images).clamp(min=0)
    height, width = SIZES[size]
    x = (dark.sum(1) * torch.arange(width)).sum(1) / dark.sum((1, 2))
    y = (dark.sum(2) * torch.arange(height)).sum(1) / dark.sum((1, 2))
    assert x[0] < (width - 1) / 2 < x[1] and y[2] < y[3], "right is right and up is up"
    assert float(x[2]) == pytest.approx((width - 1) / 2, abs=0.1)


def test_nearly_closed_lids_hide_what_the_gaze_changes():
    gaze, light = torch.tensor([[0.0, 0.3], [0.0, -0.3]]), LIGHT.expand(2, -1)
    apart = [float((images[0] - images[1]).square().sum())
             for images in (render(gaze, torch.full((2,), opening), light) for opening in (0.12, 1.0))]
    assert apart[0] < apart[1] / 3


def test_brightness_scales_the_picture_and_changes_no_gaze():
    gaze, opening = torch.tensor([[0.2, 0.1]]), torch.ones(1)
    torch.testing.assert_close(render(gaze, opening, 0.5 * LIGHT), 0.5 * render(gaze, opening, LIGHT))


def test_an_image_changes_smoothly_with_the_gaze():
    gaze = torch.tensor([[0.2, 0.1]], requires_grad=True)
    render(gaze, torch.ones(1), LIGHT).sum().backward()
    assert torch.isfinite(gaze.grad).all()
    step = render(gaze + 1e-4, torch.ones(1), LIGHT) - render(gaze, torch.ones(1), LIGHT)
    assert 0 < float(step.abs().max()) < 1e-2


def test_the_renderer_is_fast():
    """20,000 small eyes a second on one core is the bar; the processor's time, so that other work does not count."""
    eyes(1000, 0)
    rates = []
    for seed in range(3):
        start = time.process_time()
        eyes(5000, seed)
        rates.append(5000 / (time.process_time() - start))
    assert max(rates) > 20_000, rates


def test_angles_are_those_between_directions():
    a, b = torch.tensor([[0.0, 0.0], [0.3, 0.0], [0.0, 0.2]]).double(), torch.tensor([[0.0, 0.0]] * 3).double()
    torch.testing.assert_close(angular_error(a, b), torch.tensor([0.0, 0.3, 0.2]).double() * 180 / np.pi)
    torch.testing.assert_close(direction(a).norm(dim=-1), torch.ones(3).double())
    random = torch.Generator().manual_seed(0)
    a, b = (torch.rand(50, 2, generator=random, dtype=torch.float64) - 0.5 for _ in range(2))
    by_product = torch.rad2deg(torch.arccos((direction(a) * direction(b)).sum(-1)))
    torch.testing.assert_close(angular_error(a, b), by_product)
    tiny = angular_error(torch.tensor([[1e-4, 0.0]]), torch.zeros(1, 2))
    assert float(tiny) == pytest.approx(np.degrees(1e-4), rel=1e-3), "in single precision too"


@pytest.mark.parametrize("call, words", [(lambda: eyes(0, 0), ("eyes", "0")), (lambda: eyes(3, 0, "big"), ("size",)),
                                         (lambda: eyes(3, 0, noise=2.0), ("noise", "2.0"))])
def test_what_cannot_be_drawn_is_refused(call, words, refuses):
    with refuses(*words):
        call()


# MPIIGaze ----------------------------------------------------------------------------------------------------------

def vector(yaw, pitch):
    """The owners' vector of a gaze: x to the left of the picture, y down, z towards the eye."""
    return [-np.cos(pitch) * np.sin(yaw), -np.sin(pitch), -np.cos(pitch) * np.cos(yaw)]


@pytest.fixture
def owners(tmp_path):
    """Two people, two days and one day, three pictures and one, in the owners' layout."""
    random = np.random.default_rng(0)
    for person, day, n in (("p00", "day01", 3), ("p00", "day02", 1), ("p01", "day01", 2)):
        folder = tmp_path / "MPIIGaze" / "Data" / "Normalized" / person
        folder.mkdir(parents=True, exist_ok=True)
        sides = {side: {"image": random.integers(0, 256, (n, 36, 60), dtype=np.uint8),
                        "gaze": np.array([vector(0.1 * (i + 1), -0.05) for i in range(n)]),
                        "pose": np.zeros((n, 3))} for side in ("left", "right")}
        savemat(folder / f"{day}.mat", {"data": sides, "filenames": np.array(["a.jpg"] * n, dtype=object)})
    return tmp_path


def test_the_owners_files_become_eyes_and_right_ones_are_mirrored(owners):
    people = mpiigaze(owners)
    assert {name: len(one) for name, one in people.items()} == {"p00": 8, "p01": 4}
    one = people["p01"]
    assert one.inputs.shape == (4, 1, 36, 60) and 0 <= one.inputs.min() and one.inputs.max() <= 1
    np.testing.assert_allclose(one.gaze, [[0.1, -0.05], [0.2, -0.05], [-0.1, -0.05], [-0.2, -0.05]], atol=1e-6)
    assert one.opening is None


def test_a_mirrored_eye_is_the_owners_picture_turned_round(owners):
    from scipy.io import loadmat

    stored = loadmat(owners / "MPIIGaze/Data/Normalized/p01/day01.mat", struct_as_record=False, squeeze_me=True)["data"]
    one = mpiigaze(owners, ["p01"])["p01"]
    np.testing.assert_allclose(one.inputs[2, 0] * 255, stored.right.image[0][:, ::-1], atol=1e-4)
    np.testing.assert_allclose(one.inputs[0, 0] * 255, stored.left.image[0], atol=1e-4)


def test_people_and_days_can_be_chosen(owners):
    assert {name: len(one) for name, one in mpiigaze(owners, ["p00"], days=1).items()} == {"p00": 6}


def test_files_of_another_kind_are_refused_by_name(owners, tmp_path, refuses):
    with refuses("MPIIGaze.tar.gz"):
        mpiigaze(tmp_path / "nowhere")
    with refuses("people", "p09"):
        mpiigaze(owners, ["p09"])
    day = owners / "MPIIGaze/Data/Normalized/p01/day01.mat"
    day.write_bytes(b"not a matrix")
    with refuses("day01.mat", "is not a day"):
        mpiigaze(owners, ["p01"])
    eye = {"image": np.zeros((200, 36, 60), np.uint8), "gaze": np.zeros((200, 3))}
    savemat(day, {"data": {"left": eye, "right": eye}}, do_compression=True)
    packed = bytearray(day.read_bytes())
    packed[len(packed) // 2] ^= 255
    day.write_bytes(packed)
    with refuses("day01.mat", "is not a day"):      # damaged where it is packed: zlib's own error
        mpiigaze(owners, ["p01"])
    eye = {"image": np.zeros((2, 10, 14), np.uint8), "gaze": np.zeros((2, 3))}
    savemat(day, {"data": {"left": eye, "right": eye}})
    with refuses("uint8 images (n, 36, 60)"):
        mpiigaze(owners, ["p01"])
