"""The check of every exercise: its stub, its solution, other right answers, and slips that hear why."""

import re
from pathlib import Path

import pandas as pd
import pytest
from pages import PAGES, asked

from kdutils.lessons import catalog
from kdutils.lessons.dark_knowledge import checks as dark_knowledge
from kdutils.results import Results


def made_up(gain: float, noise: float = 1.0) -> Results:
    """Ten pairs whose gain is what a test wants it to be."""
    rows = [{"part": "sweep", "transfer": n, "seed": seed, "method": method, "temperature": t,
             "accuracy": 90 + (gain + noise * (-1) ** seed) * (method == "distilled")}
            for n in (100, 1200) for seed in range(10)
            for method, t in (("hard labels", None), ("distilled", 4.0), ("distilled", 32.0))]
    return Results(pd.DataFrame(rows))


def test_every_exercise_of_the_pages_has_a_check_and_the_other_way_round():
    assert set(PAGES) == set(catalog.exercises()) and len(catalog.exercises()) >= 6
    assert all(set(parts) == {"stub", "check", "solution"} for parts in PAGES.values())


@pytest.mark.parametrize("name", catalog.exercises())
def test_the_solution_on_the_page_is_right(name):
    feedback = asked(name, PAGES[name]["solution"])
    assert feedback.state == "right", feedback
    assert feedback.message.endswith(".") and len(feedback.message) > 20      # it says something


@pytest.mark.parametrize("name", catalog.exercises())
def test_the_stub_on_the_page_is_not_done_yet(name):
    feedback = asked(name, PAGES[name]["stub"])
    assert feedback.state == "not done yet", feedback


# Whoever writes these two as the formula cell of the page does is as right, and slips in other places.
AS_FORMULA = {
    "02.2": """
def my_top_score_difference(logits, ranks):
    ranked = logits.softmax(-1).sort(-1, descending=True).values
    return (ranked[:, 0] - ranked[:, 1:ranks].mean(-1)).mean()
""",
    "03.2": """
import math


def my_auxiliary(logits, t_aux):
    n, total = logits.shape
    v = logits - logits.mean(-1, keepdim=True)
    v = v / (v.square().mean(-1, keepdim=True) + 1e-9).sqrt()
    scores = v @ v.T / (t_aux * total)
    return scores.logsumexp(-1).mean() - 1 / t_aux - math.log(n)
"""}


@pytest.mark.parametrize("name", AS_FORMULA)
def test_the_form_of_the_formula_cell_is_right_too(name):
    assert asked(name, AS_FORMULA[name]).state == "right"


def edited(name: str, swap: dict[str, str]) -> str:
    """The formula cell's answer or the page's solution, with parts of it replaced, as a slip would."""
    right = [AS_FORMULA.get(name, ""), PAGES[name]["solution"]]
    code = next(one for one in right if all(one.count(old) == 1 for old in swap))
    for old, new in swap.items():
        code = code.replace(old, new)
    return code


