"""Networks of the nine methods, and the methods on populations, alone and on other networks."""


import pytest
import torch
from made_features import random

from kdutils.errors import ParameterError
from kdutils.networks import MLP, Branched, ConvNet, Hinted, ImageNetwork, Population, features
from kdutils.objectives import (
    METHODS,
    layers,
    similarity_matrix,
)

# Networks and layers ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("network", [ConvNet(), MLP(64, (32, 16))])
def test_a_branched_network_starts_as_the_plain_one_and_equals_its_module(network):
    spec, x = Branched(network), random(2, 5, 1, 8, 8, dtype=torch.float32)
    population = Population(spec, [3, 4])
    found = population.features(x)
    torch.testing.assert_close(found["logits"], Population(network, [3, 4])(x))
    torch.testing.assert_close(spec.module(4)(x[1]), found["logits"][1])
    assert found["branches"].shape == (2, 5, 3, 10) and found["gate"].shape == (2, 5, 3)
    torch.testing.assert_close(found["branches"][:, :, 0], found["logits"])
    assert (found["branches"][:, :, 1] - found["logits"]).abs().max() > 0.01


def test_a_hint_is_a_linear_map_of_each_place_and_leaves_the_answers_alone():
    spec, x = Hinted(ConvNet(), "stage1", 12), random(2, 5, 1, 8, 8, dtype=torch.float32)
    population = Population(spec, [3, 4])
    found = population.features(x)
    assert found["hint"].shape == (2, 5, 12, 4, 4)
    weight, bias = population.parameters["regressor.weight"][1], population.parameters["regressor.bias"][1]
    torch.testing.assert_close(found["hint"][1, 2, :, 3, 1], weight @ found["stage1"][1, 2, :, 3, 1] + bias)
    torch.testing.assert_close(found["logits"], Population(ConvNet(), [3, 4])(x))
    torch.testing.assert_close(spec.module(3)(x[0]), found["logits"][0])
    flat = Population(Hinted(MLP(64, (32, 16)), "hidden1", 7), [3]).features(x[:1])
    assert flat["hint"].shape == (1, 5, 7)


@pytest.mark.parametrize(("make", "says"), [
    (lambda: Branched(MLP(64, (16,))), "64-16-10 has one hidden layer"),
    (lambda: Branched(ConvNet(), 1), "branches must be a whole number at least 2"),
    (lambda: Hinted(ConvNet(), "stage3", 8), "layer of the hint must be one of stage1, stage2"),
    (lambda: layers({"logits": random(4, 5)}), "read hidden or stage layers; these features are logits"),
])
def test_networks_that_cannot_be_are_refused_in_a_sentence(make, says):
    with pytest.raises(ParameterError, match=says):
        make()


OFFLINE = ["KD", "FitNets", "AT", "FSP", "RKD", "SP", "DML"]


@pytest.mark.parametrize("name", OFFLINE)
def test_methods_work_on_a_population_and_alone_and_on_a_wide_resnet(name):
    term, x = METHODS[name].term, random(2, 6, 1, 8, 8, dtype=torch.float32)
    s, t = (Population(ConvNet(), seeds).features(x) for seeds in ([0, 1], [2, 3]))
    together = term(layers(s), layers(t), s, t)
    for m in range(2):
        one, other = ({key: value[m] for key, value in f.items()} for f in (s, t))
        torch.testing.assert_close(term(layers(one), layers(other), one, other), together[m], rtol=1e-4, atol=1e-6)
    assert term(layers(s), layers(s), s, s).abs().max() < 1e-6
    wide = [features(ImageNetwork("wrn-16-1", 10, 1).module(seed).eval(), x[0]) for seed in (0, 1)]
    assert term(*map(layers, wide), *wide).isfinite()


@pytest.mark.parametrize("name", OFFLINE)
def test_methods_work_on_a_multi_layer_perceptron_or_say_why_not(name):
    f = Population(MLP(64, (32, 16)), [0, 1]).features(random(6, 1, 8, 8, dtype=torch.float32))
    if name in ("AT", "FSP"):
        with pytest.raises(ParameterError, match="take a convolutional one"):
            METHODS[name].term(layers(f), layers(f), f, f)
    else:
        assert METHODS[name].term(layers(f), layers(f), f, f).abs().max() < 1e-6


def test_different_depths_are_refused_in_a_sentence():
    x = random(2, 6, 1, 8, 8, dtype=torch.float32)
    one, two = (Population(ConvNet(channels=c), [0, 1]).features(x) for c in ((8,), (8, 16)))
    with pytest.raises(ParameterError, match="the student has 1 layers of maps, the teacher 2"):
        METHODS["AT"].term(layers(one), layers(two), one, two)


def test_similarity_of_an_image_of_zeros_is_zero():
    assert (similarity_matrix(torch.cat([torch.zeros(1, 5), torch.ones(2, 5)]))[0] == 0).all()
