"""Knobs, interrupts, wrong arguments, optimizers and the order of batches."""

import itertools
import math

import pytest
import torch
from made_task import (
    ALPHAS,
    SEEDS,
    drained,
    made_knobs,
    made_task,
    started_like,
    trained_alone,
)

from kdutils.datasets import load
from kdutils.networks import MLP, Population
from kdutils.objectives import distillation, hard_labels
from kdutils.training import SGD, Adam, Knobs, Recipe, Task, check_knob, fit, train
from kdutils.training.loop import batches, ranking

# Knobs ------------------------------------------------------------------------------------------------------------

def test_a_knob_changed_between_steps_holds_from_the_next_step_on():
    population, task, recipe, knobs = Population(MLP(), SEEDS), made_task(), Recipe(steps=60, batch=32), made_knobs()
    alone = started_like(population, 0)
    losses = []
    for snapshot in train(population, task, distillation, knobs, recipe, every=1):
        losses.append(float(snapshot.loss[0]))
        if snapshot.step == 25:
            knobs.set(temperature=8.0)
        elif snapshot.step == 40:
            knobs.set(temperature=[2.0, 1.0, 1.0, 1.0])
    written = trained_alone(alone, task, 0, [1.0] * 25 + [8.0] * 15 + [2.0] * 20, ALPHAS[0], recipe)
    assert losses[1:] == pytest.approx(written, abs=1e-4, rel=1e-4)


def test_a_knob_changed_inside_a_step_waits_for_the_next():
    knobs, read = Knobs(temperature=1.0, alpha=1.0), []

    def meddling(student, teacher, labels, values):
        knobs.set(temperature=len(read) + 2)
        read.append(values["temperature"])
        return distillation(student, teacher, labels, values)

    drained(Population(MLP(), SEEDS), objective=meddling, knobs=knobs, recipe=Recipe(steps=4, batch=16))
    assert read == [1, 2, 3, 4]


def test_knobs_are_numbers_or_one_number_per_member():
    knobs = Knobs(temperature=4, alpha=torch.tensor([0.0, 0.5]))
    assert (knobs["temperature"], knobs["alpha"]) == (4, (0.0, 0.5))
    values = knobs.read(2, torch.device("cpu"))
    assert values["temperature"] == 4 and values["alpha"].tolist() == [0.0, 0.5]
    assert knobs.read(2, torch.device("cpu")) is values, "tensors are made once, not at every step"
    knobs.set(alpha=0.25)
    assert knobs.read(2, torch.device("cpu")) == {"temperature": 4, "alpha": 0.25}


def test_wrong_knobs_change_nothing_and_say_so(refuses):
    knobs = Knobs(temperature=4.0, alpha=0.5)
    for wrong in (0, -1.0, math.nan, math.inf, "4", None, True):
        with refuses("temperature", repr(wrong)):
            knobs.set(alpha=0.9, temperature=wrong)
    with refuses("alpha", "between 0 and 1", "1.5"):
        knobs.set(temperature=8.0, alpha=1.5)
    with refuses("alpha", "-0.1"):
        knobs.set(alpha=[0.1, -0.1])
    with refuses("knob", "tempreature"):
        knobs.set(tempreature=2.0)
    assert (knobs["temperature"], knobs["alpha"]) == (4.0, 0.5)
    assert check_knob("alpha", 0) == 0 and check_knob("alpha", 1) == 1


# Interrupts and wrong arguments -----------------------------------------------------------------------------------

def test_an_interrupt_is_never_swallowed():
    """Catches half-trained teachers that are kept as if they were whole."""
    def interrupted(*arguments):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(Population(MLP(), SEEDS), made_task(), interrupted, made_knobs(), Recipe(steps=60, batch=16))


