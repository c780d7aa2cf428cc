"""The panels of notebook 02 from Python: every control against numbers computed here, and runs in a thread."""

import math
import re
import threading

import numpy as np
import pytest
import torch
from helpers import answers_at_once, headless_page, line, per_cent, stops_and_starts, student_interval, until, x, y

from kdutils.cohorts import Splits, cohort, distilled
from kdutils.datasets import take
from kdutils.errors import ParameterError
from kdutils.lessons.tolerant_teachers.experiment import ancestors, lineages
from kdutils.lessons.tolerant_teachers.panels import tolerance_lab
from kdutils.lessons.tolerant_teachers.panels.family_tree import FamilyTree
from kdutils.lessons.tolerant_teachers.panels.one_answer import RULES, SEEN, STRENGTHS, OneAnswerPanel
from kdutils.lessons.tolerant_teachers.panels.secondaries import SecondariesPanel
from kdutils.lessons.tolerant_teachers.panels.tolerance_lab import ToleranceLab
from kdutils.lessons.tolerant_teachers.parameters import kinds
from kdutils.networks import Population
from kdutils.objectives import optimum, penalty_optimum, smoothing_optimum, tolerant_teacher
from kdutils.plots.style import COLOURS
from kdutils.training import Knobs, Recipe, Task, train

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
SEEDS, STEPS = 3, 30
KINDS = [kind.name for kind in kinds()]


class QuickLab(ToleranceLab):
    """The tolerance lab; a control counts as released soon."""

    delay, patience = 0.03, 60.0


# ---- tolerance of one answer --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def shared_answer() -> OneAnswerPanel:
    return OneAnswerPanel()


@pytest.fixture
def answer(shared_answer) -> OneAnswerPanel:
    shared_answer.reset()
    return shared_answer


LETTERS = {"tolerant": "eta", "smoothing": "epsilon", "penalty": "beta"}
BEST = {"tolerant": lambda strength, k: optimum(strength, k),
        "smoothing": lambda strength, k: smoothing_optimum(strength, 10),
        "penalty": lambda strength, k: penalty_optimum(strength, 10)}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("k", [2, 5, 10])
def test_the_descent_follows_the_gradient_of_the_courses_objective(rule, k):
    z = torch.tensor([0.3, -1.0, 2.0, 1.4, 0.1, -0.6, 0.9, -2.0, 0.5, 1.1], dtype=torch.float64, requires_grad=True)
    knobs = {LETTERS[rule]: 0.4, "ranks": k}
    (gradient,) = torch.autograd.grad(tolerant_teacher({"logits": z[None]}, None, torch.tensor([3]), knobs), z)
    p, wanted = z.detach().softmax(-1).numpy(), np.eye(10)[3]
    if rule == "smoothing":
        wanted = 0.6 * wanted
    np.testing.assert_allclose(p - wanted + RULES[rule].gradient(p, 0.4, k), gradient.numpy(), atol=1e-9)


@pytest.mark.parametrize(("rule", "strength", "k"), [
    ("tolerant", 0.0, 5), ("tolerant", 0.5, 5), ("tolerant", 0.9, 5), ("tolerant", 1.5, 5), ("tolerant", 1.2, 3),
    ("tolerant", 1.5, 2), ("tolerant", 1.5, 10), ("smoothing", 0.125, 5), ("smoothing", 0.9, 4), ("penalty", 0.25, 5),
    ("penalty", 1.5, 10)])
def test_descent_ends_at_the_closed_form(answer, rule, strength, k):
    answer.set(rule=rule, strength=strength, ranks=k)
    p, best = y(answer, "answer"), BEST[rule](strength, k)
    assert p.sum() == pytest.approx(1) and p[3] == pytest.approx(best, abs=0.01)
    ticks = y(answer, "optimum").reshape(10, 3)[:, 0]
    assert ticks.sum() == pytest.approx(1) and ticks[3] == pytest.approx(best)
    said = per_cent(answer.reading())
    assert said[:2] == pytest.approx([100 * p[3], 100 * best], abs=0.11)
    assert f"{LETTERS[rule]} = {strength:g}:" in answer.reading()


