"""The claims of notebook 06: Sarfraz, Arani, Zonooz 2020. The rules were written down before the recording was made."""

from collections.abc import Sequence

from kdutils.claims import Claim, Computed, Mean, Paired, Part
from kdutils.objectives import METHODS
from kdutils.results import Effect, Results, interval

_STUDY = "Sarfraz, Arani, Zonooz 2020 (arXiv 2007.01922)"
_OURS = f"ours, about {_STUDY}"
_UNKNOWN = "its tables are not available to us from a source we could check"
_COPIES = ("KD", "FitNets", "AT", "FSP", "RKD", "SP")       # losses that ask a finished teacher and nothing else
_SMALL, _LARGE = "4-8", "16-32"


def _against(part: str, method: str, other: str = "hard labels", metric: str = "accuracy", **same) -> Paired:
    """One method less another in the same part, seed by seed."""
    same = {"part": part} | same
    return Paired(metric, this=same | {"method": method}, minus=same | {"method": other})


def _gains(results: Results, part: str, methods: Sequence[str] = tuple(METHODS)) -> list[Effect]:
    return [_against(part, method)(results) for method in methods]


def _largest(part: str) -> Computed:
    return Computed(f"of the nine gains over hard labels in part {part}, the one with the largest mean",
                    lambda results: max(_gains(results, part), key=lambda gain: gain.mean))


def _smallest(part: str) -> Computed:
    return Computed(f"of the nine gains over hard labels in part {part}, the one with the smallest mean",
                    lambda results: min(_gains(results, part), key=lambda gain: gain.mean))


def _gap(method: str) -> Paired:
    """Students of the largest teacher less students of the smallest, by one method."""
    same = {"part": "gap", "method": method}
    return Paired("accuracy", this=same | {"teacher_size": _LARGE}, minus=same | {"teacher_size": _SMALL})


def _left(results: Results, method: str, measure: str) -> Effect:
    return interval(100 * results.per_seed("left", part="mimicry", method=method, measure=measure))


def _worst_own(results: Results) -> Effect:
    return max((_left(results, name, name) for name in _COPIES), key=lambda left: left.mean)


def _others(results: Results) -> Effect:
    pairs = [(a, b) for a in _COPIES for b in _COPIES if a != b]
    runs = [results.per_seed("left", part="mimicry", method=a, measure=b) for a, b in pairs]
    return interval(100 * sum(runs) / len(runs))


_WORST_OWN = Computed("of the losses, the one that leaves most of its own distance, in percent of what hard labels "
                      "leave", _worst_own)
_OTHERS = Computed("what a loss leaves of the other losses' distances, mean over all pairs, in percent of what hard "
                   "labels leave", _others)