def wrong_arguments():
    task = vars(made_task())
    return {
        "members": (lambda: train(Population(MLP(), (1, 2)), made_task(), distillation, made_knobs()), "4", "2"),
        "every": (lambda: train(Population(MLP(), SEEDS), made_task(), distillation, made_knobs(), every=0),
                  "every", "0"),
        "knob length": (lambda: train(Population(MLP(), SEEDS), made_task(), distillation,
                                      Knobs(temperature=[1.0, 2.0], alpha=0.5)), "temperature", "4", "2"),
        "steps": (lambda: Recipe(steps=0), "steps", "0"),
        "steps in words": (lambda: Recipe(steps="many"), "steps", "many"),
        "part of a step": (lambda: Recipe(steps=2.5), "steps", "2.5"),
        "batch": (lambda: Recipe(batch=0), "batch", "0"),
        "lr": (lambda: Recipe(lr=0.0), "lr", "0.0"),
        "optimizer": (lambda: Recipe(optimizer="lion"), "optimizer", "'lion'"),
        "weight decay": (lambda: Recipe(optimizer="sgd", weight_decay=-0.1), "weight decay", "-0.1"),
        "weight decay of adam": (lambda: Recipe(weight_decay=0.1), "weight decay", "0.1"),
        "lr not finite": (lambda: Recipe(lr=math.nan), "lr", "nan"),
        "schedule": (lambda: Recipe(schedule="linear"), "schedule", "linear", "cosine", "constant"),
        "train": (lambda: Task(**task | {"train": task["train"][:3]}), "train", "(3, 90)"),
        "labels": (lambda: Task(**task | {"labels": task["labels"][:, :5]}), "labels", "(4, 5)"),
        "targets": (lambda: Task(**task | {"labels": torch.zeros(5, 2)}), "labels", "(5, 2)"),
        "teacher": (lambda: Task(**task | {"teacher": {"logits": task["teacher"]["logits"][:, :5]}}), "(4, 5, 10)"),
        "teachers": (lambda: Task(**task | {"teacher": {"logits": task["teacher"]["logits"][:2]}}), "(2, 1797, 10)"),
    }


@pytest.mark.parametrize("case", wrong_arguments())
def test_wrong_arguments_are_refused_before_the_first_step(case, refuses):
    call, *words = wrong_arguments()[case]
    with refuses(*words):
        call()


def test_a_whole_number_is_whole_however_it_is_written():
    assert Recipe(steps=30.0, batch=16.0) == Recipe(steps=30, batch=16) and Recipe(steps=30.0).steps.__class__ is int