@pytest.mark.parametrize("rule", RULES)
def test_the_curves_of_the_optimum_and_the_point_on_them(answer, rule):
    answer.set(rule=rule, strength=1.2, ranks=4)
    most = {"smoothing": 1.0}.get(rule, 1.2)       # epsilon is a share
    curves = [y(answer, f"{share} by strength") for share in ("label", "secondary", "rest")]
    np.testing.assert_allclose(np.sum(curves, 0), 1)
    np.testing.assert_allclose(curves[0], [BEST[rule](min(s, 1.0) if rule == "smoothing" else s, 4)
                                           for s in STRENGTHS])
    assert y(answer, "label now")[0] == pytest.approx(BEST[rule](most, 4)) and x(answer, "now") == [1.2, 1.2]
    ways = [y(answer, f"{share} descends") for share in ("label", "secondary", "rest")]
    np.testing.assert_allclose(np.sum(ways, 0), 1)
    assert len(ways[0]) == len(SEEN) and ways[0][-1] == pytest.approx(y(answer, "answer")[3])
    assert f"{LETTERS[rule]} = {most:g}:" in answer.reading()
    assert answer.chart.figure().layout.xaxis3.title.text.startswith(LETTERS[rule])


def test_tolerance_keeps_the_order_of_the_start_and_its_rivals_do_not(answer):
    start = answer.example.logits.numpy()
    secondary = np.argsort(-start)[1:5]
    p = y(answer, "answer")
    assert np.argsort(-p)[1:5].tolist() == secondary.tolist()
    assert p[secondary].max() > 2 * p[secondary].min()
    assert f"most for the {secondary[0]}" in answer.reading()
    for rule in ("smoothing", "penalty"):
        answer.preset(rule.capitalize())
        others = np.delete(y(answer, "answer"), 3)
        assert others.max() < 1.1 * others.min() and "alike" in answer.reading()


def test_the_words_know_the_threshold(answer):
    answer.set(strength=0.8)
    assert "Up to (K - 1)/K = 0.8 the best answer is one-hot" in answer.reading()
    answer.set(strength=0.825)
    assert "Above (K - 1)/K = 0.8" in answer.reading()
    answer.set(ranks=2)
    assert "keeps a second class" in answer.reading() and "on rank 2," in answer.reading()
    answer.set(strength=0.0)
    assert "Nothing is added" in answer.reading()
    answer.set(ranks=10)
    assert "the rest" not in answer.reading()


def test_label_ranks_and_rest_have_their_colours(answer):
    answer.set(ranks=3)
    colours = answer.chart.figure().data[0].marker.color
    assert colours[3] == COLOURS["hard labels"]
    assert sum(colour == COLOURS["tolerant"] for colour in colours) == 2
    assert sum(colour == COLOURS["other"] for colour in colours) == 7


def test_another_digit_may_be_asked_about(shared_answer, refuses):
    other = OneAnswerPanel(digit=8, examples=[shared_answer.example, *_examples()[8:9]])
    assert other.example.label == 8 and y(other, "answer").argmax() == 8 and "label 8" in other.reading()
    with refuses("digit", "77"):
        OneAnswerPanel(digit=77)


def _examples():
    from kdutils.lessons.examples import usual_examples
    return usual_examples()


def test_presets_of_one_answer_say_what_they_set(answer):
    shares = {}
    for name in answer.presets:
        answer.preset(name)
        shares[name] = y(answer, "label now")[0]
    assert shares["Strict"] == shares["Below the threshold"] == 1
    # The three rules leave the label about the same, so that a reader sees where the rest goes.
    assert all(shares[name] == pytest.approx(8 / 9, abs=0.02) for name in ("Tolerant", "Smoothing", "Penalty"))
    answer.reset()
    assert answer.values == {"rule": "tolerant", "strength": 0.9, "ranks": 5}


@pytest.mark.parametrize("wrong", [{"strength": -0.1}, {"strength": 2}, {"ranks": 1}, {"ranks": 11}, {"ranks": 2.5},
                                   {"rule": "strict"}, {"rule": "penalty", "strength": math.nan}])
def test_wrong_values_of_one_answer_are_one_sentence(answer, refuses, wrong):
    before = dict(answer.values), y(answer, "answer"), answer.reading()
    with refuses(list(wrong)[-1]):
        answer.set(**wrong)
    assert dict(answer.values) == before[0] and answer.reading() == before[2]
    np.testing.assert_array_equal(y(answer, "answer"), before[1])


