"""The claims of notebook 05: Pouransari et al. 2020, and our questions to it. The rules were written down before the
recorded runs; the sizes of the parts were settled on other seeds (1000 and up).

Worth, the smallest difference that matters: half a point, 0.2 degrees, 0.1 nats, 0.05 on the curve or of a spread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kdutils.claims import Claim, Computed, Paired, Part
from kdutils.results import Effect, Results, interval

_PAPER = "Pouransari, Javaheripi, Sharma, Tuzel 2020 (arXiv 2007.00051)"
_OURS = f"ours, about {_PAPER}"
_NAME = "extracurricular_learning"
_UNKNOWN = "its networks, samplers and tables are not available to us"


def _paired(metric: str, this: Mapping, minus: Mapping, **same) -> Paired:
    return Paired(metric, this={**same, **this}, minus={**same, **minus})


def _toy(method: str, region: str) -> Computed:
    """How much further student and teacher are apart in a region than at the dots."""
    def effect(results: Results) -> Effect:
        there, at = (results.per_seed(name, part="toy", method=method) for name in (region, "at"))
        return interval(there - at)
    return Computed(f"distance of method={method} {region} the dots less that at them", effect)


def _gaze(metric: str, method: str, minus: str = "same", images: int = 100) -> Paired:
    return _paired(metric, {"method": method}, {"method": minus}, part="gaze", images=images)


def _digits(method: str, minus: str = "same", part: str = "digits", images: int = 50) -> Paired:
    return _paired("accuracy", {"method": method}, {"method": minus}, part=part, images=images)


def _means(metric: str, method: str) -> Paired:
    """Students of distributions less students of means."""
    return _paired(metric, {"part": "gaze"}, {"part": "means"}, method=method, images=100)


def _miscalibration(results: Results) -> Effect:
    """|spread - 1| of students of distributions less that of students of means, asked about fresh eyes."""
    apart = [(results.per_seed("spread", part=part, method="fresh", images=100) - 1).abs()
             for part in ("gaze", "means")]
    return interval(apart[0] - apart[1])


_MISCALIBRATION = Computed("|spread - 1| of part=gaze less that of part=means, both method=fresh", _miscalibration)


def _rule(rule: str) -> Paired:
    """All fresh eyes less those that a rule keeps, in degrees, at equal numbers."""
    return _paired("degrees", {"part": "gaze"}, {"part": "rules", "rule": rule}, method="fresh", images=100)


def _views(this: int, minus: int) -> Paired:
    return _paired("accuracy", {"views": this}, {"views": minus}, part="views", method="shifts")


def _far(method: str) -> Paired:
    """Students of the large teacher less students of the small one."""
    return _paired("accuracy", {"teacher": "large"}, {"teacher": "small"}, part="far", method=method)


_DISTANCE, _DEGREES, _NATS = "units of the curve", "degrees", "nats"
_WORTH = {"points": 0.5, _DISTANCE: 0.05, _DEGREES: 0.2, _NATS: 0.1, "standard deviations": 0.05}


def _x2(suffix: str, experiment: str, why: str) -> Claim:
    return Claim(
        f"X2{suffix}", _PAPER, "In regression, extra inputs that the teacher labels lower error and NLL: fresh ones "
        "most.", experiment, (
            Part("degrees: jittered eyes against the same eyes", _gaze("degrees", "jitter"), high=0, unit=_DEGREES),
            Part("degrees: mixed eyes against the same eyes", _gaze("degrees", "mixup"), high=0, unit=_DEGREES),
            Part("degrees: fresh eyes against the same eyes", _gaze("degrees", "fresh"), high=0, unit=_DEGREES),
            Part("NLL: fresh eyes against the same eyes", _gaze("nll", "fresh"), high=0, unit=_NATS),
            Part("degrees: fresh eyes against jittered ones", _gaze("degrees", "fresh", "jitter"), high=0,
                 unit=_DEGREES),
            Part("degrees: the least sure mixed eyes against any", _gaze("degrees", "unsure mixup", "mixup"), high=0,
                 unit=_DEGREES)),
        paper=f"Regression error on MPIIGaze 16% lower than training on labels (abstract); {_UNKNOWN}.", why=why,
        caveat="Two irises in one picture are no eye: a teacher that never saw any says something about them.")


def _x3(suffix: str, experiment: str, why: str) -> Claim:
    return Claim(f"X3{suffix}", _PAPER, "Matching distributions beats matching means.", experiment, (
        Part("NLL, fresh eyes: distributions against means", _means("nll", "fresh"), high=0, unit=_NATS),
        Part("NLL, the same eyes: distributions against means", _means("nll", "same"), high=0, unit=_NATS),
        Part("distance of the spread from 1, fresh eyes: distributions against means", _MISCALIBRATION, high=0,
             unit="standard deviations"),
        Part("degrees, fresh eyes: distributions against means", _means("degrees", "fresh"), high=0.3, unit=_DEGREES)),
                 paper=f"Its third ingredient (abstract); {_UNKNOWN}.", why=why)


_CLAIMS = (
    Claim("X1", _OURS, "A student is like its teacher only where it asked.", _NAME, (
        Part("dots alone: between them against at them", _toy("same", "between"), low=0.1, unit=_DISTANCE),
        Part("mixup of the dots: between against at", _toy("mixup", "between"), high=0.1, unit=_DISTANCE),
        Part("mixup of the dots: beyond against at", _toy("mixup", "beyond"), low=0.1, unit=_DISTANCE),
        Part("everywhere: beyond against at", _toy("uniform", "beyond"), high=0.1, unit=_DISTANCE)),
          paper="What its second ingredient is for: inputs beyond the training set.",
          why="A curve in one dimension, a student that is flexible enough for it.",
          caveat="Mixup of two dots lies between them: in one dimension it fills gaps and never leaves the range."),
    _x2("", _NAME, "Rendered eyes and small perceptrons here; there, photographs of fifteen people."),
    _x3("", _NAME, "A student of means gets the one width that suits its teacher's answers best, its fairest chance."),
    Claim("X4", _PAPER, "With few images, shifts that the teacher labels help where shifts with hard labels hurt.",
          _NAME, (
              Part("20 digits: teacher, shifts against none", _digits("shifts", images=20), low=0),
              Part("50 digits: teacher, shifts against none", _digits("shifts"), low=0),
              Part("20 digits: labels, shifts against none", _digits("labels + shifts", "labels", images=20), high=0),
              Part("50 digits: labels, shifts against none", _digits("labels + shifts", "labels"), high=0),
              Part("200 digits: labels, shifts against none", _digits("labels + shifts", "labels", "equal", 200),
                   high=0)),
          paper=f"CIFAR-100 accuracy 3.4 to 9.1 points above training on labels (abstract); {_UNKNOWN}.",
          why="Pictures of 8x8 pixels, where half a pixel is much; a large and a small perceptron."),
    Claim("X5", _OURS, "Inputs that are mixed or noise do not help a small student on digits, or ruin it.", _NAME, (
        Part("50 digits: mixup against the same digits", _digits("mixup"), high=0.5),
        Part("50 digits: mixed neighbours against the same digits", _digits("neighbours"), high=0.5),
        Part("50 digits: cutmix against the same digits", _digits("cutmix"), high=0.5),
        Part("50 digits: uniform noise against the same digits", _digits("noise"), high=0)),
          paper=f"Whether it mixed inputs is not known to us; {_UNKNOWN}.",
          why="Not to be compared.",
          caveat="The same inputs with mixed labels are another matter: see the table."),
    Claim("X6", _OURS, "Where the teacher knows no more than its student, there is nothing to gain.", _NAME, (
        Part("200 digits for both: teacher against labels", _digits("same", "labels", "equal", 200), high=0.5),
        Part("200 digits for both: shifts against none", _digits("shifts", part="equal", images=200), high=0.5),
        Part("200 digits for both: fresh digits against none", _digits("fresh", part="equal", images=200), high=0.5)),
          paper="Not a claim of the paper: our look for its limit.", why="Not to be compared."),
    Claim("X7", _OURS, "Do not drop the inputs of which the teacher is unsure.", _NAME, (
        Part("fresh eyes at equal numbers: all against the surer half", _rule("sure"), high=0, unit=_DEGREES),
        Part("all against the less sure half", _rule("unsure"), high=0, unit=_DEGREES)),
          paper="Uncertain samples are included (abstract); how they are chosen is not known to us.",
          why="One reading of three: keep them, make them, or look for them."),
    Claim("X8", _OURS, "A few stored answers for each picture are nearly as good as many.", _NAME, (
        Part("20 digits: 10 views against 1", _views(10, 1), low=0),
        Part("20 digits: 50 views against 10", _views(50, 10), high=1.0)),
          paper="Not in the paper. Two of its authors later stored answers for ImageNet: 50 for each picture did as "
                "well as 400, 80.5% each (README of apple/ml-dr).",
          why="Not to be compared."),
    Claim("X9", "ours, after Asano, Saeed 2023 (arXiv 2112.00725)",
          "Far from the data the better teacher is the worse one.", _NAME, (
              Part("fresh digits: large teacher against small", _far("fresh"), low=0),
              Part("crops of one photograph: large teacher against small", _far("crops"), high=0),
              Part("uniform noise: large teacher against small", _far("noise"), high=0)),
          paper="Students of crops of one picture, ImageNet: 66.2% from a ResNet18, 55.5% from a ResNet50 (README of "
                "yukimasano/single-img-extrapolating).",
          why="Digits and perceptrons, crops of another photograph."),
)

# The same questions with the same rules at 36x60 pixels, written down before the run of `large_eyes`.
_NETS = "Rendered eyes of MPIIGaze's size and small convolutional networks; there, photographs of fifteen people."
_LARGE_EYES = tuple(make("-36", f"{_NAME}.large_eyes", _NETS) for make in (_x2, _x3))


def _with_worth(claims: Sequence[Claim]) -> tuple[Claim, ...]:
    return tuple(replace(claim, parts=tuple(replace(part, worth=_WORTH[part.unit]) for part in claim.parts))
                 for claim in claims)


PAGE, LARGE_EYES = _with_worth(_CLAIMS), _with_worth(_LARGE_EYES)
CLAIMS = PAGE + LARGE_EYES
