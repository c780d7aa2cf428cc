"""A member of a population is the network it would be alone; snapshots."""

import math
import time

import pytest
import torch
from made_task import (
    ALPHAS,
    SEEDS,
    SHORT,
    TEMPERATURES,
    drained,
    made_knobs,
    made_task,
    started_like,
    trained_alone,
)

from kdutils.datasets import load
from kdutils.networks import MLP, ConvNet, Population
from kdutils.objectives import distillation, hard_labels
from kdutils.training import Knobs, Recipe, Task, fit, train


def equal(one, other, member=slice(None)):
    return all(torch.equal(value[member], other.parameters[name][member]) for name, value in one.parameters.items())


# A member is the network it would be alone ------------------------------------------------------------------------

@pytest.mark.parametrize("spec", [MLP(64, (16,), 10), ConvNet((1, 8, 8), (4, 6), 10)], ids=str)
def test_200_steps_equal_ordinary_torch_code(spec, device):
    population, task, recipe = Population(spec, SEEDS, device), made_task(device=device), Recipe(steps=200, batch=32)
    alone = [started_like(population, m) for m in range(4)]
    losses = [loss for _, loss in drained(population, task, knobs=made_knobs(), recipe=recipe, every=1)][1:]
    on_cpu = made_task()
    logits = population.predict(task.inputs).cpu()
    tolerance = 1e-4 if device == "cpu" else 1e-2
    for m, module in enumerate(alone):
        written = trained_alone(module, on_cpu, m, [TEMPERATURES[m]] * 200, ALPHAS[m], recipe)
        with torch.no_grad():
            torch.testing.assert_close(logits[m], module(on_cpu.inputs), atol=tolerance, rtol=tolerance)
        assert [float(loss[m]) for loss in losses] == pytest.approx(written, abs=tolerance, rel=tolerance)


def test_training_learns():
    digits = load("digits")
    task = Task(digits.inputs, digits.labels, torch.arange(1200).repeat(2, 1), (0, 1))
    population = Population(MLP(64, (16,), 10), (0, 1))
    history = fit(population, task, hard_labels, recipe=Recipe(steps=300), every=20)
    right = (population.predict(digits.inputs[1200:]).argmax(-1) == digits.labels[1200:]).float().mean(-1)
    assert history[1].loss[0] > 5 * history[-1].loss[0] and (right > 0.85).all()


def changed(what):
    """The made task and knobs with one thing changed for member 2 only."""
    task, values = made_task(), {"temperature": list(TEMPERATURES), "alpha": list(ALPHAS)}
    if what == "seed":
        task = made_task(seeds=(3, 1, 9, 1))
    elif what in values:
        values[what][2] /= 4
    elif what == "teacher":
        task.teacher["logits"][2] *= 2
    else:
        getattr(task, what)[2] = (getattr(task, what)[2] + 1) % 10
    return task, Knobs(**values)


@pytest.mark.parametrize("what", ["seed", "labels", "train", "teacher", "temperature", "alpha"])
@pytest.mark.parametrize("spec", [MLP(64, (16,), 10), ConvNet((1, 8, 8), (4, 6), 10)], ids=str)
def test_members_are_independent(spec, what):
    first, second = Population(spec, SEEDS), Population(spec, SEEDS)
    task, knobs = changed(what)
    drained(first)
    drained(second, task, knobs=knobs)
    assert equal(first, second, [0, 1, 3]), "the others must not notice"
    assert not equal(first, second, [2])


@pytest.mark.parametrize("members", [2, 3, 5])
@pytest.mark.parametrize("spec", [MLP(64, (13,), 10), ConvNet(channels=(3, 5))], ids=str)
def test_members_of_one_seed_stay_equal_to_the_bit(spec, members):
    """Also the last one, whose last numbers end a buffer that is no multiple of what a processor takes at once."""
    digits = load("digits")
    task = Task(digits.inputs, digits.labels, torch.arange(300).expand(members, -1), (7,) * members)
    population = Population(spec, task.seeds)
    fit(population, task, hard_labels, recipe=SHORT)
    for name, values in population.parameters.items():
        assert all(torch.equal(values[0], other) for other in values[1:]), name


