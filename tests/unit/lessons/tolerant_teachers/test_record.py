"""Notebook 02 at full length: verdicts seen again, means in their intervals, and the record."""

import json
import warnings
from dataclasses import asdict

import pytest

from kdutils import claims
from kdutils.lessons import catalog
from kdutils.lessons.tolerant_teachers import experiment as tolerant_teachers
from kdutils.lessons.tolerant_teachers.claims import DIGITS
from kdutils.lessons.tolerant_teachers.experiment import run
from kdutils.lessons.tolerant_teachers.parameters import (
    TolerantTeachers,
)

# Regression at lecture scale ---------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def lecture(quick_engine):
    """12 seeds at full length, without the lineages of noisy labels and large transfer sets."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return run(TolerantTeachers(seeds=12, etas=(0.0, 0.3, 0.6, 0.9, 1.2), transfer_sizes=(100,),
                                    lineages=((200, 0.0),)))


def parts(results):
    """Each part of each claim of notebook 02: {(claim, what is measured): row}."""
    table = claims.table(results, DIGITS)
    return {(row["claim"], row["says"]): row for row in table.to_dict("records")}


SURE = [  # seen again with two other sets of seeds; what is not listed here may go either way with 12
    ("G1", "ranks 2-5: the smallest step as eta grows from 0 to 1.2"),
    ("G1", "entropy: the smallest step as eta grows from 0 to 1.2"),
    ("G2", "teacher with eta 1.2 against eta 0"),
    ("G3", "student with 100 images, T = 1: eta 0.6 against 0"),
    ("G3", "student with 100 images, T = 1: eta 0.9 against 0"),
    ("G4", "gain by eta 0.9 at T = 1 less gain at T = 4"),
    ("G4", "T = 4 with a strict teacher against T = 1 with eta 0.9"),
    ("G5", "tolerant lineage, generation 5 against 0, clean labels"),
    ("G5", "very tolerant lineage, generation 5 against 0, clean labels"),
    ("G6", "student with 1,200 images, T = 1: eta 0.6 against 0"),
    ("G6", "student with 1,200 images, T = 1: eta 0.9 against 0"),
]


@pytest.mark.parametrize("claim, says", SURE)
def test_what_is_sure_is_seen_again(lecture, claim, says):
    assert parts(lecture)[claim, says]["part verdict"] == claims.SEEN


def test_no_tolerant_lineage_ends_above_the_strict_one(lecture):
    row = parts(lecture)["G5", "open question: tolerant against strict at generation 5, clean labels"]
    assert row["part verdict"] != claims.SEEN and row["high"] < 0.3


TEACHER, STUDENT = {"part": "teacher"}, {"part": "student", "method": "distilled", "transfer": 100}
NOISY = {"part": "noise", "method": "distilled", "temperature": 1.0}
END = {"part": "generations", "generation": 5}


@pytest.mark.parametrize("metric, setting, low, high", [
    ("accuracy", TEACHER | {"eta": 0.0}, 96.1, 97.1),
    ("accuracy", TEACHER | {"eta": 1.2}, 95.2, 96.2),
    ("secondary", TEACHER | {"eta": 0.0}, 5.4, 6.0),
    ("secondary", TEACHER | {"eta": 0.9}, 13.0, 13.9),
    ("secondary", TEACHER | {"eta": 1.2}, 30.3, 31.1),
    ("rest", TEACHER | {"eta": 1.2}, 2.1, 2.4),
    ("entropy", TEACHER | {"eta": 0.9}, 0.68, 0.71),
    ("accuracy", STUDENT | {"eta": 0.0, "temperature": 1.0}, 91.8, 93.4),
    ("accuracy", STUDENT | {"eta": 0.9, "temperature": 1.0}, 93.4, 94.9),
    ("accuracy", STUDENT | {"eta": 0.0, "temperature": 4.0}, 94.6, 95.6),
    ("accuracy", NOISY | {"eta": 0.0}, 90.3, 92.2),
    ("accuracy", NOISY | {"eta": 0.9}, 85.0, 88.0),
    ("accuracy", END | {"method": "strict"}, 91.3, 93.0),
    ("accuracy", END | {"method": "longer"}, 91.3, 93.1),
    ("accuracy", END | {"method": "very tolerant", "generation": 0}, 86.0, 88.1),
    ("secondary", END | {"method": "tolerant"}, 7.6, 8.6),
])
def test_means_lie_in_the_intervals_measured_when_the_course_was_made(lecture, metric, setting, low, high):
    """Bands are the 95% intervals over these 12 seeds: other rounding moves single runs, not the mean over seeds."""
    assert low <= lecture.mean(metric, **setting).mean <= high


# The record --------------------------------------------------------------------------------------------------------

def test_the_record_is_of_the_default_experiment_and_says_what_the_page_teaches():
    record = catalog.recorded("tolerant_teachers")
    assert record.complete and record.params == json.loads(json.dumps(asdict(tolerant_teachers.DEFAULT)))
    verdicts = {claim.id: claims.verdict(claim, record) for claim in DIGITS}
    assert verdicts == {"G1": claims.SEEN, "G2": claims.NOTHING, "G3": claims.SEEN, "G4": claims.SEEN,
                        "G5": claims.NOTHING, "G6": claims.SEEN, "G7": claims.OPPOSITE, "G8": claims.NOTHING}
    assert all(row["part verdict"] == claims.SEEN for key, row in parts(record).items() if key in SURE)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_each_generation_keeps_about_half_of_its_ancestors_tolerance(noise):
    """lambda = 0.5: what the tolerant lineage has beyond the strict one in ranks 2-5, generation by generation."""
    record = catalog.recorded("tolerant_teachers")
    same = {"part": "generations", "noise": noise}
    beyond = [record.paired("secondary", same | {"method": "tolerant", "generation": g},
                            same | {"method": "strict", "generation": g}).mean for g in range(4)]
    kept = [after / before for before, after in zip(beyond, beyond[1:], strict=False)]
    assert all(0.35 < share < 0.65 for share in kept), kept


def test_the_smoke_profile_has_every_setting_of_the_lecture_so_that_no_claim_goes_unmeasured():
    short = ("seeds", "teacher_steps", "student_steps", "lineage_steps")
    smoke, lecture = (asdict(one) for one in (tolerant_teachers.SMOKE, tolerant_teachers.DEFAULT))
    assert {name: smoke[name] < lecture[name] if name in short else smoke[name] == lecture[name]
            for name in lecture} == dict.fromkeys(lecture, True)
