"""The authors' demonstration on a stand-in for MNIST: who hears what, who learns when, and its networks."""

import pytest
import torch

from kdutils.datasets import Dataset
from kdutils.lessons.subclass_distillation import mnist as subclass_mnist
from kdutils.lessons.subclass_distillation.mnist import SubclassMnist
from kdutils.objectives import class_logits


@pytest.fixture
def tiny_mnist(monkeypatch):
    """A stand-in: 14 x 14 images of ten kinds, whose halves are the classes."""
    random = torch.Generator().manual_seed(0)
    hidden = torch.arange(300) % 10
    images = 60 * torch.rand(10, 14, 14, generator=random)[hidden] + 20 * torch.rand(300, 14, 14, generator=random)
    data = Dataset("mnist-2x5", images.to(torch.uint8)[:, None], hidden // 5, ("0-4", "5-9"), 80,
                   torch.arange(200, 300), hidden)
    monkeypatch.setattr(subclass_mnist, "grouped", lambda name, device: data.to(device))
    return data


def test_the_demonstration_measures_every_network_after_every_epoch(tiny_mnist):
    said, kept = [], []
    params = SubclassMnist(seeds=2, epochs=3, batch=64, seed=5)
    results = subclass_mnist.run(params, said.append, kept.append)
    assert set(results.table.method) == {"teacher", *subclass_mnist.PUBLISHED, "hard labels, larger head"}
    counts = results.table.groupby("method").apply(lambda rows: sorted(zip(rows.seed, rows.epoch, strict=True)),
                                                   include_groups=False)
    assert all(one == [(seed, epoch) for seed in (5, 6) for epoch in (1, 2, 3)] for one in counts)
    assert len(said) == 30 and [len(one.table) for one in kept] == [15, 30] and not kept[0].complete
    assert results.table[results.table.method == "teacher"].hungarian.notna().all()
    again = subclass_mnist.run(params)
    assert again.table.equals(results.table), "dropout and orders come from the seed alone"


def test_the_demonstrations_networks_have_the_published_shapes(device):
    teacher = subclass_mnist.demo_teacher((1, 28, 28), 10, 0, device)
    assert [tuple(p.shape) for p in teacher.parameters() if p.ndim > 1] == [
        (32, 1, 3, 3), (64, 32, 3, 3), (128, 1600), (10, 128)]
    student = subclass_mnist.demo_student((1, 28, 28), 2, 0, device)
    assert [tuple(p.shape) for p in student.parameters() if p.ndim > 1] == [(784, 784), (784, 784), (2, 784)]
    x = torch.rand(3, 1, 28, 28, device=device)
    teacher.train()
    assert not torch.equal(teacher(x), teacher(x)), "dropout"
    teacher.eval()
    assert torch.equal(teacher(x), teacher(x)) and teacher(x).shape == (3, 10)
    limit = (6 / (784 + 784)) ** 0.5
    weight = student.linear1.weight.detach()
    assert float(weight.abs().max()) <= limit and float(weight.std()) == pytest.approx(limit / 3**0.5, rel=0.01)
    assert not any(p.any() for p in student.parameters() if p.ndim == 1)


def test_dropout_keeps_the_mean():
    x = torch.ones(400, 400)
    dropped = subclass_mnist.Dropout(0.25, 0, "test", "cpu")(x)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.01)


def test_every_student_hears_what_its_name_says(tiny_mnist, monkeypatch):
    """The message of two classes is the sum of the subclasses' probabilities; labels alone have no message."""
    asked, real = [], subclass_mnist.epochs

    def watched(network, data, train, objective, knobs, message, seed, params):
        asked.append((network, knobs, message))
        return real(network, data, train, objective, knobs, message, seed, params)

    monkeypatch.setattr(subclass_mnist, "epochs", watched)
    params = SubclassMnist(seeds=1, epochs=1, batch=64, alpha=0.4, temperature=3.0, beta=0.2, t_aux=0.7)
    subclass_mnist.run(params)
    _, train = subclass_mnist.prepare(params)
    (teacher, knobs, nothing), *students = asked
    logits = subclass_mnist.answers(teacher, tiny_mnist.inputs[train])
    assert nothing is None and (knobs["beta"], knobs["t_aux"], knobs["temperature"]) == (0.2, 0.7, 3.0)
    assert [student.logits.out_features for student, *_ in students] == [2, 2, 10, 10]
    assert [knobs["alpha"] for _, knobs, _ in students] == [0, 0.4, 0.4, 0]
    torch.testing.assert_close(students[1][2][train], class_logits(logits, (5, 5)))
    torch.testing.assert_close(students[2][2][train], logits)