def test_a_member_that_diverges_takes_nobody_along():
    first, second = Population(MLP(), SEEDS), Population(MLP(), SEEDS)
    second.parameters["logits.weight"][2] = math.nan
    drained(first)
    drained(second)
    assert equal(first, second, [0, 1, 3]) and second.parameters["logits.weight"][2].isnan().all()


def test_the_same_seeds_give_the_same_numbers(device):
    runs = [Population(MLP(), SEEDS, device) for _ in range(2)]
    losses = [drained(run, made_task(device=device)) for run in runs]
    assert equal(*runs) and all(torch.equal(a[1], b[1]) for a, b in zip(*losses, strict=True) if a[0])


def test_a_caller_without_gradients_trains_all_the_same():
    """Such as one that measures under no_grad and pulls the next snapshot there."""
    expected, found = Population(MLP(), SEEDS), Population(MLP(), SEEDS)
    drained(expected)
    with torch.no_grad():
        drained(found)
    assert equal(expected, found)


def test_training_leaves_the_teacher_the_data_and_torchs_generator_alone():
    task, population = made_task(), Population(MLP(), SEEDS)
    before = [value.clone() for value in (task.teacher["logits"], task.inputs, task.labels, task.train)]
    state, start = torch.get_rng_state(), population.copy()
    drained(population, task)
    for value, kept in zip((task.teacher["logits"], task.inputs, task.labels, task.train), before, strict=True):
        assert torch.equal(value, kept) and not value.requires_grad and value.grad is None
    assert torch.equal(torch.get_rng_state(), state)
    assert all(not torch.equal(value[m], start.parameters[name][m])
               for name, value in population.parameters.items() for m in range(4)), "every layer of every member learns"


def test_teachers_may_be_shared():
    logits = made_task().teacher["logits"]
    own, shared = (Population(MLP(), SEEDS) for _ in range(2))
    which = torch.tensor([1, 0, 1, 1])
    drained(own, Task(**vars(made_task()) | {"teacher": {"logits": logits[which]}}))
    drained(shared, Task(**vars(made_task()) | {"teacher": {"logits": logits[:2]}, "teacher_of": which}))
    assert equal(own, shared)


def test_a_batch_holds_the_rows_of_its_images():
    n = 20
    labels = torch.arange(n) + 100 * torch.arange(3)[:, None]
    task = Task(torch.arange(n).float()[:, None, None, None], labels, torch.tensor([[5, 6, 7], [1, 2, 3], [19, 0, 4]]),
                (0, 1, 2), {"a": torch.arange(n) + 1000.0 * torch.arange(2)[:, None]}, torch.tensor([1, 0, 1]))
    inputs, teacher, got = task.batch(torch.tensor([[2, 0], [1, 1], [0, 2]]))
    assert inputs.flatten(1).tolist() == [[7, 5], [2, 2], [19, 4]] and inputs.shape == (3, 2, 1, 1, 1)
    assert teacher["a"].tolist() == [[1007, 1005], [2, 2], [1019, 1004]]
    assert got.tolist() == [[7, 5], [102, 102], [219, 204]]


def test_targets_are_rows_of_numbers_also_where_members_are_as_many_as_targets():
    inputs, targets = torch.zeros(4, 1, 1, 1), torch.arange(12.0).view(4, 3)
    for members in (2, 4):
        task = Task(inputs, targets, torch.arange(4).expand(members, -1), range(members))
        _, _, got = task.batch(torch.tensor([[3, 0]]).expand(members, -1))
        assert got.tolist() == [[[9, 10, 11], [0, 1, 2]]] * members


