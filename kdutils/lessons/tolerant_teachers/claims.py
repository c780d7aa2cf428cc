"""The claims of notebook 02: Yang, Xie, Qiao, Yuille 2018. The rules were written down before anything was measured.

What a difference must be worth was added after the first record. It tells *too noisy to say* from *no difference that
matters* and makes no claim seen: half a point of accuracy, half a percent of the mass, a hundredth of a bit.
"""

from collections.abc import Mapping

from kdutils.claims import Claim, Computed, Paired, Part
from kdutils.results import Effect, Results, interval

_YANG = "Yang, Xie, Qiao, Yuille 2018 (arXiv 1805.05551)"
_OURS = f"ours, about {_YANG}"
_UNKNOWN = "its tables are not available to us from a source we could check"
_ETAS = (0.0, 0.3, 0.6, 0.9, 1.2)
_LAST = 5
_FRESH = "tolerant_teachers.fresh"


def _smallest_step(metric: str, scale: float = 1.0) -> Computed:
    """Of the steps from each eta to the next, the one whose interval reaches lowest: all rise if this one does."""
    def smallest(results: Results) -> Effect:
        runs = [results.per_seed(metric, part="teacher", eta=eta) for eta in _ETAS]
        steps = [interval(scale * (after - before)) for before, after in zip(runs, runs[1:], strict=False)]
        return min(steps, key=lambda step: step.low)
    return Computed(f"{metric} of teachers: the step between neighbouring eta that reaches lowest", smallest)


def _paired(part: str, this: Mapping, minus: Mapping, **same) -> Paired:
    same = {"part": part, **same}
    return Paired("accuracy", this={**same, **this}, minus={**same, **minus})


def _teacher(eta: float) -> Paired:
    return _paired("teacher", {"eta": eta}, {"eta": 0.0})


def _student(eta: float, temperature: float = 1.0, part: str = "student", n: int = 100) -> Paired:
    """Student of the tolerant teacher less student of the strict one, at one temperature."""
    return _paired(part, {"eta": eta}, {"eta": 0.0}, method="distilled", temperature=temperature, transfer=n)


def _temperature_takes_away(results: Results, n: int = 100) -> Effect:
    """Gain by tolerance at T = 1 less gain at T = 4, seed by seed."""
    return interval(_student(0.9, 1.0, n=n).per_seed(results) - _student(0.9, 4.0, n=n).per_seed(results))


def _climb(kind: str, noise: float, last: int = _LAST) -> Paired:
    """Last generation less its own first teacher."""
    return _paired("generations", {"generation": last}, {"generation": 0}, method=kind, noise=noise)


def _over_strict(noise: float, last: int = _LAST) -> Paired:
    """Last tolerant generation less last strict (born-again) one."""
    return _paired("generations", {"method": "tolerant"}, {"method": "strict"}, generation=last, noise=noise)


def _ensemble_over_last(noise: float, last: int = _LAST) -> Paired:
    """All generations of the tolerant lineage together less its last one alone."""
    return Paired("accuracy",
                  this={"part": "ensemble", "method": "tolerant", "members": last + 1, "noise": noise},
                  minus={"part": "generations", "method": "tolerant", "generation": last, "noise": noise})


def _ensemble_over_seeds(noise: float, last: int = _LAST) -> Paired:
    """All generations of the tolerant lineage together less as many strict networks of independent starts."""
    return _paired("ensemble", {"method": "tolerant"}, {"method": "independent"}, members=last + 1, noise=noise)


def _families(metric: str, minus: Mapping) -> Paired:
    """Teachers with eta = 0.9 less others, of what they give to the label's family."""
    return Paired(metric, this={"part": "teacher", "method": "teacher", "eta": 0.9}, minus={"part": "teacher", **minus})


