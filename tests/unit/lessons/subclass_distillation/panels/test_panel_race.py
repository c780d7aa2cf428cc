"""The few-labels race against the experiment."""

import math

import numpy as np
import pytest
from helpers import (
    until,
    x,
    y,
)
from quick_subclass_panels import SEEDS, STEPS, QuickRace

from kdutils.lessons.subclass_distillation.panels.few_labels_race import GAINERS, RACERS, FewLabelsRace
from kdutils.lessons.subclass_distillation.parameters import ARMS, DEFAULT
from kdutils.lessons.subclass_distillation.students import cohorts
from kdutils.objectives import class_logits
from kdutils.training import Recipe

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def endless_race() -> FewLabelsRace:
    """Students that learn until they are stopped."""
    made = QuickRace(seeds=SEEDS, steps=1_000_000, full_speed=True)
    yield made
    made.stop()


def raced(race, n, t, width) -> dict[str, np.ndarray]:
    """Test accuracies of the same students trained one cohort after the other, without the panel."""
    lab, scores = race.lab, {}
    arms = [arm for arm in ARMS if arm.name in RACERS]
    for students in cohorts(lab, race.told, arms, lab.transfer(n), width, DEFAULT):
        students.knobs.set(temperature=t)
        students.fit(Recipe(steps=STEPS))
        for arm, logits in zip(students.arms, students.answers(), strict=True):
            scores[arm.name] = 100 * (logits.argmax(-1) == lab.data.labels[lab.test]).float().mean(-1).numpy()
    return scores


@pytest.mark.parametrize(("n", "t", "width"), [(50, 4.0, 16), (20, 1.0, 8), (1000, 8.0, 32)])
def test_a_race_is_that_of_the_experiment(race, n, t, width):
    race.set(labels=n, temperature=t, width=width)
    race.train()
    assert race.wait(60) and race.state == "done" and race.status.startswith("Done: 30 steps")
    scores = raced(race, n, t, width)
    assert set(scores) == set(race.scores) == set(RACERS)
    for name in RACERS:
        np.testing.assert_allclose(race.scores[name], scores[name], atol=0.2)
        assert x(race, f"{name} mean") in ([0, 5, 10, 15, 20, 25, 30], [0, 20, 30])
        assert y(race, f"{name} mean")[-1] == pytest.approx(scores[name].mean(), abs=0.1)
    (answer,) = race.answers
    assert (answer.labels, answer.temperature, answer.width, answer.mixed) == (n, t, width, False)
    said = race.reading()
    assert said.startswith(f"n = {n:,}, T = {t:g}, {width} hidden units: hard labels ") and "moved" not in said
    for name in GAINERS:
        gain = scores[name] - scores["hard labels"]
        assert answer.gains[name].mean == pytest.approx(gain.mean(), abs=0.2) and answer.gains[name].n == SEEDS
        assert f"{RACERS[name]} {race.scores[name].mean():.1f}%, gain {answer.gains[name]}" in said
        assert y(race, f"{name} answers")[0] == pytest.approx(gain.mean(), abs=0.2)
        assert x(race, f"{name} answers")[0] == pytest.approx(n, rel=0.06)


def test_each_race_is_a_point_and_those_of_other_settings_are_hollow(race):
    for values in ({"labels": 20}, {"labels": 100}, {"temperature": 1.0}):
        race.set(**values)
        race.run()
    for name in GAINERS:
        assert [len(x(race, f"{name} {uid}")) for uid in ("answers", "others", "latest")] == [1, 2, 1]
    race.set(temperature=4.0)
    assert [len(x(race, f"oracle {uid}")) for uid in ("answers", "others")] == [2, 1]
    race.set(width=8)
    assert [len(x(race, f"oracle {uid}")) for uid in ("answers", "others")] == [0, 3]
    low, high = race.chart.figure().layout.yaxis2.range
    assert all(low < bar < high for bar in y(race, "oracle others interval") if not math.isnan(bar))
    assert len({x(race, f"{name} latest")[0] for name in GAINERS}) == 3      # side by side
    assert "ring marks the latest" in race.reading()
    for uid, told in (("others", ["n = 20", "n = 100", "n = 100"]), ("latest", ["n = 100"])):
        (marks,) = [trace for trace in race.chart.figure().data if trace.uid == f"oracle {uid}"]
        assert [text.split("<br>")[0] for text in marks.hovertext] == [f"oracle, {n}" for n in told]
        answer = race.answers[-1]
        assert marks.hovertext[-1].endswith(f"T = 1, 16 hidden units<br>gain {answer.gains['oracle']}")


def test_the_line_of_the_teachers(race):
    scores = []
    for name in ("two-class", "subclass"):
        logits = race.told[name]["logits"]
        logits = logits.gather(1, race.lab.test[..., None].expand(-1, -1, logits.shape[-1]))
        a = class_logits(logits, (logits.shape[-1] // 2,) * 2)
        scores.append(100 * (a.argmax(-1) == race.lab.data.labels[race.lab.test]).float().mean().item())
    assert y(race, "teacher")[0] == pytest.approx(np.mean(scores), abs=0.05)


def test_temperature_acts_on_students_who_hear_a_teacher(endless_race):
    endless_race.train()
    assert until(lambda: endless_race.scores)
    endless_race.set(temperature=8.0)
    assert until(lambda: all(set(students.knobs["temperature"]) == {8.0} for students in endless_race.cohorts))
    assert until(lambda: endless_race.mixed) and until(lambda: "T moved during this run" in endless_race.reading())
    assert until(lambda: endless_race.reading().startswith("n = 50, T = 8,"))
    assert endless_race.stop() and not endless_race.answers and endless_race.state == "stopped"


def test_other_labels_by_hand_start_other_students(endless_race):
    endless_race.pace, endless_race.full_speed = 200, False
    assert endless_race.widget
    endless_race.train()
    assert until(lambda: endless_race.scores)
    endless_race.inputs["labels"].value = 200.0
    assert until(lambda: endless_race.cohorts and endless_race.cohorts[0].task.train.shape[1] == 200)
    assert until(lambda: endless_race.status == "Other students. The run starts anew.")
    endless_race.inputs["width"].value = 8
    assert until(lambda: endless_race.measured.get("width") == 8 and endless_race.scores)
    assert endless_race.state == "training" and not endless_race.mixed


def test_temperature_moved_in_a_pause_marks_the_answer(race):
    race.step()
    race.set(temperature=1.0)
    assert until(lambda: race.mixed)
    race.train()
    assert race.wait(60) and race.answers[-1].mixed and race.answers[-1].temperature == 1.0
    assert x(race, "subclass answers") == [] and len(x(race, "subclass others")) == 1
