"""The claims of notebook 01: Hinton, Vinyals, Dean 2015.

What a difference must be worth was added after the first record. It tells *too noisy to say* from *no difference that
matters* and makes no claim seen: half a point of accuracy, and of the recall of one digit 2, which is one test image.
"""

from collections.abc import Mapping

from kdutils.claims import Claim, Computed, Mean, Paired, Part
from kdutils.results import Effect, Results, interval

_HINTON = "Hinton, Vinyals, Dean 2015 (arXiv 1503.02531)"
_UNKNOWN = "its numbers are not available to us from a source we could check"


_HARD = {"method": "hard labels"}


def _at(n: int, arm: Mapping, part: str = "sweep") -> dict:
    """An arm with n transfer images."""
    return {"part": part, "transfer": n, **arm}


def _distilled(temperature: float) -> dict:
    return {"method": "distilled", "temperature": float(temperature)}


def _gain(n: int, temperature: float, part: str = "sweep") -> Paired:
    """Accuracy of the distilled student less that of the hard-label student of the same seed."""
    return Paired("accuracy", this=_at(n, _distilled(temperature), part), minus=_at(n, _HARD, part))


def _between_temperatures(n: int, this: float, minus: float) -> Paired:
    return Paired("accuracy", this=_at(n, _distilled(this)), minus=_at(n, _distilled(minus)))


def _teacher_matters(n: int) -> Paired:
    """Student of the teacher that saw all labels, less student of the teacher that saw the same n labels."""
    return Paired("accuracy", this=_at(n, _distilled(4)), minus=_at(n, _distilled(4), "same labels"))


def _omitted(arm: Mapping) -> dict:
    return {"part": "omitted", **arm}


def _correction_helps(results: Results) -> Effect:
    student = _omitted(_distilled(4))
    plain, corrected = (results.per_seed(metric, **student) for metric in ("recall", "corrected_recall"))
    return interval(corrected - plain)


CLAIMS = (
    Claim("H1", _HINTON,
          "With 50 or 100 transfer images, a distilled student beats a hard-label student by a wide margin.",
          "dark_knowledge", (
              Part("gain with 50 images, T = 4", _gain(50, 4), low=3),
              Part("gain with 100 images, T = 4", _gain(100, 4), low=3)),
          paper=f"A speech model distilled from 3% of the training data; {_UNKNOWN}.",
          why="Other data and networks; the direction agrees.",
          caveat="The teacher saw all 1,200 labels. H5 is the control in which it did not."),
    Claim("H2", _HINTON, "The gain grows from T = 1 to about T = 4, then it flattens.", "dark_knowledge", (
        Part("T = 4 against T = 1, 50 images", _between_temperatures(50, 4, 1), low=2),
        Part("T = 4 against T = 1, 100 images", _between_temperatures(100, 4, 1), low=2),
        Part("T = 16 against T = 4, 50 images", _between_temperatures(50, 16, 4), low=-2, high=2),
        Part("T = 16 against T = 4, 100 images", _between_temperatures(100, 16, 4), low=-2, high=2)),
          paper=f"The best temperature depends on the size of the student; {_UNKNOWN}.",
          why="One size of student here; past T = 4 the loss is nearly a squared distance of logits, whatever T is."),
    Claim("H3", _HINTON, "With all the data, distillation does not help here, and a large T hurts.", "dark_knowledge", (
        Part("gain with all 1,200 images, T = 1", _gain(1200, 1), high=0.5),
        Part("gain with all 1,200 images, T = 4", _gain(1200, 4), high=0.5),
        Part("gain with all 1,200 images, T = 32", _gain(1200, 32), high=0)),
          paper=f"Distillation at T = 20 helps a small network on MNIST; {_UNKNOWN}.",
          why="1,200 easy labels already teach our student (1,210 parameters) most of what it can hold.",
          caveat="A finding at our scale. The paper's gains with all data are for much larger problems."),
    Claim("H4", _HINTON,
          "A student that never saw a 3 recognises most 3s from soft targets, more after a bias correction.",
          "dark_knowledge", (
              Part("recall of the omitted digit, T = 4", Mean("recall", _omitted(_distilled(4))), low=50,
                   unit="percent", worth=2),
              Part("what the correction adds, T = 4",
                   Computed("corrected_recall less recall of the same students", _correction_helps), low=0, worth=2),
              Part("corrected recall: T = 4 against hard labels",
                   Paired("corrected_recall", this=_omitted(_distilled(4)), minus=_omitted(_HARD)), low=20, worth=2)),
          paper=f"MNIST without the 3, student distilled at T = 20, bias raised afterwards; {_UNKNOWN}.",
          why="8x8 digits; our correction uses the digit's frequency, theirs the test accuracy.",
          caveat="The hard-label student gets the same correction: without it, it would score 0 by construction."),
    Claim("H5", _HINTON, "A teacher that saw only the student's labels helps little.", "dark_knowledge", (
        Part("gain with 50 images, same-label teacher, T = 4", _gain(50, 4, "same labels"), high=3),
        Part("gain with 100 images, same-label teacher, T = 4", _gain(100, 4, "same labels"), high=3),
        Part("all-label against same-label teacher, 50 images", _teacher_matters(50), low=3),
        Part("all-label against same-label teacher, 100 images", _teacher_matters(100), low=3)),
          paper="Not a claim of the paper: our control for H1.",
          why="Not to be compared.",
          caveat="Much of what distillation gives with few images is the teacher's access to more labels."),
)