STACKED = "torch.stack([block.logsumexp(-1) for block in blocks], -1)"     # of the solution of 03.1
LAST = "scores.logsumexp(-1).mean() - 1 / t_aux - math.log(n)"     # of the formula in 03.2
SLIPS = [
    # exercise, what the learner has in the place of what, and what the check says of it
    ("00.1", {"distilled - hard": "hard - distilled"}, "The sign"),
    ("00.1", {".mean()": ""}, "the difference of each seed"),
    ("00.1", {".mean()": ".sum()"}, "the sum over seeds"),
    ("00.1", {"(distilled - hard).mean()": "(distilled / hard).mean()"}, "a gain in points is a difference"),
    ("00.1", {"(distilled - hard).mean()": "(distilled - hard)[:2]"}, "The shape is (2,), it should be ()"),
    ("00.2", {" / n**0.5": ""}, "standard deviation of single seeds"),
    ("00.2", {"t * differences": "differences"}, "multiply it by the t quantile"),
    ("00.2", {"t * differences": "1.96 * differences"}, "Student's t is wider"),
    ("00.2", {"differences.std()": "differences.std(correction=0)"}, "n - 1 in the denominator"),
    ("00.2", {"return t": "return 2 * t"}, "Half the interval"),
    ("00.2", {"n**0.5": "n"}, "by the square root of n"),
    ("00.3", {"38": "37"}, "still includes zero"),
    ("00.3", {"38": "5"}, "± 1.862: it still includes zero"),
    ("00.3", {"38": "70"}, "about half as many would do"),
    ("00.3", {"38": "1"}, "at least 2"),
    ("00.3", {"38": "36.9"}, "whole number"),
    ("00.3", {"38": "'forty'"}, "whole number"),
    ("01.1", {"gap / math.log(ratio)": "math.log(ratio) / gap"}, "Upside down"),
    ("01.1", {"gap / math.log(ratio)": "gap / ratio"}, "Take the logarithm"),
    ("01.1", {"math.log(": "math.log10("}, "natural logarithm"),
    ("01.1", {"gap / math": "gap * math"}, "you multiplied"),
    ("01.1", {"gap / math.log(ratio)": "4.6 / math.log(10)"}, "it should be"),      # right for the first example only
    ("01.2", {"p_student - p_teacher": "p_teacher - p_student"}, "The sign"),
    ("01.2", {"return temperature": "return temperature**2"}, "Dividing the logits by T takes one T away"),
    ("01.2", {"temperature * (": "("}, "The factor T is missing"),
    ("01.2", {"temperature * (p_student - p_teacher)": "(p_student - p_teacher) / temperature"}, "without the T^2"),
    ("01.2", {" / len(student_logits)": ""}, "divide by the number of examples"),
    ("01.2", {"len(student_logits)": "student_logits.numel()"}, "not by the number of classes too"),
    ("01.2", {"(student_logits / temperature)": "student_logits", "(teacher_logits / temperature)": "teacher_logits"},
     "yours are at T = 1"),
    ("01.2", {" / len(student_logits)": ".mean()"}, "The shape is ()"),
    ("01.3", {"temperature**2 * ": ""}, "The T^2 is missing"),
    ("01.3", {"kl.sum(-1).mean()": "kl.mean()"}, "The sum over classes was turned into a mean"),
    ("01.3", {"teacher.exp() * (teacher - student)": "student.exp() * (student - teacher)"}, "turned around"),
    ("01.3", {"temperature**2 * kl.sum(-1).mean()": "kl.mean()"},
     "Two mistakes are left: the factor T^2, and the mean"),
    ("01.3", {"teacher.exp() * (teacher - student)": "student.exp() * (student - teacher)", "temperature**2 * ": ""},
     "Two mistakes are left: the factor T^2, and the direction"),
    ("01.3", {"teacher.exp() * (teacher - student)": "student.exp() * (student - teacher)", "sum(-1).mean()": "mean()"},
     "Two mistakes are left: the mean over classes, and the direction"),
    ("01.3", {".sum(-1).mean()": ".sum(-1)"}, "The shape is (4,)"),
    ("01.4", {"32": "0"}, "temperature must be between 0.5 and 32"),
    ("01.4", {"1200": "5000"}, "between 1 and 1200"),
    ("01.4", {"1200": "'all'"}, "transfer must be a whole number"),
    ("01.4", {', "temperature": 32': ""}, "Give both values"),
    ("01.4", {'"temperature"': '"T"'}, "setting must be one of transfer, temperature"),
    ("01.4", {'{"transfer": 1200, "temperature": 32}': "(1200, 32)"}, "Give both values by name"),
    ("02.1", {"min(1.0, (ranks - 1) / (eta * ranks))": "(ranks - 1) / (eta * ranks)"}, "at most 1"),
    ("02.1", {"min(1.0, (ranks - 1) / (eta * ranks))": "1 - min(1.0, (ranks - 1) / (eta * ranks))"}, "together"),
    ("02.1", {"min(1.0, (ranks - 1) / (eta * ranks))": "(1 - min(1.0, (ranks - 1) / (eta * ranks))) / (ranks - 1)"},
     "each single secondary class"),
    ("02.1", {"(ranks - 1) / (eta * ranks)": "ranks / (eta * (ranks + 1))"}, "yours divides by K"),
    ("02.1", {"(ranks - 1) / (eta * ranks)": "ranks / (eta * (ranks - 1))"}, "upside down"),
    ("02.1", {"(ranks - 1) / (eta * ranks)": "1 / eta"}, "You left K out"),
    ("02.1", {"(ranks - 1) / (eta * ranks)": "eta / (1 - eta) * (ranks - 1) / ranks"}, "the convex form"),
    ("02.1", {"(ranks - 1) / (eta * ranks)": "8 / 9"}, "it should be 0.5333"),
    ("02.2", {".mean(-1)).mean()": ".mean(-1))"}, "One value per image is left"),
    ("02.2", {".mean(-1)).mean()": ".mean(-1)).sum()"}, "yours is the sum"),
    ("02.2", {"1:ranks].mean(-1)": "1:ranks].sum(-1) / ranks"}, "divide by their number, not by K"),
    ("02.2", {"1:ranks].mean(-1)": "1:ranks].sum(-1)"}, "you subtract their sum"),
    ("02.2", {"1:ranks]": "1:ranks + 1]"}, "one rank too many"),
    ("02.2", {"1:ranks]": ":ranks]"}, "includes the first"),
    ("02.2", {"1:ranks]": "1:]"}, "all the others"),
    ("02.2", {"ranked[:, 1:ranks].mean(-1)": "ranked[:, 1]"}, "the margin between the first two"),
    ("02.2", {"(ranked[:, 0] - ranked[:, 1:ranks].mean(-1))": "(ranked[:, 1:ranks].mean(-1) - ranked[:, 0])"},
     "The sign"),
    ("02.2", {"(ranks - 1)": "ranks"}, "divide by their number, not by K"),
    ("02.2", {"(total - first)": "total"}, "The sum of the first K holds the first probability too"),
    ("02.3", {"(ranks - 1)": "ranks"}, "One mistake is left: ranks 2 to K are K - 1"),
    ("02.3", {"ranked[:, 0]": "logits.softmax(-1).gather(1, labels[:, None])[:, 0]"}, "One mistake is left: a_1 is"),
    ("02.3", {"logits.softmax(-1).sort(-1, descending=True).values":
              "logits.softmax(-1)[:, logits.softmax(-1).mean(0).argsort(descending=True)]"},
     "One mistake is left: each image has its own ranking"),
    ("02.3", {"ranked[:, 0]": "logits.softmax(-1).gather(1, labels[:, None])[:, 0]", "(ranks - 1)": "ranks"},
     "Two mistakes are left: a_1 is the class"),
    ("02.3", {"logits.softmax(-1).sort(-1, descending=True).values":
              "logits.softmax(-1)[:, logits.softmax(-1).mean(0).argsort(descending=True)]", "(ranks - 1)": "ranks"},
     "Two mistakes are left: each image has its own ranking"),
    ("02.3", {".softmax(-1)": ""}, "Take the softmax first"),
    ("02.3", {".mean()": ""}, "The shape is (4,)"),
    ("02.4", {"4": "0"}, "temperature must be between 0.5 and 32"),
    ("02.4", {"4": "'warm'"}, "temperature must be between 0.5 and 32"),
    ("02.4", {"4": "1"}, "At T = 1 tolerance still helps: +"),
    ("03.1", {"block.logsumexp(-1)": "block.sum(-1)"}, "the plain sum"),
    ("03.1", {"block.logsumexp(-1)": "block.amax(-1)"}, "the largest subclass alone"),
    ("03.1", {"block.logsumexp(-1)": "block.mean(-1)"}, "the mean of the logits"),
    ("03.1", {"block.logsumexp(-1)": "block.exp().mean(-1).log()"}, "divide by the number of subclasses"),
    ("03.1", {"block.logsumexp(-1)": "logits.logsumexp(-1)"}, "over all subclasses of all classes"),
    ("03.1", {"block.logsumexp(-1)": "block.softmax(-1).sum(-1)"}, "normalised by itself"),
    ("03.1", {"block.logsumexp(-1)": "block.log_softmax(-1).logsumexp(-1)"}, "normalised by itself"),
    ("03.1", {"block.logsumexp(-1)": "block.sum(-1).log()"}, "a sum of logits may be negative"),
    ("03.1", {"block.logsumexp(-1)": "(-block.logsumexp(-1))"}, "The sign"),
    # A shift does not hide a slip.
    ("03.1", {STACKED: "torch.stack([b.sum(-1) for b in logits.log_softmax(-1).split(sizes, -1)], -1)"},
     "multiplies the subclasses' probabilities"),
    ("03.1", {STACKED: "torch.stack([b.mean(-1).log() for b in logits.softmax(-1).split(sizes, -1)], -1)"},
     "would be held down"),
    ("03.1", {STACKED: "torch.stack([logits[:, c::2].logsumexp(-1) for c in (0, 1)], -1)"}, "its subclasses have"),
    ("03.1", {STACKED: "torch.cat([block.logsumexp(-1) for block in blocks])"}, "one after another"),
    ("03.1", {"block.logsumexp(-1)": "block.logsumexp(-1, keepdim=True)"}, "keepdim"),
    ("03.1", {"block.logsumexp(-1)": "block.exp().sum(-1)"}, "The logarithm is missing"),
    ("03.1", {STACKED: "torch.stack([b.sum(-1) for b in logits.softmax(-1).split(sizes, -1)], -1)"},
     "classes' probabilities"),
    ("03.1", {"for block in blocks], -1)": "for block in blocks])"},
     "(2, 4), it should be (4, 2): images and classes have"),
    ("03.2", {"(r - 1)": "r"}, "The term -1/T_aux is missing"),
    ("03.2", {".exp().mean(-1)": ".exp().sum(-1)"}, "The term -log n is missing"),
    ("03.2", {".log().mean()": ".log()"}, "One value per example is left"),
    ("03.2", {".mean(-1).log().mean()": ".mean().log()"}, "mean over all pairs"),
    ("03.2", {"(t_aux * total)": "t_aux"}, "The division by S is missing"),
    ("03.2", {LAST: "scores.exp().log().sum(-1).mean() - 1 / t_aux - math.log(n)"}, "of each exponential"),
    ("03.2", {LAST: "scores.mean() - 1 / t_aux"}, "the mean score"),
    ("03.2", {"logits.mean(-1, keepdim=True)": "logits.mean(0)", "v.square().mean(-1, keepdim=True)":
              "v.square().mean(0)"}, "standardised over the batch"),
    ("03.2", {" - math.log(n)": ""}, "The term -log n is missing"),
    ("03.2", {" - 1 / t_aux": ""}, "The term -1/T_aux is missing"),
    ("03.2", {" - 1 / t_aux - math.log(n)": ""}, "Both constants are missing"),
    ("03.2", {LAST: f"({LAST}) * n"}, "yours is the sum"),
    ("03.2", {"scores.logsumexp(-1).mean()": "scores.logsumexp(-1)"}, "One value per example is left"),
    ("03.2", {"(t_aux * total)": "total"}, "not divided by T_aux"),
    ("03.2", {"scores.logsumexp(-1)": "scores[scores < scores.diag().min()].view(n, n - 1).logsumexp(-1)"},
     "i itself included"),
    ("03.2", {"v.square().mean(-1, keepdim=True)": "v.square().sum(-1, keepdim=True) / (total - 1)"},
     "divided by S, not by S - 1"),
    ("03.2", {LAST: f"-({LAST})"}, "The sign"),
    ("03.2", {"v @ v.T": "v.T @ v"}, "compares the subclasses"),
    ("03.2", {"v @ v.T": "logits @ logits.T"}, "those of the logits"),
    ("03.2", {"(t_aux * total)": "(t_aux * total**0.5)"}, "not by its square root"),
    ("03.2", {" / (t_aux * total)": ""}, "neither T_aux nor S"),
    ("03.2", {" / (t_aux * total)": " * t_aux / total"}, "multiplied by T_aux"),
    ("03.2", {LAST: "scores.exp().sum(-1).mean() - 1 / t_aux - math.log(n)"}, "The logarithm is missing"),
    ("03.2", {LAST: "scores.flatten().logsumexp(-1) - 1 / t_aux - math.log(n)"}, "One sum runs over all pairs"),
    ("03.2", {LAST: "scores.exp().mean().log() - 1 / t_aux"}, "mean over all pairs"),
    ("03.2", {LAST: "scores.exp().mean(-1).log().mean() - 1 / t_aux - math.log(n)"}, "log n away twice"),
    ("03.2", {LAST: "scores.diagonal().mean() - 1 / t_aux - math.log(n)"}, "with themselves"),
    ("03.2", {"- 1 / t_aux - math.log(n)": "+ 1 / t_aux - math.log(n)"}, "1/T_aux is added"),
    ("03.2", {"- math.log(n)": "+ math.log(n)"}, "log n is added"),
    ("03.2", {"- 1 / t_aux - math.log(n)": "+ 1 / t_aux + math.log(n)"}, "Both constants are added"),
    ("03.2", {"- 1 / t_aux": "- t_aux"}, "instead of 1/T_aux"),
    ("03.2", {"math.log(n)": "math.log(total)"}, "the logarithm of S"),
    ("03.2", {"math.log(n)": "math.log2(n)"}, "the natural one"),
    ("03.2", {LAST: "scores"}, "4 x 4 pairs"),
    ("03.3", {"0.0": "0.3"},
     "of 10 subclasses are used. At beta = 0.3 and T_aux = 0.5 their auxiliary loss still pays"),
    ("03.3", {"0.0": "0.3", '"t_aux": 0.5': '"t_aux": 0.1'}, "a smaller T_aux spreads more"),
    ("03.3", {'{"subclasses": 5, "beta": 0.0, "t_aux": 0.5}': "0"}, "Give the values by name"),
    ("03.3", {'{"subclasses": 5, "beta": 0.0, "t_aux": 0.5}': "{}"}, "Give all three values"),
    ("03.3", {"5,": "1,"}, "subclasses must be a whole number between 3 and 20 (with fewer there is little"),
    ("03.3", {'"t_aux": 0.5': '"t_aux": 0'}, "t_aux must be a number > 0"),
    ("03.3", {"0.0": "-1"}, "beta must be a number >= 0"),
    ("03.3", {', "t_aux": 0.5': ""}, "Give all three values"),
    ("03.3", {'"t_aux"': '"T_aux"'}, "setting must be one of subclasses, beta, t_aux"),
    ("03.3", {'{"subclasses": 5, "beta": 0.0, "t_aux": 0.5}': "(5, 0.0, 0.5)"}, "Give the values by name"),
    ("03.4", {"0.1": "1.0", "0.2": "1.0"}, "the authors' demo itself"),
    ("03.4", {"0.1": "0.0"}, "The interval has to lie above zero. Only 2"),
    ("03.4", {"0.1": "1.0"}, "cannot divide well what they confuse"),
    ("03.4", {"5,": "2,"}, "at most 4 of the ten digits"),
    ("03.4", {"5,": "40,"}, "subclasses must be a whole number between 1 and 20"),
    ("03.4", {"0.2": "'low'"}, "t_aux must be a number > 0"),
    ("06.1", {'"rotate": ["SP", "RKD"]': '"rotate": ["FitNets", "SP", "RKD"]'}, "compares number by number"),
    ("06.1", {'"stretch": ["AT"]': '"stretch": ["AT", "SP"]'}, "not those of the others"),
    ("06.1", {'"negate": ["AT", "SP", "RKD"]': '"negate": ["SP", "RKD"]'}, "a square has no sign"),
    ("06.1", {'"stretch": ["AT"]': '"stretch": ["KD"]'}, "none of the four"),
    ("06.2", {"return a / a.norm(dim=1, keepdim=True)": "return a"}, "not brought to length one"),
    ("06.2", {"a.norm(dim=1, keepdim=True)": "a.norm()"}, "each image by itself"),
    ("06.2", {".square().mean()\n": ".square().sum()\n"}, "summed, not averaged"),
    ("06.2", {".square().mean()\n": ".norm(dim=1).mean()\n"}, "the paper's equation"),
    ("06.2", {"maps.square().mean(1)": "maps.mean(1)"}, "squared before the mean"),
    ("06.2", {".square().mean()\n": ".square().mean().item()\n"}, "no gradient"),
    ("06.3", {"temperature**2 * ": ""}, "too small by exactly T^2."),
    ("06.3", {"temperature**2": "temperature"}, "too small by exactly T."),
    ("06.3", {".sum(-1).mean()": ".mean()"}, "too small by exactly the number of classes"),
    ("06.3", {".sum(-1).mean()": ".sum()"}, "too large by exactly the size of the batch"),
    ("06.3", {".sum(-1).mean()": ".sum(-1).mean().detach()"}, "no gradient"),
    ("06.4", {"60": "0"}, "steps must be a whole number between 1 and 600"),
    ("06.4", {"60": "600"}, "no better than after 600"),
]