CLAIMS = (
    Claim("B1", _STUDY, "With few clean images answers carry most: KD gains most, relations and hints less, learning "
          "together nothing.", "beyond_compression", (
              Part("KD against hard labels", _against("few-shot", "KD"), low=0),
              Part("KD against RKD", _against("few-shot", "KD", "RKD"), low=0),
              Part("KD against SP", _against("few-shot", "KD", "SP"), low=0),
              Part("KD against FitNets", _against("few-shot", "KD", "FitNets"), low=0),
              Part("DML against hard labels", _against("few-shot", "DML"), low=-1.5, high=1.5),
              Part("ONE against hard labels", _against("few-shot", "ONE"), low=-1.5, high=1.5)),
          paper=f"Compares the nine on several data sets; {_UNKNOWN}.",
          why="100 digits and a teacher that saw 1,200; the study has tens of thousands of images for both.",
          caveat="Weights are those of public codes, tuned for other networks: see the race with equal gradients."),
    Claim("B2", _OURS, "With all images nobody gains much, and some lose.", "beyond_compression", (
        Part("the largest of the nine gains", _largest("full"), high=1.5),
        Part("the smallest of the nine gains", _smallest("full"), high=0)),
          paper="Not a claim of the paper: its abstract says that distillation generalises better throughout.",
          why="Teacher and student have one size here, and digits are nearly solved by either."),
    Claim("B3", _STUDY, "Where labels are wrong, KD from a teacher that was stopped early helps.",
          "beyond_compression", (
              Part("KD of a stopped teacher against hard labels, 40%", _against("noise", "KD stopped", noise=0.4),
                   low=0),
              Part("KD of a stopped teacher against hard labels, 60%", _against("noise", "KD stopped", noise=0.6),
                   low=0)),
          paper=f"Distillation generalises better under several severities of label noise; {_UNKNOWN}.",
          why="Whether the study's teachers saw the wrong labels is not known to us; ours did."),
    Claim("B4", _OURS, "The teacher's recipe without a teacher does as well.", "beyond_compression", (
        Part("labels, stopped early, against hard labels, 40%", _against("noise", "stopped labels", noise=0.4), low=0),
        Part("labels, stopped early, against hard labels, 60%", _against("noise", "stopped labels", noise=0.6), low=0),
        Part("KD of a stopped teacher against that, 40%", _against("noise", "KD stopped", "stopped labels", noise=0.4),
             high=1),
        Part("KD of a stopped teacher against that, 60%", _against("noise", "KD stopped", "stopped labels", noise=0.6),
             high=1)),
          paper="Not a claim of the paper: the control that we ask for.",
          why="Not to be compared.",
          caveat="What KD carries over is the teacher's early stop. It does not find the wrong labels by itself."),
    Claim("B5", _OURS, "A teacher that knows its wrong labels by heart brings nothing.", "beyond_compression", (
        Part("KD of a memorising teacher against hard labels, 40%", _against("noise", "KD memorising", noise=0.4),
             high=1),
        Part("KD of a memorising teacher against hard labels, 60%", _against("noise", "KD memorising", noise=0.6),
             high=1),
        Part("wrong labels that the memorising teacher gives back, 60%",
             Mean("heart", of={"part": "noise", "method": "memorising teacher", "noise": 0.6}), low=50,
             unit="percent")),
          paper="Not a claim of the paper.", why="Not to be compared."),
    Claim("B6", _OURS, "With rare classes plain KD copies the teacher's bias and hurts; an adjusted teacher helps.",
          "beyond_compression", (
              Part("KD against hard labels, gamma 0.2, balanced accuracy",
                   _against("imbalance", "KD", metric="balanced", profile="gamma 0.2"), high=0),
              Part("KD against hard labels, gamma 0.2, recall of the three rarest classes",
                   _against("imbalance", "KD", metric="rare", profile="gamma 0.2"), high=0),
              Part("KD of the adjusted teacher against hard labels, gamma 0.2, balanced accuracy",
                   _against("imbalance", "KD adjusted", metric="balanced", profile="gamma 0.2"), low=0),
              Part("open question: that against hard labels whose answers are adjusted",
                   _against("imbalance", "KD adjusted", "hard adjusted", metric="balanced", profile="gamma 0.2"),
                   low=0)),
          paper="The abstract says the opposite of the first half: distillation generalises better under class "
                f"imbalance; {_UNKNOWN}.",
          why="5 to 100 images a class here, 250 to 5,000 there; soft targets alone here, mixed with labels there."),
    Claim("B7", _OURS, "A larger gap costs: small students gain less from a large teacher than from one of their size.",
          "beyond_compression", (
              Part("KD, teacher 16-32 against teacher 4-8", _gap("KD"), high=0),
              Part("SP, teacher 16-32 against teacher 4-8", _gap("SP"), high=0)),
          paper="The abstract says that distillation helps at every gap tried.",
          why="Gaps of 16 times in parameters at most, and teachers that differ little in accuracy."),
    Claim("B8", _OURS, "Each loss leaves the others unmatched: the mimicry matrix is far from uniform.",
          "beyond_compression", (
              Part("own distance left, the worst of six losses", _WORST_OWN, high=80, unit="% of that of hard labels"),
              Part("other losses' distance left, mean of 30 pairs", _OTHERS, low=80, unit="% of that of hard labels")),
          paper="Different targets behave differently; no such matrix is known to us.",
          why="Not to be compared."),
)
