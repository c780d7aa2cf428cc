"""Small made-up pictures, teachers and trainings of image networks."""

import itertools

import torch

from kdutils.datasets import Dataset
from kdutils.datasets.augment import Augmentation
from kdutils.networks import image_network
from kdutils.objectives import distillation
from kdutils.training import (
    PLAIN,
    ImageRecipe,
    ImageTask,
    Knobs,
    Pictures,
    Teacher,
    image_steps,
)

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