@pytest.mark.alone
def test_formula_panels_answer_at_once(answer, secondaries):
    answers_at_once(answer, [{"strength": 0.05 * i} for i in range(20)])
    answers_at_once(secondaries, [{"temperature": 0.5 + i / 4} for i in range(20)])


# ---- who are the secondaries? -------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def shared_secondaries() -> SecondariesPanel:
    return SecondariesPanel(seeds=2, steps=60)


@pytest.fixture
def secondaries(shared_secondaries) -> SecondariesPanel:
    shared_secondaries.reset()
    return shared_secondaries


@pytest.mark.parametrize(("teacher", "k", "t"), [("strict", 5, 1.0), ("tolerant", 2, 1.0), ("smoothed", 10, 4.0)])
def test_the_map_is_the_mean_over_images_of_a_class(secondaries, teacher, k, t):
    secondaries.set(teacher=teacher, ranks=k, temperature=t)
    lab, expected, counts = Splits.open("digits", 2), np.zeros((10, 10)), np.zeros(10)
    logits = ancestors(lab, lab.pool, kinds(), recipe=Recipe(60, lr=3e-3))[KINDS.index(teacher)]
    for seed in range(2):
        for image in lab.test[seed].tolist():
            p = (logits[seed, image] / t).softmax(-1).numpy()
            label, order = int(lab.data.labels[image]), np.argsort(-p)
            counts[label] += 1
            for named in order[1:k]:
                expected[label, named] += p[named] * (named != label)
    expected = 100 * expected / counts[:, None]
    np.testing.assert_allclose(secondaries.chart.points("mass")["z"].reshape(10, 10), expected, rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(y(secondaries, "by class"), expected.sum(1), rtol=1e-3)
    texts = secondaries.chart.figure().data[1].text
    assert [texts[11 * i] for i in range(10)] == [""] * 10      # no class is its own secondary
    row, named = np.unravel_index(expected.argmax(), (10, 10))
    assert f"most from {row} to {named}" in secondaries.reading()
    assert per_cent(secondaries.reading())[0] == pytest.approx(expected.sum(1).mean(), abs=0.06)


def test_teachers_are_compared_with_strict_ones(secondaries):
    secondaries.set(teacher="tolerant")
    off = ~np.eye(10, dtype=bool)
    r = np.corrcoef(secondaries.matrix("tolerant")[off], secondaries.matrix("strict")[off])[0, 1]
    assert f"r = {r:.2f}." in secondaries.reading()
    ticks = y(secondaries, "strict").reshape(10, 3)[:, 0]
    np.testing.assert_allclose(ticks, secondaries.matrix("strict").sum(1))
    assert (y(secondaries, "by class") > ticks).mean() >= 0.8
    secondaries.set(teacher="strict")
    assert "r = " not in secondaries.reading()


def test_groups_are_outlined_and_counted(secondaries):
    grouped = SecondariesPanel(seeds=2, steps=60, groups=((3, 5, 8, 9), (0, 6), (1, 7), (2,), (4,)))
    assert len(grouped.chart.points("groups")["x"]) == 6 * (12 + 2 + 2)
    assert re.search(r"(\d+)% of it stays inside", grouped.reading())
    assert not x(secondaries, "groups") and "inside" not in secondaries.reading()


@pytest.mark.parametrize("wrong", [{"teacher": "lenient"}, {"ranks": 1}, {"ranks": 11}, {"temperature": 0}])
def test_wrong_values_of_the_secondaries_are_one_sentence(secondaries, refuses, wrong):
    said = secondaries.reading()
    with refuses(*wrong):
        secondaries.set(**wrong)
    assert secondaries.reading() == said


def test_every_preset_of_the_secondaries_works(secondaries):
    said = set()
    for name in secondaries.presets:
        secondaries.preset(name)
        said.add(secondaries.reading())
    assert len(said) == len(secondaries.presets)


# ---- the tolerance lab --------------------------------------------------------------------------------------------

@pytest.fixture
def lab() -> ToleranceLab:
    made = QuickLab(seeds=SEEDS, steps=STEPS, full_speed=True)
    yield made
    made.stop()


@pytest.fixture
def endless() -> ToleranceLab:
    """Teachers that learn until they are stopped."""
    made = QuickLab(seeds=SEEDS, steps=1_000_000, full_speed=True)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def by_hand():
    """by_hand(eta, K, T): teachers' and students' test accuracies, (2, S) each, strict first, without a panel."""
    place, done = Splits.open("digits", SEEDS), {}

    def run(eta, k=5, temperature=1.0):
        if (eta, k, temperature) not in done:
            population = Population(tolerance_lab.TEACHER, place.seeds * 2)
            task = Task(place.data.inputs, place.data.labels, place.pool.repeat(2, 1), place.seeds * 2)
            knobs = Knobs(eta=[0.0] * SEEDS + [eta] * SEEDS, ranks=k)
            for _ in train(population, task, tolerant_teacher, knobs, Recipe(steps=STEPS, lr=5e-3), STEPS):
                pass
            logits = population.predict(place.data.inputs)
            students = cohort(place, logits.unflatten(0, (2, SEEDS)), place.transfer(100),
                              [distilled(temperature, 0), distilled(temperature, 1)])
            for _ in students.train(Recipe(steps=STEPS)):
                pass
            done[eta, k, temperature] = place.accuracy(logits).view(2, -1).numpy(), students.accuracy().numpy()
        return done[eta, k, temperature]

    return run


def students(lab) -> np.ndarray:
    return np.stack([lab.scores["strict"], lab.scores["tolerant"]])


def test_a_run_is_that_of_plain_code(lab, by_hand):
    lab.set(eta=1.2, ranks=4, temperature=2.0)
    lab.train()
    assert lab.wait(60) and lab.state == "done" and lab.status.startswith("Done: 60 steps")
    taught, learnt = by_hand(1.2, 4, 2.0)
    np.testing.assert_allclose(students(lab), learnt, atol=0.2)
    (answer,) = lab.answers
    gain = learnt[1] - learnt[0]
    assert (answer.eta, answer.ranks, answer.temperature, answer.mixed) == (1.2, 4, 2.0, False)
    assert answer.gain.mean == pytest.approx(gain.mean(), abs=0.2) and answer.gain.n == SEEDS
    for kind, row in (("strict", 0), ("tolerant", 1)):
        assert x(lab, f"{kind} teachers mean") == [0, 10, 20, 30] and x(lab, f"{kind} students mean")[0] == STEPS
        assert y(lab, f"{kind} teachers mean")[-1] == pytest.approx(taught[row].mean(), abs=0.1)
        low, high = student_interval(taught[row])
        assert y(lab, f"{kind} teachers low")[-1] == pytest.approx(low, abs=0.5)
        assert y(lab, f"{kind} teachers high")[-1] == pytest.approx(high, abs=0.5)
    said = lab.reading()
    assert said.startswith("eta = 1.2, K = 4, T = 2. Tolerant teachers are ") and "moved" not in said
    assert f"{lab.scores['tolerant'].mean():.1f}% against {lab.scores['strict'].mean():.1f}%, gain" in said


def test_without_tolerance_both_kinds_are_one_to_the_bit(lab):
    lab.set(eta=0.0)
    lab.run()
    assert torch.equal(lab.teachers["strict"], lab.teachers["tolerant"])
    np.testing.assert_array_equal(*students(lab))
    assert lab.answers[0].gain.mean == 0 and "gain +0.0" in lab.reading()


def test_bars_are_the_mass_by_rank_at_the_temperature_of_the_control(lab):
    lab.run()
    for t in (1.0, 4.0):
        lab.set(temperature=t)
        for kind, uid in (("strict", "strict mass"), ("tolerant", "tolerant mass")):
            logits = lab.teachers[kind].gather(1, lab.lab.test[..., None].expand(-1, -1, 10))
            mass = (logits / t).softmax(-1).sort(-1, descending=True).values.mean((0, 1)).numpy()
            shown = y(lab, uid) if uid == "tolerant mass" else y(lab, uid).reshape(10, 3)[:, 0]
            np.testing.assert_allclose(shown, mass, rtol=1e-3, atol=1e-6)
    assert f"{100 * mass[1:5].sum():.1f}% at T = 4" in lab.reading()


def test_a_new_temperature_asks_the_same_teachers(lab, by_hand):
    lab.run()
    before = {kind: logits.clone() for kind, logits in lab.teachers.items()}
    curve = x(lab, "tolerant teachers mean")
    lab.set(temperature=4.0)
    lab.run()
    assert lab.status.startswith("Done: 30 steps") and x(lab, "tolerant teachers mean") == curve
    assert all(torch.equal(before[kind], lab.teachers[kind]) for kind in before)
    np.testing.assert_allclose(students(lab), by_hand(0.9, 5, 4.0)[1], atol=0.2)


def test_a_new_eta_trains_tolerant_teachers_only(lab, by_hand):
    lab.run()
    strict = lab.teachers["strict"]
    lab.set(eta=0.3)
    lab.run()
    assert lab.teachers["strict"] is strict
    np.testing.assert_allclose(students(lab), by_hand(0.3)[1], atol=0.2)
    assert [answer.eta for answer in lab.answers] == [0.9, 0.3]


def test_each_answer_is_a_point_and_those_of_other_settings_are_hollow(lab):
    for values in ({"eta": 0.3}, {"eta": 1.2}, {"temperature": 4.0}):
        lab.set(**values)
        lab.run()
    assert (x(lab, "answers"), x(lab, "others"), x(lab, "latest")) == ([1.2], [0.3, 1.2], [1.2])
    lab.set(temperature=1.0)
    assert (x(lab, "answers"), x(lab, "others")) == ([0.3, 1.2], [1.2])
    lab.set(ranks=3)
    assert (x(lab, "answers"), x(lab, "others")) == ([], [0.3, 1.2, 1.2])
    low, high = lab.chart.figure().layout.yaxis3.range
    assert all(low < bar < high for bar in y(lab, "others interval") if not math.isnan(bar))


def test_eta_acts_while_teachers_learn_and_the_answer_is_marked(endless):
    endless.train()
    assert until(lambda: len(x(endless, "tolerant teachers mean")) > 2)
    assert ", teachers at step" in endless.status or until(lambda: ", teachers at step" in endless.status)
    endless.set(eta=1.5, ranks=3)
    assert until(lambda: endless.knobs["eta"] == (0.0,) * SEEDS + (1.5,) * SEEDS)
    assert endless.knobs["ranks"] == (3,) * (2 * SEEDS)
    assert until(lambda: endless.mixed) and until(lambda: "A control moved" in endless.reading())
    assert endless.stop() and endless.state == "stopped" and not endless.answers


def test_teachers_whose_eta_moved_are_not_kept(lab):
    lab.step()
    lab.set(eta=0.4)
    lab.train()
    assert lab.wait(60) and lab.answers[-1].mixed and lab.answers[-1].eta == 0.4 and lab.made_of is None
    assert x(lab, "answers") == [] and x(lab, "others") == [0.4]
    first = lab.teachers["tolerant"]
    lab.run()
    assert not lab.answers[-1].mixed and lab.teachers["tolerant"] is not first and x(lab, "answers") == [0.4]


def test_temperature_acts_while_students_learn(lab):
    lab.run()
    lab.step()
    assert until(lambda: lab.state == "paused") and lab.phase == "students" and not lab.mixed
    lab.set(temperature=4.0)
    assert until(lambda: lab.knobs["temperature"] == (4.0,) * (2 * SEEDS)) and lab.mixed
    lab.train()
    assert lab.wait(60) and lab.answers[-1].temperature == 4.0 and lab.answers[-1].mixed
    assert x(lab, "others") == [0.9, 0.9]


def test_other_teachers_than_those_asked_start_the_run_anew():
    lab = QuickLab(seeds=2, steps=30)
    assert lab.widget
    lab.run()
    lab.pace = 20.0      # slow enough to be caught among the students
    lab.train()
    assert until(lambda: lab.phase == "students" and len(x(lab, "strict students mean")) > 1)
    lab.inputs["eta"].value = 0.3
    assert until(lambda: lab.phase == "teachers" and lab.knobs["eta"][-1] == 0.3)
    lab.full_speed = True
    assert lab.wait(60) and lab.answers[-1].eta == 0.3 and not lab.answers[-1].mixed


def test_pause_step_stop_and_a_second_run(endless):
    assert "Paused, teachers at step" in stops_and_starts(endless, "strict teachers mean") and not endless.teachers
    endless.reset()
    assert until(lambda: endless.state == "idle") and not x(endless, "strict teachers mean")
    assert "press Train" in endless.reading() and np.isnan(y(endless, "tolerant mass")).all()


def test_letting_go_of_a_control_runs_to_the_answer(lab):
    assert lab.widget
    lab.inputs["eta"].value = 0.6
    assert until(lambda: lab.answers) and lab.wait(60)
    assert (lab.answers[-1].eta, lab.answers[-1].mixed) == (0.6, False)
    lab.inputs["temperature"].value = 4.0
    assert until(lambda: len(lab.answers) == 2) and lab.wait(60)
    assert lab.answers[-1].temperature == 4.0


def test_buttons_and_presets_of_the_lab(lab):
    for name, values in lab.presets.items():
        lab.preset(name)
        assert all(lab.values[control] == value for control, value in values.items())
    lab.run()
    lab.reset()
    assert until(lambda: lab.state == "idle") and not lab.answers and not lab.teachers
    assert lab.values == {"eta": 0.9, "ranks": 5, "temperature": 1.0}


@pytest.mark.parametrize("wrong", [{"eta": -0.1}, {"eta": 3}, {"ranks": 1}, {"ranks": 11}, {"temperature": 0},
                                   {"alpha": 1}])
def test_wrong_values_of_the_lab_are_one_sentence(lab, refuses, wrong):
    before = dict(lab.values)
    with refuses(*wrong):
        lab.set(**wrong)
    assert dict(lab.values) == before


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"steps": 0}, {"transfer": 5000}])
def test_wrong_sizes_of_the_lab_are_refused_before_any_training(refuses, wrong):
    with refuses(str(*wrong.values())):
        ToleranceLab(**wrong)