DIGITS = (
    Claim("G1", _YANG, "A more tolerant teacher gives more probability to secondary classes and is less certain.",
          "tolerant_teachers", (
              Part("ranks 2-5: the smallest step as eta grows from 0 to 1.2", _smallest_step("secondary"), low=0,
                   unit="percent of the mass", worth=0.5),
              Part("entropy: the smallest step as eta grows from 0 to 1.2", _smallest_step("entropy", 100), low=0,
                   unit="hundredths of a bit", worth=1)),
          paper=f"What the extra loss term is for; {_UNKNOWN}.",
          why="Ten digits have little of the similarity that the 100 classes of CIFAR-100 have."),
    Claim("G2", _YANG, "The tolerant teacher pays: it is less accurate than the strict one.", "tolerant_teachers", (
        Part("teacher with eta 0.9 against eta 0", _teacher(0.9), high=0),
        Part("teacher with eta 1.2 against eta 0", _teacher(1.2), high=0)),
          paper=f"The first teacher is less accurate than usual, its students more; {_UNKNOWN}.",
          why="Digits are easy: the label stays first long after it has lost its certainty.", fresh=_FRESH),
    Claim("G3", _YANG, "At T = 1 and with few images, students of tolerant teachers are better.", "tolerant_teachers", (
        Part("student with 100 images, T = 1: eta 0.6 against 0", _student(0.6), low=0),
        Part("student with 100 images, T = 1: eta 0.9 against 0", _student(0.9), low=0)),
          paper=f"Students of tolerant teachers beat students of strict ones on CIFAR-100 and ILSVRC2012; {_UNKNOWN}.",
          why="A smaller student with few images and no labels here; there, the same network with all of them."),
    Claim("G4", _OURS, "At T = 4 the gain is gone: temperature does the same work, and more of it.",
          "tolerant_teachers", (
              Part("student with 100 images, T = 4: eta 0.9 against 0", _student(0.9, 4.0), high=0.5),
              Part("gain by eta 0.9 at T = 1 less gain at T = 4",
                   Computed("accuracy: (eta=0.9 less eta=0 at T=1) less (the same at T=4)", _temperature_takes_away),
                   low=0),
              Part("T = 4 with a strict teacher against T = 1 with eta 0.9",
                   _paired("student", {"temperature": 4.0, "eta": 0.0}, {"temperature": 1.0, "eta": 0.9},
                           method="distilled", transfer=100), low=0)),
          paper="Not a claim of the paper, which has no temperature: our question to it.",
          why="Not to be compared.",
          caveat="The temperature costs the teacher nothing and can be chosen after it is trained."),
    Claim("G5", _YANG, "Over five generations students outgrow their tolerant ancestor, and end above born-again ones.",
          "tolerant_teachers", (
              Part("tolerant lineage, generation 5 against 0, clean labels", _climb("tolerant", 0.0), low=0),
              Part("very tolerant lineage, generation 5 against 0, clean labels", _climb("very tolerant", 0.0), low=0),
              Part("tolerant lineage, generation 5 against 0, noisy labels", _climb("tolerant", 0.3), low=0),
              Part("very tolerant lineage, generation 5 against 0, noisy labels", _climb("very tolerant", 0.3), low=0),
              Part("open question: tolerant against strict at generation 5, clean labels", _over_strict(0.0), low=0),
              Part("open question: tolerant against strict at generation 5, noisy labels", _over_strict(0.3), low=0)),
          paper=f"Students improve over generations and beat born-again networks; {_UNKNOWN}.",
          why="Ten classes with little similarity structure, small networks, few images.",
          caveat="To climb from an ancestor that was held down may be recovery, not gain: compare with the strict "
                 "lineage. Each generation keeps 1 - lambda, here half, of what its ancestor taught beside the labels. "
                 "No generation is picked by its test accuracy: the last one counts.", fresh=_FRESH),
    Claim("G6", _OURS, "Where 40% of the labels are wrong, tolerance harms the student.", "tolerant_teachers", (
        Part("student with 1,200 images, T = 1: eta 0.6 against 0", _student(0.6, part="noise", n=1200), high=0),
        Part("student with 1,200 images, T = 1: eta 0.9 against 0", _student(0.9, part="noise", n=1200), high=0)),
          paper="Not a claim of the paper: our look for its limit.",
          why="Not to be compared.",
          caveat="Symmetric noise: a wrong label is any other class with the same probability."),
    Claim("G7", _YANG,
          "Generations are worth uniting: their mean answer beats the last one, and as many strict networks.",
          "tolerant_teachers", (
              Part("generations 0-5 united against generation 5, clean labels", _ensemble_over_last(0.0), low=0),
              Part("generations 0-5 united against generation 5, noisy labels", _ensemble_over_last(0.3), low=0),
              Part("generations 0-5 united against six strict networks, clean labels", _ensemble_over_seeds(0.0),
                   low=0),
              Part("generations 0-5 united against six strict networks, noisy labels", _ensemble_over_seeds(0.3),
                   low=0)),
          paper=f"Ensembles over generations are reported to improve further; {_UNKNOWN}.",
          why="Whether the paper compares with networks of independent starts is not known to us; it is the fair "
              "comparison, since both cost the same.", fresh=_FRESH),
    Claim("G8", _YANG, "Features of a tolerant lineage transfer better to classes it never saw.", "tolerant_teachers", (
        Part("linear probe: generation 5 of the tolerant lineage against the strict first teacher",
             _paired("probe", {"method": "tolerant", "generation": _LAST}, {"method": "strict", "generation": 0}),
             low=0),
        Part("linear probe: tolerant against strict lineage at generation 5",
             _paired("probe", {"method": "tolerant"}, {"method": "strict"}, generation=_LAST), low=0)),
          paper=f"Transferred features are reported to confirm the gain; data sets and numbers: {_UNKNOWN}.",
          why="From six digits to the other four, one hidden layer; the paper transfers from large image sets."),
)

