"""The training loop against ordinary torch code written out here, and what it promises while it runs."""

import itertools
import math
import time

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kdutils.datasets import load
from kdutils.networks import MLP, ConvNet, Population
from kdutils.objectives import distillation, hard_labels
from kdutils.training import SGD, Adam, Knobs, Recipe, Task, check_knob, fit, train
from kdutils.training.loop import batches, ranking

SEEDS = (3, 1, 4, 1)
SHORT = Recipe(steps=30, batch=16)
TEMPERATURES, ALPHAS = (1.0, 4.0, 20.0, 2.0), (1.0, 0.9, 0.5, 0.0)


@pytest.fixture(autouse=True, params=["torch", "kernels"])
def engine(request, monkeypatch):
    """Both engines keep every promise of the loop; what the kernels do not know is torch's under either name."""
    if request.param == "kernels":
        pytest.importorskip("numba", reason="the kernels need numba")
    monkeypatch.setenv("KDUTILS_ENGINE", request.param)
    return request.param


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