# ---- the family tree ----------------------------------------------------------------------------------------------

TREE = {"seeds": 2, "generations": 2, "steps": 20, "transfer": 60}


@pytest.fixture(scope="module")
def grown() -> FamilyTree:
    panel = FamilyTree(**TREE)
    panel.run()
    return panel


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_tree_is_that_of_the_experiment(noise):
    panel = FamilyTree(noise=noise, full_speed=True, **TREE)
    panel.train()
    assert panel.wait(60) and panel.status.startswith("Done: 2 generations")
    lab = panel.lab
    test = lab.test.repeat(5, 1)
    grown = lineages(lab, lab.transfer(60), kinds(), 2, recipe=Recipe(steps=20),
                     labels=panel.labels if noise else None)
    for step, population in enumerate(grown):
        logits = population.predict(take(lab.data.inputs, test))
        right = (logits.argmax(-1) == lab.data.labels[test]).float().mean(-1).view(5, 2).mean(-1)
        secondary = logits.softmax(-1).sort(-1, descending=True).values[..., 1:5].sum(-1).mean(-1).view(5, 2).mean(-1)
        for place, name in enumerate(KINDS):
            assert y(panel, name)[step] == pytest.approx(100 * right[place].item(), abs=0.01)
            assert y(panel, f"{name} secondary")[step] == pytest.approx(100 * secondary[place].item(), abs=0.01)
            assert abs(x(panel, name)[step] - step) < 0.25
    wrong = (panel.labels != lab.data.labels).float().mean()
    assert wrong == pytest.approx(noise, abs=0.001)
    assert ("30% wrong labels" in panel.reading()) == bool(noise)


