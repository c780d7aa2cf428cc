"""The experiments of notebooks 00 and 01: who is paired with whom, what is measured, and the verdicts at full scale."""

import json
import warnings
from dataclasses import replace

import pytest

from kdutils import claims, metrics
from kdutils import cohorts as common
from kdutils.lessons import catalog
from kdutils.lessons.dark_knowledge import claims as dark_knowledge_claims
from kdutils.lessons.dark_knowledge import experiment as dark_knowledge
from kdutils.lessons.dark_knowledge.experiment import DarkKnowledge
from kdutils.lessons.start_here import experiment as start_here
from kdutils.lessons.start_here.experiment import StartHere
from kdutils.results import Results

SMALL = DarkKnowledge(seeds=2, transfer_sizes=(20, 30), temperatures=(1, 4), control_sizes=(20,), omitted=5,
                      omitted_temperatures=(4,), steps=20, teacher_steps=20)
FIRST = StartHere(seeds=2, transfer=30, steps=60, teacher_steps=20)


# Notebook 00 ------------------------------------------------------------------------------------------------------

def test_start_here_gives_curves_of_both_methods_and_the_teacher():
    results = start_here.run(FIRST)
    table = results.table
    assert set(table.method) == {"teacher", "hard labels", "distilled"} and set(table.seed) == {0, 1}
    curve = table[(table.method == "distilled") & (table.seed == 1)]
    assert curve.step.tolist() == list(range(0, 61, 2)) and table.accuracy.between(0, 100).all()
    first = table[table.step == 0].pivot(index="seed", columns="method", values="accuracy")
    assert (first["hard labels"] == first["distilled"]).all(), "pairs start from the same network"
    assert results.params["transfer"] == 30 and results.complete
    assert results.paired("accuracy", {"method": "distilled", "step": 60}, {"method": "hard labels", "step": 60}).n == 2
    again = start_here.run(FIRST)
    assert again.table.equals(table), "the same parameters, the same numbers"


# Notebook 01 ------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def small():
    said = []
    return dark_knowledge.run(SMALL, said.append), said


def test_dark_knowledge_measures_every_setting_once_per_seed(small):
    table = small[0].table
    settings = table.groupby(["part", "transfer", "method", "temperature"], dropna=False).seed.apply(sorted)
    assert (settings.map(tuple) == (0, 1)).all()
    sweep = {("sweep", n, method, t) for n in (20, 30)
             for method, t in (("hard labels", None), ("distilled", 1.0), ("distilled", 4.0))}
    named = {(part, n, method, None if t != t else t) for part, n, method, t in settings.index}
    assert named >= sweep | {("teacher", 1200, "teacher", None), ("same labels", 20, "hard labels", None),
                             ("same labels", 20, "distilled", 4.0)}
    assert len(named) == 6 + 1 + 2 + 2 and {row[0] for row in named} == {"teacher", "sweep", "same labels", "omitted"}


def test_the_control_differs_in_its_teacher_alone(small):
    def accuracy(**setting):
        return small[0].per_seed("accuracy", transfer=20, **setting).tolist()

    assert accuracy(part="same labels", method="hard labels") == accuracy(part="sweep", method="hard labels")
    assert accuracy(part="same labels", method="distilled") != accuracy(part="sweep", method="distilled", temperature=4)


def test_the_omitted_digit_is_never_shown_and_its_recall_is_that_digits(monkeypatch):
    shown, asked = [], []
    real = dark_knowledge.cohort

    def watched(lab, logits, transfer, *rest):
        shown.append(set(lab.data.labels[transfer].flatten().tolist()))
        return real(lab, logits, transfer, *rest)

    monkeypatch.setattr(dark_knowledge, "cohort", watched)
    recall = metrics.recall
    monkeypatch.setattr(metrics, "recall", lambda z, y, label: asked.append(label) or recall(z, y, label))
    dark_knowledge.run(SMALL)
    everything = set(range(10))
    assert shown == [everything] * 3 + [everything - {5}] and asked == [5, 5]


