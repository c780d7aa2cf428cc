"""A population's step, recorded and replayed: on a CPU the bookkeeping around a recording, on a GPU the whole."""

from contextlib import nullcontext

import pytest
import torch

from kdutils.datasets import load
from kdutils.networks import MLP, ConvNet, Population
from kdutils.objectives import distillation
from kdutils.training import Knobs, Recipe, Task, loop, step, train


def trained(spec, device="cpu", graph=False):
    """Losses of every step and the parameters at the end; T moves after step 8, the rate at every step."""
    digits, random = load("digits", device), torch.Generator().manual_seed(0)
    images = torch.stack([torch.randperm(1000, generator=random)[:100] for _ in range(3)]).to(device)
    teacher = 5 * torch.randn(3, len(digits), 10, generator=random)
    task = Task(digits.inputs, digits.labels, images, (0, 1, 2), {"logits": teacher.to(device)})
    population, knobs = Population(spec, task.seeds, device), Knobs(temperature=[1.0, 4.0, 20.0], alpha=0.9)
    losses = []
    for snapshot in train(population, task, distillation, knobs, Recipe(20, 16), 1, graph):
        losses.append(snapshot.loss)
        if snapshot.step == 8:
            knobs.set(temperature=2.0)
    return torch.stack(losses[1:]), population.parameters


def test_what_is_recorded_sees_each_batch_each_rate_and_each_knob(monkeypatch):
    """A batch not copied, a rate or a knob frozen at first sight would part from the loop."""
    recordings = []

    def remember(work, stream):
        recordings.append(work)
        return work

    losses, ends = trained(MLP())
    monkeypatch.setattr(torch.cuda, "Stream", object)
    monkeypatch.setattr(step, "aside", lambda stream: nullcontext())
    monkeypatch.setattr(step, "capture", remember)
    monkeypatch.setattr(loop, "Step", step.GraphStep)
    found, found_ends = trained(MLP())
    assert len(recordings) == 2, "anew when T has moved"
    torch.testing.assert_close(found, losses, rtol=1e-5, atol=1e-5)
    for name, value in ends.items():
        torch.testing.assert_close(found_ends[name], value, rtol=1e-5, atol=1e-5)


def test_a_graph_needs_a_gpu_and_adam(refuses):
    digits = load("digits")
    task = Task(digits.inputs, digits.labels, torch.arange(20)[None], (0,))
    with refuses("graph", "cpu"):
        train(Population(MLP(), (0,)), task, distillation, graph=True)


@pytest.mark.gpu
@pytest.mark.parametrize("spec", [MLP(), ConvNet()], ids=str)
def test_a_recorded_step_is_the_loops(spec):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    losses, ends = trained(spec, "cuda")
    found, found_ends = trained(spec, "cuda", graph=True)
    torch.testing.assert_close(found, losses, rtol=1e-4, atol=1e-4)
    for name, value in ends.items():
        torch.testing.assert_close(found_ends[name], value, rtol=1e-3, atol=1e-3)