def test_a_member_is_chosen_by_the_controls(grown):
    for kind, generation, digit in (("strict", 0, 3), ("smoothed", 2, 8), ("very tolerant", 1, 0)):
        grown.set(kind=kind, generation=generation, digit=digit)
        place, example = KINDS.index(kind), grown.examples[digit]
        assert example.index in grown.lab.test[0]
        p = grown.tree[generation].of_digits[place, digit].softmax(-1).numpy()
        np.testing.assert_allclose(y(grown, "member"), p, rtol=1e-5)
        first = grown.tree[0].of_digits[place, digit].softmax(-1).numpy()
        np.testing.assert_allclose(y(grown, "ancestor").reshape(10, 3)[:, 0], first, rtol=1e-5)
        np.testing.assert_array_equal(grown.chart.points("image")["z"], example.image.ravel())
        assert x(grown, "chosen 1") == [x(grown, kind)[generation]]
        assert y(grown, "chosen 1")[0] == pytest.approx(y(grown, kind)[generation])
        said = grown.reading()
        assert f"this {digit} " in said and kind in said
        assert said.startswith("The ancestor" if not generation else f"Generation {generation}")
        gain = grown.tree[2].accuracy[place] - grown.tree[0].accuracy[place]
        assert f"changes by {gain.mean():+.1f} [" in said and ("against the strict" in said) == (kind != "strict")