def test_a_seed_has_the_same_runs_whichever_seeds_run_beside_it(small):
    """Catches a transfer set without the omitted digit that is as large as the smallest of the seeds that were run."""
    for seed in (0, 1):     # the second seed has more of the digit: its own set would be the smallest
        alone = dark_knowledge.run(replace(SMALL, seeds=1, seed=seed))
        mine = small[0].table.query("seed == @seed").reset_index(drop=True)
        assert mine[["part", "transfer", "method"]].equals(alone.table[["part", "transfer", "method"]])


def test_the_correction_is_measured_beside_the_plain_logits(small):
    hard = small[0].where(part="omitted", method="hard labels")
    assert (hard.recall < 10).all() and (hard.corrected_recall > hard.recall).all()
    assert (hard.corrected_accuracy != hard.accuracy).all()


def test_dark_knowledge_tells_what_it_does_and_is_recorded_whole(small, tmp_path):
    results, said = small
    assert len(said) == 5 and "2 teachers" in said[0] and "never see a 5" in said[-1]
    results.save(tmp_path / "runs.json")
    again = Results.load(tmp_path / "runs.json")
    assert again.params == json.loads(json.dumps(results.params)) and again.complete
    assert claims.table(again, dark_knowledge_claims.CLAIMS)["part verdict"].tolist() == claims.table(
        results, dark_knowledge_claims.CLAIMS)["part verdict"].tolist()


def test_an_interrupt_keeps_the_finished_groups():
    def stop_at_the_control(line):
        if line.startswith("control"):
            raise KeyboardInterrupt

    results = dark_knowledge.run(SMALL, stop_at_the_control)
    assert not results.complete and set(results.table.part) == {"teacher", "sweep"}
    assert results.per_seed("accuracy", part="sweep", transfer=30, method="hard labels").size == 2


@pytest.mark.parametrize("make, wrong, words", [
    (DarkKnowledge, {"seeds": 0}, ("seeds", "0")), (DarkKnowledge, {"steps": 0}, ("steps", "0")),
    (DarkKnowledge, {"hidden": 0}, ("hidden", "0")), (DarkKnowledge, {"omitted": 10}, ("omitted class", "10")),
    (DarkKnowledge, {"temperatures": (1, 0)}, ("temperature", "0")),
    (DarkKnowledge, {"omitted_temperatures": (-1,)}, ("temperature", "-1")),
    (DarkKnowledge, {"control_temperature": 0.0}, ("temperature", "0.0")),
    (DarkKnowledge, {"temperatures": (1, 4, 1.0)}, ("temperatures", "different", "1.0 twice")),
    (StartHere, {"seeds": 0}, ("seeds", "0")), (StartHere, {"transfer": 0}, ("transfer images", "0")),
    (StartHere, {"temperature": 0}, ("temperature", "0")), (StartHere, {"steps": 0}, ("steps", "0")),
])
def test_impossible_parameters_are_refused_at_once(make, wrong, words, refuses):
    with refuses(*words):
        make(**wrong)


def test_more_transfer_images_than_there_are_is_refused_before_any_training(monkeypatch, tmp_path, refuses):
    monkeypatch.setattr(common, "fit", lambda *_, **__: pytest.fail("trained before checking"))
    monkeypatch.setenv("KDUTILS_CACHE", str(tmp_path))
    for sizes in ({"transfer_sizes": (50, 1201)}, {"control_sizes": (1201,)}):
        with refuses("transfer images", "1200", "1201"):
            dark_knowledge.run(DarkKnowledge(seeds=1, **sizes))
    with refuses("transfer images", "1200", "1300"):
        start_here.run(StartHere(seeds=1, transfer=1300))


