"""How far the two engines are from exact arithmetic: the kernels no further than torch's loop."""

import pytest
import torch
import torch.nn.functional as F

from kdutils.networks import ConvNet, Population
from kdutils.objectives import distillation
from kdutils.training import Knobs, Recipe, Task, fit

pytest.importorskip("numba", reason="the kernels need numba")
MEMBERS, WORST = 12, 3.0


def logits_after(spec: ConvNet, steps: int, engine: str, kind: torch.dtype, monkeypatch) -> torch.Tensor:
    """Logits (M, N, 10) of populations that start alike and learn the same, in numbers of this kind."""
    monkeypatch.setenv("KDUTILS_ENGINE", engine)
    random = torch.Generator().manual_seed(0)
    inputs, labels = torch.rand(200, *spec.shape, generator=random), torch.randint(10, (200,), generator=random)
    told = 3 * F.one_hot(labels, 10) + torch.randn(MEMBERS, 200, 10, generator=random)
    train = torch.stack([torch.randperm(200, generator=random)[:90] for _ in range(MEMBERS)])
    task = Task(inputs.to(kind), labels, train, tuple(range(MEMBERS)), {"logits": told.to(kind)})
    population = Population(spec, task.seeds)
    population.parameters = {name: value.detach().to(kind) for name, value in population.parameters.items()}
    knobs = Knobs(temperature=[1.0, 4.0, 20.0] * (MEMBERS // 3), alpha=[0.0, 0.9, 1.0] * (MEMBERS // 3))
    fit(population, task, distillation, knobs, Recipe(steps))
    return population.predict(task.inputs).double()


@pytest.mark.parametrize(("shape", "steps"), [((1, 14, 14), 30), ((3, 16, 16), 15)], ids=str)
def test_kernels_are_as_near_to_double_precision_as_torchs_loop(shape, steps, monkeypatch):
    """Catches arithmetic that loses digits. The engines part all the same: where two pixels of a square are equal up to
    rounding, the pooling takes the one or the other, and from there on it is another network, by 1e-3 and more. So
    each member is compared with its own in double precision, and the two distances with each other."""
    spec = ConvNet(shape)
    exact = logits_after(spec, steps, "torch", torch.float64, monkeypatch)
    kernels, loop = ((logits_after(spec, steps, engine, torch.float32, monkeypatch) - exact).norm(dim=(1, 2))
                     / exact[0].numel() ** 0.5 for engine in ("kernels", "torch"))
    assert (kernels / loop).median() < WORST and kernels.quantile(0.75) < WORST * loop.quantile(0.75)
    assert kernels.min() < 2e-6, "where no pixel changes its mind only rounding is left"