def test_a_generation_that_is_not_there_is_not_made_up(grown):
    grown.set(kind="tolerant", generation=5)
    assert grown.chosen == 2 and "(generation 5 is not there yet)" in grown.reading()


def test_the_tree_grows_step_by_step_and_what_is_there_stays():
    panel = FamilyTree(**TREE)
    assert panel.reading().startswith("Press Train: 5 kinds of ancestors, 2 of each")
    panel.step()
    assert until(lambda: len(panel.tree) == 1 and panel.state == "paused")
    assert until(lambda: "at generation 0 of 2" in panel.status) and "changes by" not in panel.reading()
    panel.set(kind="smoothed", digit=7)
    assert until(lambda: "smoothed" in panel.reading() and "this 7" in panel.reading())
    panel.step()
    assert until(lambda: len(panel.tree) == 2)
    assert panel.stop() and panel.state == "stopped" and len(y(panel, "strict")) == 2
    panel.reset()
    assert until(lambda: panel.state == "idle") and not panel.tree and not len(y(panel, "strict"))


def test_a_member_is_chosen_at_once_while_a_generation_learns(grown):
    go_on = threading.Event()

    class Slow(FamilyTree):
        def start(self):
            yield from grown.tree[:2]
            assert go_on.wait(60), "nobody let it go on"
            yield grown.tree[2]

    panel = Slow(full_speed=True, **TREE)
    panel.train()
    assert until(lambda: len(panel.tree) == 2)
    panel.set(kind="smoothed", generation=1)
    assert panel.reading().startswith("Generation 1 of the smoothed lineage")
    assert x(panel, "chosen 1") == [x(panel, "smoothed")[1]] and panel.state == "training"
    go_on.set()
    assert panel.wait(60) and len(panel.tree) == 3


