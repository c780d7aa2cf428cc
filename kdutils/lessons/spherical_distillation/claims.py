"""The claims of notebook 04: Guo et al. 2020. The rules were written down before anything was recorded."""

import pandas as pd

from kdutils.claims import Claim, Computed, Paired, Param, Part
from kdutils.results import Effect, Results, interval

_GUO = "Guo, Chen, Hu, Zhu, He, Cai 2020 (arXiv 2010.07485)"
_OURS = f"ours, about {_GUO}"
_UNKNOWN = "its tables are not available to us from a source we could check"
_LOUD = 0.25    # of a logit: the smallest difference of spreads that would matter
_DIGITS, _HUNDRED = "spherical_distillation", "spherical_distillation.hundred"

_SMALLEST, _LARGEST = Param("widths", 0), Param("widths", -1)              # hidden units of the teachers
_SMALL_NOISY, _LARGE_NOISY = Param("noisy_widths", 0), Param("noisy_widths", -1)


def _gap(method: str, temperature: float | None = None, metric: str = "accuracy", part: str = "gap",
         optimiser: str = "Adam") -> Paired:
    """Behind (or of) the largest teacher less behind (or of) the smallest."""
    same = {"part": part, "optimiser": optimiser, "method": method}
    same |= {} if temperature is None else {"temperature": temperature}
    return Paired(metric, this=same | {"width": _LARGEST}, minus=same | {"width": _SMALLEST})


def _over_kd(temperature: float, width: Param) -> Paired:
    """The student of spherical distillation less KD's, behind a teacher of this width."""
    same = {"part": "gap", "optimiser": "Adam", "width": width, "temperature": temperature}
    return Paired("accuracy", this=same | {"method": "SKD"}, minus=same | {"method": "KD"})


def _noisy(metric: str) -> Paired:
    """Of the teachers of noisy digits: the large one less the small one."""
    same = {"part": "confidence", "method": "teacher"}
    return Paired(metric, this=same | {"width": _LARGE_NOISY}, minus=same | {"width": _SMALL_NOISY})


def _behind_the_norm(temperature: float) -> Paired:
    """Spread of the KD student of the large teacher of noisy digits, less that teacher's own."""
    same = {"part": "confidence", "width": _LARGE_NOISY}
    return Paired("spread", this=same | {"method": "KD", "temperature": temperature},
                  minus=same | {"method": "teacher"})


def _range(results: Results, method: str) -> pd.Series:
    """Best less worst accuracy over the dial of temperature, seed by seed."""
    runs = [results.per_seed("accuracy", part="dial", method=method, temperature=float(t))
            for t in results.params.get("dial", results.params.get("temperatures", ()))]
    return pd.DataFrame(runs).max() - pd.DataFrame(runs).min()


_KD_RANGE = Computed("(best T less worst T of method=KD) less (the same of method=SKD), accuracy in part=dial",
                     lambda results: interval(_range(results, "KD") - _range(results, "SKD")))
_FIXED_RATIO_RANGE = Computed("best T less worst T of method=SKD, m/T fixed, accuracy in part=dial",
                              lambda results: interval(_range(results, "SKD, m/T fixed")))


def _more_than_half(temperature: float) -> Computed:
    def effect(results: Results) -> Effect:
        kd, scalar, skd = (results.per_seed("accuracy", part="ablation", method=method, temperature=temperature)
                           for method in ("KD", "one scalar", "SKD"))
        return interval(scalar - kd - 0.5 * (skd - kd))
    return Computed(f"(method=one scalar less method=KD) less half of (method=SKD less method=KD), accuracy in "
                    f"part=ablation, temperature={temperature:g}", effect)


def _smaller_with_sgd(temperature: float) -> Computed:
    def effect(results: Results) -> Effect:
        sgd, adam = (_gap("KD", temperature, optimiser=optimiser).per_seed(results) for optimiser in ("SGD", "Adam"))
        return interval(sgd - adam)
    return Computed("(width=widths[-1] less width=widths[0] with optimiser=SGD) less (the same with Adam), accuracy of "
                    f"method=KD, temperature={temperature:g}", effect)


def _k1(suffix: str, experiment: str, why: str) -> Claim:
    return Claim(f"K1{suffix}", _GUO, "A larger, better teacher makes a worse student: the capacity gap.", experiment, (
        Part("the largest teacher against the smallest", _gap("teacher"), low=0),
        Part("KD student at T = 1: behind the largest against behind the smallest", _gap("KD", 1.0), high=0),
        Part("KD student at T = 4: behind the largest against behind the smallest", _gap("KD", 4.0), high=0)),
        paper=f"Oversized teachers make worse students on CIFAR-100 and ImageNet; {_UNKNOWN}.", why=why)


def _k2(suffix: str, experiment: str, why: str) -> Claim:
    return Claim(f"K2{suffix}", _GUO, "The student of spherical distillation does not suffer from a larger teacher.",
                 experiment, (
        *(Part(f"SKD student at T = {t:g}: behind the largest against behind the smallest", _gap("SKD", t), low=-0.5)
          for t in (1.0, 4.0, 16.0)),
        *(Part(f"behind the largest teacher, T = {t:g}: SKD against KD",
               _over_kd(t, _LARGEST), low=0) for t in (1.0, 4.0))),
        paper="ResNet-18 with an oversized ResNet-152 as teacher: 72.7% (the authors' README); the headline is 73.0% "
              "(abstract).", why=why)


