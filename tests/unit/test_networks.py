"""Populations against ordinary modules: a member is the network it would be alone, in every named feature."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from kdutils import networks
from kdutils.networks import MLP, ConvNet, Population

SPECS = [MLP(64, (16,), 10), MLP(12, (7, 5, 3), 4), MLP(64, (), 10), ConvNet((1, 8, 8), (4, 6), 10),
         ConvNet((3, 9, 7), (5,), 3), ConvNet((2, 11, 8), (3, 4, 5), 2)]
SEEDS = (3, 11, 4)


def images(spec, *leading):
    """Random images that fit the network."""
    shape = spec.shape if isinstance(spec, ConvNet) else (1, 4, spec.inputs // 4)
    return torch.rand(*leading, *shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=SPECS, ids=str)
def spec(request):
    return request.param


def test_a_member_equals_its_module_in_every_feature(spec, device):
    population, own = Population(spec, SEEDS, device), images(spec, 3, 5).to(device)
    together = population.features(own)
    for i, seed in enumerate(SEEDS):
        alone = networks.features(spec.module(seed).to(device), own[i])
        assert set(together) <= set(alone) and list(together)[-1] == "logits"
        for name, values in together.items():
            torch.testing.assert_close(values[i], alone[name], atol=1e-5, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_images_may_be_shared_by_all_members(spec):
    population, shared = Population(spec, SEEDS), images(spec, 5)
    torch.testing.assert_close(population(shared), population(shared.expand(3, *shared.shape).clone()))
    assert population(shared).shape == (3, 5, spec.classes)


def test_gradients_of_a_member_are_those_of_its_module(spec):
    population, own = Population(spec, SEEDS), images(spec, 3, 5)
    for value in population.parameters.values():
        value.requires_grad_()
    population(own).square().mean((1, 2)).sum().backward()
    for i, seed in enumerate(SEEDS):
        module = spec.module(seed)
        module(own[i]).square().mean().backward()
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(population.parameters[name].grad[i], parameter.grad, atol=1e-5, rtol=1e-4)


def test_members_come_back_as_modules_and_copies_stand_alone(spec):
    population, shared = Population(spec, SEEDS), images(spec, 5)
    module, copy, before = population.member(1), population.copy(), population(shared)
    for (name, parameter), (own_name, own) in zip(module.named_parameters(), spec.module(SEEDS[1]).named_parameters(),
                                                  strict=True):
        assert name == own_name and torch.equal(parameter, own)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
        torch.testing.assert_close(population(shared), before)
        for value in population.parameters.values():
            value.add_(1)
    torch.testing.assert_close(copy(shared), before)
    assert not torch.allclose(population(shared), before)


def test_predict_does_not_depend_on_the_chunk_and_keeps_no_graph(spec):
    population = Population(spec, SEEDS)
    for value in population.parameters.values():
        value.requires_grad_()
    for inputs in (images(spec, 7), images(spec, 3, 7)):
        logits = population.predict(inputs, chunk=2)
        assert logits.shape == (3, 7, spec.classes) and not logits.requires_grad
        torch.testing.assert_close(logits, population(inputs).detach(), atol=1e-5, rtol=1e-5)


def test_a_population_around_existing_parameters(spec):
    first = Population(spec, SEEDS)
    again = Population.of(spec, first.parameters)
    assert len(again) == 3 and again.device == torch.device("cpu")
    assert torch.equal(again(images(spec, 2)), first(images(spec, 2)))


def test_the_seed_alone_decides_the_start(spec):
    first, second = (spec.module(5).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    population = Population(spec, (5, 6, 5))
    for name, value in population.parameters.items():
        assert torch.equal(value[0], first[name]) and torch.equal(value[0], value[2])
        assert not torch.equal(value[0], value[1])
        assert value.untyped_storage().nbytes() == value.numel() * 4, "members with one seed must not share memory"


def test_starts_have_torchs_default_size():
    weights = Population(MLP(64, (16,), 10), range(50)).parameters
    for name, fan_in in (("linear1", 64), ("logits", 16)):
        bound = 1 / math.sqrt(fan_in)
        for part in ("weight", "bias"):
            values = weights[f"{name}.{part}"]
            assert values.abs().max() <= bound and float(values.std()) == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_torchs_global_generators_are_left_alone(spec, monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("the GPUs were reseeded"))
    before = torch.get_rng_state()
    Population(spec, SEEDS)
    assert torch.equal(torch.get_rng_state(), before)


def test_two_threads_may_build_networks_at_once():
    wide = MLP(64, (64, 64), 10)
    expected = {seed: wide.module(seed).state_dict() for seed in range(4)}
    gate = threading.Barrier(4)

    def build(seed):
        gate.wait()
        return [wide.module(seed).state_dict() for _ in range(25)]

    with ThreadPoolExecutor(4) as pool:
        for seed, built in zip(range(4), pool.map(build, range(4)), strict=True):
            assert all(torch.equal(state[name], expected[seed][name]) for state in built for name in state)


def test_the_module_is_plain_torch_with_named_layers():
    module = MLP(64, (16, 8), 10).module(0)
    assert isinstance(module, nn.Sequential)
    assert [type(layer) for layer in module] == [nn.Flatten, nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert list(networks.features(module, torch.rand(2, 1, 8, 8)))[-3:] == ["linear2", "hidden2", "logits"]
    population = Population(MLP(64, (16, 8), 10), [0])
    assert list(population.features(torch.rand(2, 1, 8, 8))) == ["hidden1", "hidden2", "logits"]
    conv = Population(ConvNet((1, 8, 8), (8, 16), 10), [0, 1]).features(torch.rand(2, 1, 8, 8))
    assert {name: tuple(value.shape[2:]) for name, value in conv.items()} == {
        "stage1": (8, 4, 4), "stage2": (16, 2, 2), "embedding": (64,), "logits": (10,)}


def test_sizes_and_names():
    assert networks.size(MLP(64, (16,), 10)) == 64 * 16 + 16 + 16 * 10 + 10
    assert networks.size(ConvNet((1, 8, 8), (8, 16), 10)) == (9 * 8 + 8) + (9 * 8 * 16 + 16) + (64 * 10 + 10)
    assert str(MLP(64, (16,), 10)) == "64-16-10" and str(ConvNet((1, 8, 8), (8, 16), 10)) == "conv8-16-10"


def test_wrong_shapes_are_refused_in_one_sentence(refuses):
    with refuses("layer width", "0"):
        MLP(64, (16, 0), 10)
    with refuses("layer width", "2.5"):
        MLP(64, (2.5,), 10)
    with refuses("classes", "1"):
        MLP(64, (16,), 1)
    with refuses("classes", "1"):
        ConvNet(classes=1)
    with refuses("channels", "-3"):
        ConvNet(channels=(4, -3))
    with refuses("4", "poolings", "16", "8x8"):
        ConvNet((1, 8, 8), (1, 1, 1, 1), 10)
    with refuses("seeds", "none"):
        Population(MLP(), [])
    with refuses("seed", "-1"):
        Population(MLP(), [0, -1])