# Regression at lecture scale --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def lecture(quick_engine):
    """The default experiment: 20 seeds, as notebook 01 runs it (ten seconds with the kernels)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return catalog.measure("dark_knowledge", lambda line: None)


def test_all_claims_of_notebook_01_are_seen(lecture):
    table = claims.table(lecture, dark_knowledge_claims.CLAIMS)
    assert table.set_index("says")["part verdict"].to_dict() == dict.fromkeys(table.says, claims.SEEN)
    assert set(table.claim) == {"H1", "H2", "H3", "H4", "H5"} and (table.seeds == 20).all()


SWEEP_50, SWEEP_100, ALL = ({"part": "sweep", "transfer": n} for n in (50, 100, 1200))
OMITTED = {"part": "omitted"}
HARD_LABELS, AT_1, AT_4, AT_32 = {"method": "hard labels"}, *({"method": "distilled", "temperature": t}
                                                              for t in (1.0, 4.0, 32.0))


@pytest.mark.parametrize("metric, setting, low, high", [
    ("accuracy", {"part": "teacher"}, 96.6, 97.4),
    ("accuracy", SWEEP_50 | HARD_LABELS, 83.0, 84.9),
    ("accuracy", SWEEP_50 | AT_1, 85.9, 88.1),
    ("accuracy", SWEEP_50 | AT_4, 92.3, 93.7),
    ("accuracy", SWEEP_100 | HARD_LABELS, 88.4, 89.9),
    ("accuracy", SWEEP_100 | AT_4, 94.1, 94.9),
    ("accuracy", ALL | HARD_LABELS, 95.8, 96.7),
    ("accuracy", ALL | AT_32, 94.5, 95.6),
    ("accuracy", {"part": "same labels", "transfer": 50} | AT_4, 82.9, 84.8),
    ("recall", OMITTED | HARD_LABELS, -0.1, 0.1),
    ("recall", OMITTED | AT_4, 72.4, 81.1),
    ("corrected_recall", OMITTED | HARD_LABELS, 26.3, 35.5),
    ("corrected_recall", OMITTED | AT_4, 93.0, 96.6),
    ("corrected_accuracy", OMITTED | AT_4, 94.7, 95.5),
])
def test_means_lie_in_the_intervals_measured_when_the_course_was_made(lecture, metric, setting, low, high):
    """Bands are the 95% intervals over 20 seeds on a CPU: other rounding moves single runs, not the mean over seeds."""
    assert low <= lecture.mean(metric, **setting).mean <= high


@pytest.mark.parametrize("this, minus, low, high", [
    (SWEEP_50 | AT_4, SWEEP_50 | HARD_LABELS, 8.3, 9.8),
    (SWEEP_100 | AT_4, SWEEP_100 | HARD_LABELS, 4.6, 6.2),
    (SWEEP_100 | AT_4, SWEEP_100 | AT_1, 2.8, 3.9),
    (ALL | AT_4, ALL | HARD_LABELS, -1.1, -0.5),
    (ALL | AT_1, ALL | HARD_LABELS, -0.25, 0.1),
])
def test_paired_gains_lie_in_their_intervals(lecture, this, minus, low, high):
    assert low <= lecture.paired("accuracy", this, minus).mean <= high


def test_pairing_is_what_makes_the_gains_clear(lecture):
    """Seeds of hard and distilled students rise and fall together: the paired interval is the narrower one."""
    paired = lecture.paired("accuracy", ALL | AT_1, ALL | HARD_LABELS)
    alone = lecture.mean("accuracy", **ALL, **AT_1)
    assert paired.high - paired.low < 0.6 * (alone.high - alone.low)


def test_an_interrupted_first_distillation_keeps_its_steps(monkeypatch):
    """The interrupt comes at the fourth measurement; teachers and three snapshots of both arms are there."""
    measured, calls = common.Cohort.accuracy, []

    def interrupted(students):
        calls.append(students)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return measured(students)

    monkeypatch.setattr(common.Cohort, "accuracy", interrupted)
    results = start_here.run(FIRST)
    assert not results.complete
    assert len(results.where(method="teacher")) == 2
    assert len(results.where(method="distilled")) == len(results.where(method="hard labels")) == 6