def _k4(suffix: str, experiment: str, why: str, fixed_ratio: bool) -> Claim:
    parts = (Part("best less worst T: of KD less of SKD with m fixed", _KD_RANGE, low=0),)
    if fixed_ratio:
        parts += (Part("best less worst T: of SKD with m/T fixed", _FIXED_RATIO_RANGE, high=0.5),)
    return Claim(f"K4{suffix}", _GUO, "Spherical distillation cares less about the temperature, if m is fixed.",
                 experiment, parts,
                 paper="The authors' README calls it very robust; its figure and temperatures are not available to us.",
                 why=why)


def _k7(suffix: str, experiment: str, why: str) -> Claim:
    return Claim(f"K7{suffix}", _OURS, "The gap is the recipe's as much as the size's: with SGD it is smaller.",
                 experiment, (
        *(Part(f"gap of KD at T = {t:g}: with SGD teachers less with Adam teachers", _smaller_with_sgd(t), low=0)
          for t in (1.0, 4.0)),
        Part("spread of Adam's largest teacher less that of its smallest", _gap("teacher", metric="spread"), low=0,
             unit="of logits", worth=_LOUD),
        Part("spread of SGD's largest teacher less that of its smallest",
             _gap("teacher", metric="spread", optimiser="SGD"), high=0, unit="of logits", worth=_LOUD)),
        paper="Not a claim of the paper. Sun et al. 2024 (logit standardisation) show larger CIFAR-100 teachers with a "
              "smaller spread.", why=why)


_SMALL = "Ten easy classes, one hidden layer, 100 images without labels, 300 steps; there, large image sets."

DIGITS = (
    _k1("", _DIGITS, _SMALL),
    _k2("", _DIGITS, _SMALL),
    Claim("K3", _GUO, "At equal accuracy a bigger teacher is more confident, and the student cannot follow its norm.",
          _DIGITS, (
              Part("accuracy on noisy digits: large teacher against small", _noisy("accuracy"), low=-2, high=2),
              Part("confidence: large teacher against small", _noisy("confidence"), low=0),
              Part("spread: large teacher against small", _noisy("spread"), low=0, unit="of logits", worth=_LOUD),
              *(Part(f"spread: KD student at T = {t:g} against its large teacher", _behind_the_norm(t), high=0,
                     unit="of logits", worth=_LOUD) for t in (1.0, 4.0))),
          paper=f"What the paper calls the confidence gap; {_UNKNOWN}.",
          why="Noise on the pixels makes our teachers equally good; the paper's differ in depth.",
          caveat="That a student cannot follow the norm is how the paper is retold; we have not read it there."),
    _k4("", _DIGITS, "Our temperatures go from 0.5 to 64; the paper's are not known to us.", fixed_ratio=True),
    Claim("K5", _OURS, "One scalar on the teacher's logits explains most of what spherical distillation gains here.",
          _DIGITS, tuple(Part(f"T = {t:g}: gain of one scalar less half the gain of SKD", _more_than_half(t), low=0)
                         for t in (1.0, 4.0)),
          paper="Not a claim of the paper, which normalises both networks.",
          why="On CIFAR-100 a search over one temperature per teacher is reported not to remove the gap (Asymmetric "
              "Temperature Scaling, 2022, as read by others): one scalar is a result on digits, not a law."),
    Claim("K6", _OURS, "Behind a small teacher nothing is gained; with the teacher's own scale and T = 1 it loses.",
          _DIGITS, (
              *(Part(f"behind the smallest teacher, T = {t:g}: SKD against KD", _over_kd(t, _SMALLEST), low=-1, high=1)
                for t in (4.0, 16.0)),
              Part("behind the largest teacher, T = 1: SKD with the teacher's mean spread as m, against KD",
                   Paired("accuracy", *({"part": "ablation", "method": method, "temperature": 1.0}
                                        for method in ("SKD, the teacher's m", "KD"))), high=0)),
          paper="Not a claim of the paper: our look for its limit. Its own scale is the teacher's mean norm.",
          why="Not to be compared."),
    _k7("", _DIGITS, "Not to be compared: our question to the paper."),
    Claim("K8", _OURS, "The gap is not a matter of time: with four times the steps it is still there.", _DIGITS, (
        Part("KD student at T = 4, more steps: behind the largest against behind the smallest",
             _gap("KD", 4.0, part="longer"), high=0),),
        paper="Not a claim of the paper: our control.", why="Not to be compared."),
)

_LARGER = "CIFAR-100 shrunk to 16x16, one hidden layer, 10,000 images, few steps; the paper's networks are far larger."

HUNDRED = (
    _k1("-100", _HUNDRED, _LARGER), _k2("-100", _HUNDRED, _LARGER), _k4("-100", _HUNDRED, _LARGER, fixed_ratio=False),
    _k7("-100", _HUNDRED, _LARGER))

CLAIMS = DIGITS + HUNDRED