@pytest.mark.parametrize(("wrong", "named"), [({"generations": 0}, "generations"), ({"noise": 1.5}, "noise"),
                                              ({"transfer": 0}, "transfer"), ({"kind": "lenient"}, "kind"),
                                              ({"generation": 6}, "generation"), ({"digit": 10}, "digit")])
def test_wrong_values_of_the_tree_are_one_sentence(refuses, wrong, named):
    with refuses(named):
        FamilyTree(**(TREE | wrong))


def test_presets_of_the_tree(grown):
    for name, values in grown.presets.items():
        grown.preset(name)
        assert all(grown.values[control] == value for control, value in values.items())
        assert values["kind"] in name.lower()


# ---- without a reader ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("make", [OneAnswerPanel, lambda: SecondariesPanel(seeds=2, steps=60),
                                  lambda: QuickLab(seeds=2, steps=10), lambda: FamilyTree(**TREE)],
                         ids=["one answer", "secondaries", "lab", "tree"])
def test_headless_a_panel_is_its_whole_figure_and_its_sentence(make, monkeypatch):
    panel = headless_page(make, monkeypatch)
    if isinstance(panel, ToleranceLab):
        assert sorted(x(panel, "answers")) == [0.3, 0.6, 0.9, 1.2] and panel.values["eta"] == 0.9


def test_refusals_are_sentences_by_hand_too(answer):
    assert answer.widget
    with pytest.raises(ParameterError):
        answer.set(ranks=1)
    answer.inputs["ranks"].value = 7
    assert answer.values["ranks"] == 7 and "ranks 2 to 7" in line(answer, "kd-reading").text


def test_groups_that_leave_a_class_out_are_refused_before_any_training(refuses, monkeypatch):
    def no_training(*arguments, **named):
        pytest.fail("teachers were trained for groups that are refused")

    monkeypatch.setattr("kdutils.lessons.tolerant_teachers.panels.secondaries.ancestors", no_training)
    with refuses("groups", "0..9"):
        SecondariesPanel(groups=[(0, 2, 3), (5, 7, 9)])