def test_test_images_are_never_trained_on(tiny_mnist):
    _, train = subclass_mnist.prepare(SubclassMnist(batch=64))
    assert torch.equal(train, torch.arange(200))
    assert torch.equal(subclass_mnist.prepare(SubclassMnist(batch=64, train_images=70))[1], torch.arange(70))


def test_the_rest_of_an_epoch_is_dropped_and_every_epoch_and_seed_has_its_order(tiny_mnist):
    """A consumer evaluates between the epochs: dropout must be back on at the next one."""
    seen, modes = {}, []

    def watched(student, teacher, labels, knobs):
        seen.setdefault(seed, []).append(labels.tolist())
        modes.append(network.training)
        return student["logits"].sum() * 0.0

    params = SubclassMnist(seeds=1, epochs=2, batch=64)
    for seed in (0, 1):
        network = subclass_mnist.demo_student(tiny_mnist.shape, 2, 0)
        counted = []
        for epoch in subclass_mnist.epochs(network, tiny_mnist, torch.arange(200), watched, {}, None, seed, params):
            counted.append(epoch)
            subclass_mnist.answers(network, tiny_mnist.inputs[:3])
            assert not network.training
        assert counted == [1, 2]
    assert [len(labels) for labels in seen[0]] == [64] * 6 and all(modes)
    assert seen[0] != seen[1] and seen[0][:3] != seen[0][3:]


def test_answers_are_given_without_dropout(tiny_mnist):
    teacher = subclass_mnist.demo_teacher(tiny_mnist.shape, 10, 0).train()
    first, second = (subclass_mnist.answers(teacher, tiny_mnist.inputs) for _ in range(2))
    assert torch.equal(first, second) and first.shape == (300, 10)


def test_a_step_is_adams_with_keras_epsilon(tiny_mnist):
    """The first step of Adam is lr * g / (|g| + epsilon): another epsilon shows where gradients are small."""
    params = SubclassMnist(seeds=1, epochs=1, batch=200, lr=2e-3)
    network = subclass_mnist.demo_student(tiny_mnist.shape, 2, 0)
    before = network.logits.bias.detach().clone()

    def objective(student, teacher, labels, knobs):
        return (student["logits"].mean(0) * torch.tensor([3e-7, -1.0])).sum()

    list(subclass_mnist.epochs(network, tiny_mnist, torch.arange(200), objective, {}, None, 0, params))
    torch.testing.assert_close(network.logits.bias.detach() - before, 2e-3 * torch.tensor([-3 / 4, 1.0]),
                               rtol=1e-4, atol=0)


@pytest.mark.parametrize("wrong, words", [
    ({"batch": 1}, ("batch", "at least 2", "1")), ({"t_aux": 0}, ("t_aux", "0")),
    ({"subclasses": 0}, ("subclasses", "0")),
    ({"alpha": 2}, ("alpha", "2")), ({"beta": -1}, ("beta", "-1")), ({"epochs": 0}, ("epochs", "0"))])
def test_the_demonstration_refuses_impossible_parameters(wrong, words, refuses):
    with refuses(*words):
        SubclassMnist(**wrong)


def test_absent_mnist_says_what_to_run(monkeypatch, tmp_path, refuses):
    monkeypatch.setenv("KDUTILS_DATA", str(tmp_path))
    with refuses("mnist", "kdutils data get"):
        subclass_mnist.run(SubclassMnist(seeds=1))