@pytest.mark.parametrize(("name", "swap", "reason"), SLIPS, ids=[f"{name}-{why[:20]}" for name, _, why in SLIPS])
def test_a_wrong_answer_hears_why(name, swap, reason):
    feedback = asked(name, edited(name, swap))
    assert feedback.state == "not right yet" and reason in feedback.message, feedback
    assert not re.search(r"\.\.$|nan|Traceback", feedback.message)


def test_every_exercise_has_at_least_two_wrong_answers_here():
    """Lessons with a test_checks.py of their own tell their slips apart there."""
    elsewhere = {f"{number:02}" for number, lesson in enumerate(catalog.LESSONS)
                 if (Path(__file__).parents[1] / "lessons" / lesson / "test_checks.py").exists()}
    assert all(sum(name == slip for slip, *_ in SLIPS) >= 2 for name in catalog.exercises()
               if name[:2] not in elsewhere)


@pytest.mark.parametrize(("name", "swap"), [
    ("00.1", {"(distilled - hard).mean()": "distilled.mean() - hard.mean()"}),
    ("00.1", {"(distilled - hard).mean()": "float((distilled - hard).mean())"}),
    ("00.1", {"(distilled - hard).mean()": "distilled.sub_(hard).mean()"}),
    ("00.1", {"(distilled - hard).mean()": "(distilled - hard).numpy().mean()"}),
    ("00.2", {"t * differences.std() / n**0.5": "t * stats.sem(differences.numpy())"}),
    ("00.3", {"38": "40"}),
    ("00.3", {"38": "38.0"}),
    ("01.1", {"gap / math.log(ratio)": "math.e ** (math.log(gap) - math.log(math.log(ratio)))"}),
    ("01.2", {"(student_logits / temperature).softmax(-1)": "student_logits.div_(temperature).softmax(-1)"}),
    ("01.2", {"temperature * (p_student - p_teacher) / len(student_logits)":
              "(temperature * (p_student - p_teacher) / len(student_logits)).float()"}),
    ("01.3", {"kl.sum(-1).mean()": "kl.sum() / len(kl)"}),
    ("02.1", {"min(1.0, (ranks - 1) / (eta * ranks))": "1.0 if eta <= 1 - 1 / ranks else (1 - 1 / ranks) / eta"}),
    ("02.2", {"ranked[:, 1:ranks].mean(-1)": "ranked[:, 1:ranks].sum(-1) / (ranks - 1)"}),
    ("02.3", {"ranked[:, 1:ranks].sum(-1) / (ranks - 1)": "ranked[:, 1:ranks].mean(-1)"}),
    ("02.3", {"logits.softmax(-1)": "logits.sub_(1).softmax(-1)"}),
    # Another logit of the same probabilities: each image's are shifted.
    ("03.1", {STACKED: "torch.stack([b.sum(-1).log() for b in logits.softmax(-1).split(sizes, -1)], -1)"}),
    ("03.1", {"logits.split": "logits.sub_(1).split"}),
    ("03.2", {LAST: "(scores - 1 / t_aux).exp().mean(-1).log().mean()"}),
    ("03.2", {"v.square().mean(-1, keepdim=True)": "v.var(-1, keepdim=True, correction=0)"}),
    ("03.3", {"5,": "10,", "0.5": "50"}),
])
def test_other_ways_to_be_right_are_right_twice(name, swap):
    """In place too: the examples of the check must survive it."""
    for _ in range(2):
        assert asked(name, edited(name, swap)).state == "right"
    assert asked(name, PAGES[name]["solution"]).state == "right"


@pytest.mark.parametrize(("gain", "noise", "state", "reason"), [
    (-2.0, 1.0, "right", "10 seeds that this page has not used: -2.0 ["),
    (2.0, 1.0, "not right yet", "Here distillation helps: +2.0 ["),
    (-0.3, 1.0, "not right yet", "includes zero"),
    (0.3, 1.0, "not right yet", "includes zero"),
])
@pytest.mark.parametrize("answer", ["{'transfer': 1200, 'temperature': 32}", "{'temperature': 4.0, 'transfer': 100}"])
def test_a_setting_hurts_if_its_whole_interval_lies_below_zero(monkeypatch, gain, noise, state, reason, answer):
    asked_for = []
    monkeypatch.setattr(dark_knowledge, "run", lambda params: (asked_for.append(params), made_up(gain, noise))[1])
    feedback = asked("01.4", f"my_setting = {answer}")
    assert feedback.state == state and reason in feedback.message
    (params,) = asked_for
    wanted = eval(answer)
    assert params.transfer_sizes == (wanted["transfer"],) and params.temperatures == (wanted["temperature"],)
    assert params.seeds == 10 and params.seed >= 100       # none of the page's