# Adam and the batch order -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [1.0, 1e-7], ids=["ordinary gradients", "gradients near eps"])
@pytest.mark.parametrize("lr", [0.01, (0.1, 0.001, 0.03)], ids=["one rate", "a rate per member"])
def test_adam_is_torchs_adam(lr, size):
    random = torch.Generator().manual_seed(0)
    start = {"w": torch.randn(3, 4, 2, generator=random), "b": torch.randn(3, 2, generator=random)}
    ours = Adam(start, torch.tensor(lr) if isinstance(lr, tuple) else lr)
    rates = lr if isinstance(lr, tuple) else (lr,) * 3
    theirs = [{name: value[m].clone().requires_grad_() for name, value in start.items()} for m in range(3)]
    torchs = [torch.optim.Adam(one.values(), lr=rate) for one, rate in zip(theirs, rates, strict=True)]
    for step in range(30):
        slope = {name: size * torch.randn(value.shape, generator=random) for name, value in start.items()}
        ours.minimise(sum((slope[name] * value).sum() for name, value in ours.parameters.items()), scale=1 - step / 60)
        for m, (one, optimizer) in enumerate(zip(theirs, torchs, strict=True)):
            for group in optimizer.param_groups:
                group["lr"] = rates[m] * (1 - step / 60)
            for name, value in one.items():
                value.grad = slope[name][m]
            optimizer.step()
    for name, value in ours.parameters.items():
        expected = torch.stack([one[name].detach() for one in theirs])
        torch.testing.assert_close(value.detach(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_sgd_is_torchs_sgd(decay):
    random = torch.Generator().manual_seed(0)
    start = {"w": torch.randn(3, 4, 2, generator=random), "b": torch.randn(3, 2, generator=random)}
    ours = SGD(start, 0.1, weight_decay=decay)
    theirs = {name: value.clone().requires_grad_() for name, value in start.items()}
    torchs = torch.optim.SGD(theirs.values(), lr=0.1, momentum=0.9, weight_decay=decay)
    for step in range(30):
        slope = {name: torch.randn(value.shape, generator=random) for name, value in start.items()}
        ours.minimise(sum((slope[name] * value).sum() for name, value in ours.parameters.items()), scale=1 - step / 60)
        torchs.param_groups[0]["lr"] = 0.1 * (1 - step / 60)
        for name, value in theirs.items():
            value.grad = slope[name]
        torchs.step()
    for name, value in ours.parameters.items():
        torch.testing.assert_close(value.detach(), theirs[name].detach(), atol=1e-5, rtol=1e-5)


def test_a_recipe_names_its_optimizer():
    """The first step tells them apart: Adam's moves every weight that has a slope by its rate, SGD's by the slope."""
    inputs = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    task = Task(inputs, torch.arange(20) % 10, torch.arange(20)[None], (0,))
    before, after = Population(MLP(64, (4,), 10), (0,)).parameters["logits.bias"], {}
    for name, recipe in {"adam": Recipe(steps=1), "sgd": Recipe(steps=1, optimizer="sgd"),
                         "decayed": Recipe(steps=1, optimizer="sgd", weight_decay=0.5)}.items():
        population = Population(MLP(64, (4,), 10), (0,))
        fit(population, task, hard_labels, recipe=recipe)
        after[name] = population.parameters["logits.bias"]
    lr = Recipe().lr
    torch.testing.assert_close((after["adam"] - before).abs(), torch.full((1, 10), lr), rtol=1e-3, atol=0)
    assert ((after["sgd"] - before).abs() < lr / 2).all() and not torch.equal(after["sgd"], before)
    torch.testing.assert_close(after["sgd"] - after["decayed"], lr * 0.5 * before, rtol=1e-3, atol=1e-6)


def test_adam_leaves_the_given_tensors_alone():
    start = {"w": torch.ones(2, 3)}
    adam = Adam(start)
    adam.minimise(adam.parameters["w"].sum())
    assert torch.equal(start["w"], torch.ones(2, 3)) and (adam.parameters["w"] < 1).all()


@pytest.mark.parametrize("n, batch", [(12, 4), (10, 3), (7, 7), (5, 64), (1, 1), (100, 64)])
def test_every_epoch_visits_every_image_at_most_once(n, batch):
    size = min(n, batch)
    per_epoch = n // size
    seen = list(itertools.islice(batches([5, 8], n, batch), 150 * per_epoch))  # beyond the first block of epochs
    epochs = torch.stack(seen).view(150, per_epoch, 2, size).permute(2, 0, 1, 3).flatten(2)
    assert epochs.min() >= 0 and epochs.max() < n
    assert all(len(set(epoch)) == per_epoch * size for member in epochs.tolist() for epoch in member)
    assert set(epochs.flatten().tolist()) == set(range(n)), "the dropped rest is not always the same"
    if n > 6:  # 7! orders: few meet twice
        assert len({tuple(epoch) for epoch in epochs[0].tolist()}) > 140, "each epoch has an order of its own"
        assert not torch.equal(epochs[0], epochs[1])


@pytest.mark.parametrize("levels", [2, 7, 2**24])
def test_ranking_is_a_stable_argsort(levels):
    """Catches an order that depends on how equal draws happen to be sorted: it would differ between machines."""
    values = (torch.rand(3, 4, 900, generator=torch.Generator().manual_seed(0)) * levels).floor() / levels
    assert torch.equal(torch.from_numpy(ranking(values.numpy())), values.argsort(dim=-1, stable=True))


def test_the_order_of_a_member_does_not_depend_on_its_companions():
    def first(seeds, member):
        return torch.stack([batch[member] for batch in itertools.islice(batches(seeds, 50, 8), 500)])

    alone = first([7], 0)
    assert torch.equal(alone, first([1, 7, 3], 1)) and torch.equal(alone, first([7, 7], 1))
    assert torch.equal(alone, first([3, 7, 3, 7], 3)) and not torch.equal(alone, first([1, 7, 3], 0))


def test_an_objective_that_asks_for_what_is_not_there_says_so(refuses):
    """Not a bare KeyError: a knob that was not set, a teacher that the task does not have."""
    digits = load("digits")
    population = Population(MLP(64, (4,), 10), [0])
    alone = Task(digits.inputs, digits.labels, torch.arange(20)[None], (0,))
    taught = Task(digits.inputs, digits.labels, torch.arange(20)[None], (0,), {"logits": torch.zeros(1, 1797, 10)})
    with refuses("teacher output", "'logits'"):
        fit(population, alone, distillation, Knobs(temperature=4.0, alpha=0.5), Recipe(steps=1))
    with refuses("knob", "'alpha'", "temperature"):
        fit(population, taught, distillation, Knobs(temperature=4.0), Recipe(steps=1))
