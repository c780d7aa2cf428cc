"""A small task, its knobs and recipe."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from kdutils.datasets import load
from kdutils.networks import ConvNet
from kdutils.objectives import distillation
from kdutils.training import Knobs, Recipe, Task, train
from kdutils.training.loop import batches

SEEDS = (3, 1, 4, 1)
SHORT = Recipe(steps=30, batch=16)
TEMPERATURES, ALPHAS = (1.0, 4.0, 20.0, 2.0), (1.0, 0.9, 0.5, 0.0)


def plain(spec):
    """The network as a reader of torch's tutorials would write it."""
    if isinstance(spec, ConvNet):
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                             nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(24, 10))
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def started_like(population, member):
    """That plain network with the start of one member."""
    module = plain(population.spec)
    with torch.no_grad():
        for parameter, values in zip(module.parameters(), population.parameters.values(), strict=True):
            parameter.copy_(values[member])
    return module


def trained_alone(module, task, member, temperatures, alpha, recipe):
    """Ordinary training of one network: torch's Adam, torch's losses, LambdaLR; `temperatures` is one per step.

    Returns the loss of every step.
    """
    adam = torch.optim.Adam(module.parameters(), lr=recipe.lr)
    cosine = torch.optim.lr_scheduler.LambdaLR(adam, lambda t: 0.5 * (1 + math.cos(math.pi * t / recipe.steps)))
    order = batches([task.seeds[member]], task.train.shape[1], recipe.batch)
    losses = []
    for temperature, position in zip(temperatures, order, strict=False):
        index = task.train[member][position[0]]
        labels = task.labels[index] if task.labels.ndim == 1 else task.labels[member][index]
        logits, teacher = module(task.inputs[index]), task.teacher["logits"][member][index]
        soft = F.kl_div(F.log_softmax(logits / temperature, 1), F.softmax(teacher / temperature, 1),
                        reduction="batchmean") * temperature**2
        loss = alpha * soft + (1 - alpha) * F.cross_entropy(logits, labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
        cosine.step()
        losses.append(loss.item())
    return losses


def made_task(seeds=SEEDS, device="cpu", n=90):
    """Members with different images, labels and teachers."""
    members, digits, random = len(seeds), load("digits"), torch.Generator().manual_seed(0)
    train = torch.stack([torch.randperm(300, generator=random)[:n] for _ in range(members)])
    teacher = 3 * F.one_hot(digits.labels, 10) + torch.randn(members, len(digits), 10, generator=random)
    labels = digits.labels.repeat(members, 1)
    labels[:, ::7] = torch.randint(10, labels[:, ::7].shape, generator=random)
    return Task(digits.inputs.to(device), labels.to(device), train.to(device), seeds, {"logits": teacher.to(device)})


def made_knobs():
    return Knobs(temperature=TEMPERATURES, alpha=ALPHAS)


def drained(population, task=None, objective=distillation, knobs=None, recipe=SHORT, every=10):
    return [(snapshot.step, snapshot.loss.clone()) for snapshot in
            train(population, task or made_task(), objective, knobs or made_knobs(), recipe, every)]