def test_a_regression_learns_its_targets():
    x = torch.linspace(-1, 1, 64)[:, None, None, None]
    task = Task(x, torch.cat([x.flatten(1), x.flatten(1).square()], 1), torch.arange(64).expand(3, -1), (0, 1, 2))
    population = Population(MLP(1, (16,), 2), task.seeds)
    history = fit(population, task, lambda student, teacher, y, knobs: (student["logits"] - y).square().mean((1, 2)),
                  recipe=Recipe(steps=200, batch=16), every=20)
    assert (history[-1].loss < 0.01).all()


# Snapshots --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("total, every, expected", [
    (50, 20, [0, 20, 40, 50]), (21, 7, [0, 7, 14, 21]), (5, 20, [0, 5]), (3, 1, [0, 1, 2, 3]), (1, 1, [0, 1])])
def test_snapshots_come_at_their_steps_and_the_last_is_always_there(total, every, expected):
    calls = []

    def counted(*arguments):
        calls.append(1)
        return distillation(*arguments)

    seen = drained(Population(MLP(), SEEDS), objective=counted, recipe=Recipe(steps=total, batch=16), every=every)
    assert [step for step, _ in seen] == expected and len(calls) == total
    assert seen[0][1].isnan().all() and all(loss.shape == (4,) for _, loss in seen)


def test_the_loss_of_a_snapshot_is_the_mean_of_its_batches():
    per_batch = []

    def recorded(*arguments):
        per_batch.append(distillation(*arguments))
        return per_batch[-1]

    seen = drained(Population(MLP(), SEEDS), objective=recorded, recipe=Recipe(steps=25, batch=16), every=10)
    for (_, loss), part in zip(seen[1:], (slice(0, 10), slice(10, 20), slice(20, 25)), strict=True):
        torch.testing.assert_close(loss, torch.stack(per_batch[part]).detach().mean(0))
        assert not loss.requires_grad


def test_kept_losses_do_not_change_later():
    history = fit(Population(MLP(), SEEDS), made_task(), distillation, made_knobs(), SHORT, 10)
    expected = drained(Population(MLP(), SEEDS))
    torch.testing.assert_close([s.loss for s in history[1:]], [loss for _, loss in expected][1:])
    assert [(s.step, s.steps) for s in history] == [(0, 30), (10, 30), (20, 30), (30, 30)]


def test_nothing_happens_before_the_first_pull_and_the_first_snapshot_is_the_start():
    population = Population(MLP(), SEEDS)
    start, running = population.copy(), train(population, made_task(), distillation, made_knobs(), Recipe(steps=30))
    assert equal(population, start)
    assert next(running).step == 0 and equal(population, start)
    assert next(running).step == 20 and not equal(population, start)


def test_seconds_count_training_and_not_its_audience():
    begun, looked, seconds = time.perf_counter(), 0.0, [0.0]
    for snapshot in train(Population(MLP(), SEEDS), made_task(), distillation, made_knobs(), Recipe(steps=30), 10):
        time.sleep(0.1)
        looked += 0.1
        seconds.append(snapshot.seconds)
    assert seconds == sorted(seconds) and 0 < seconds[-1] <= time.perf_counter() - begun - looked + 1e-3


def test_closing_early_leaves_a_usable_population():
    stopped, whole = Population(MLP(), SEEDS), Population(MLP(), SEEDS)
    running, reference = (train(one, made_task(), distillation, made_knobs(), SHORT, 10) for one in (stopped, whole))
    for generator in (running, reference):
        assert [next(generator).step for _ in range(2)] == [0, 10]
    running.close()
    assert equal(stopped, whole) and torch.isfinite(stopped.predict(made_task().inputs)).all()
    assert equal(stopped.copy(), whole) and stopped.member(0)(made_task().inputs[:2]).shape == (2, 10)
    next(reference)
    assert not equal(stopped, whole), "a closed training must stand still"
    before = stopped.copy()
    assert drained(stopped)[-1][0] == 30 and not equal(stopped, before), "it can be trained again"