# The same questions of photographs whose classes come in families, at two sizes. Where a statement is asked as on
# digits its ranges are the same; few images are a tenth of all, and a lineage has three generations, with clean labels.
# The rules of the twenty classes were committed before they were measured, and those of the hundred before these.
_SMALL = ("Classes of CIFAR-100 shrunk to 16x16, two small convolutions and few passes over the images; the "
          "paper's networks are far larger.")


def _of_families(tag: str, experiment: str, families: int, images: int) -> tuple[Claim, ...]:
    """The claims of the second scale at one size. tag: behind their ids; images: of training, ten times the few."""
    few, classes = images // 10, 5 * families
    chance = 400 / (classes - 1)
    return (
        Claim(f"G2-{tag}", _YANG, "The tolerant teacher pays: it is less accurate than the strict one.", experiment, (
            Part("teacher with eta 0.9 against eta 0", _teacher(0.9), high=0),
            Part("teacher with eta 1.2 against eta 0", _teacher(1.2), high=0)),
              paper=f"The first teacher is less accurate than usual, its students more; {_UNKNOWN}.", why=_SMALL),
        Claim(f"G3-{tag}", _YANG, "At T = 1 and with few images, students of tolerant teachers are better.", experiment,
              (Part(f"student with {few:,} images, T = 1: eta 0.6 against 0", _student(0.6, n=few), low=0),
               Part(f"student with {few:,} images, T = 1: eta 0.9 against 0", _student(0.9, n=few), low=0)),
              paper=f"Students of tolerant teachers beat students of strict ones on CIFAR-100 and ILSVRC2012; "
                    f"{_UNKNOWN}.", why=_SMALL),
        Claim(f"G4-{tag}", _OURS, "At T = 4 the gain is gone: temperature does the same work, and more of it.",
              experiment, (
                  Part(f"student with {few:,} images, T = 4: eta 0.9 against 0", _student(0.9, 4.0, n=few), high=0.5),
                  Part("gain by eta 0.9 at T = 1 less gain at T = 4",
                       Computed(f"accuracy: (eta=0.9 less eta=0 at T=1) less (the same at T=4), {few:,} images",
                                lambda results: _temperature_takes_away(results, few)), low=0),
                  Part("T = 4 with a strict teacher against T = 1 with eta 0.9",
                       _paired("student", {"temperature": 4.0, "eta": 0.0}, {"temperature": 1.0, "eta": 0.9},
                               method="distilled", transfer=few), low=0)),
              paper="Not a claim of the paper, which has no temperature: our question to it.",
              why="Not to be compared."),
        Claim(f"G5-{tag}", _YANG, "Over three generations students outgrow their tolerant ancestor, and end above "
                                  "born-again ones.", experiment, (
            Part("tolerant lineage, generation 3 against 0", _climb("tolerant", 0.0, 3), low=0),
            Part("open question: tolerant against strict at generation 3", _over_strict(0.0, 3), low=0)),
              paper=f"Students improve over generations and beat born-again networks; {_UNKNOWN}.", why=_SMALL,
              caveat="To climb from an ancestor that was held down may be recovery, not gain: compare with the strict "
                     "lineage."),
        Claim(f"G6-{tag}", _OURS, "Where 40% of the labels are wrong, tolerance harms the student.", experiment, (
            Part(f"student with {images:,} images, T = 1: eta 0.6 against 0", _student(0.6, part="noise", n=images),
                 high=0),
            Part(f"student with {images:,} images, T = 1: eta 0.9 against 0", _student(0.9, part="noise", n=images),
                 high=0)),
              paper="Not a claim of the paper: our look for its limit.", why="Not to be compared.",
              caveat="Symmetric noise: a wrong label is any other class with the same probability."),
        Claim(f"G7-{tag}", _YANG,
              "Generations are worth uniting: their mean answer beats the last one, and as many strict networks.",
              experiment,
              (Part("generations 0-3 united against generation 3", _ensemble_over_last(0.0, 3), low=0),
               Part("generations 0-3 united against four strict networks", _ensemble_over_seeds(0.0, 3), low=0)),
              paper=f"Ensembles over generations are reported to improve further; {_UNKNOWN}.", why=_SMALL),
        Claim("G9" if tag == "20" else f"G9-{tag}", _YANG,
              "What a tolerant teacher gives to secondary classes goes to the label's family: more than by lot, and a "
              "larger share than a strict, a smoothed or a penalised teacher gives it.", experiment, (
            Part(f"share of ranks 2-5 in the family, eta 0.9, over {chance:.1f}%, what a lot would give",
                 Computed(f"inside of teachers with eta=0.9, less 400/{classes - 1}", lambda results: interval(
                     results.per_seed("inside", part="teacher", eta=0.9) - chance)), low=0),
            Part("share in the family: eta 0.9 against eta 0", _families("inside", {"eta": 0.0}), low=0),
            Part("share in the family: eta 0.9 against smoothing with the same p*",
                 _families("inside", {"method": "smoothed"}), low=0),
            Part("share in the family: eta 0.9 against the confidence penalty with the same p*",
                 _families("inside", {"method": "penalised"}), low=0)),
              paper="The paper argues for five ranks by the five classes of each of CIFAR-100's families; how it "
                    f"measures whose the secondary classes are is not known to us, and {_UNKNOWN}.",
              why="The measure is ours: of the probability of ranks 2-5 on test images, the part on the four other "
                  "classes of the label's family.",
              caveat="A share says nothing of how much there is to share: `family` in the table has the amounts."),
    )


TWENTY = _of_families("20", "tolerant_teachers.twenty", families=4, images=9_000)
HUNDRED = _of_families("100", "tolerant_teachers.hundred", families=20, images=45_000)
CLAIMS = DIGITS + TWENTY + HUNDRED
