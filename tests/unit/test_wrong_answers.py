"""Wrong answers that a learner gave, or would: none is accepted, and each is told where to look, not only a number."""

import pytest
from tried import NUMBER_ONLY, asked

from kdutils.course.checks import check

HEADS = {
    "00.1": "distilled, hard", "00.2": "differences",
    "01.1": "gap, ratio", "01.2": "s, t, T", "01.3": "s, t, T",
    "02.1": "eta, K", "02.2": "logits, K",
    "02.3": "logits, labels, K", "03.1": "logits, sizes",
    "03.2": "logits, t_aux",
}
BEFORE = {
    "00.2": "n = len(differences); t = stats.t.ppf(0.975, n - 1)",
    "01.2": "pS, pT = (s / T).softmax(-1), (t / T).softmax(-1)",
    "01.3": "S, P = (s / T).log_softmax(-1), (t / T).log_softmax(-1); kl = P.exp() * (P - S)",
    "02.2": "f = logits.softmax(-1).sort(-1, descending=True).values",
    "02.3": "f = logits.softmax(-1).sort(-1, descending=True).values",
    "03.1": "a, *rest = blocks = logits.split(sizes, -1); b = rest[0]",
    "03.2": "v = logits - logits.mean(-1, keepdim=True); v = v / v.square().mean(-1, keepdim=True).sqrt(); "
            "r = v @ v.T / logits.shape[-1]; n = len(logits)",
}
RIGHT = {
    "00.2": "return t * differences.std() / n**0.5", "01.2": "return T * (pS - pT) / len(s)",
    "01.3": "return T**2 * kl.sum(-1).mean()", "02.2": "return (f[:, 0] - f[:, 1:K].mean(-1)).mean()",
    "02.3": "return (f[:, 0] - f[:, 1:K].mean(-1)).mean()",
    "03.1": "return torch.stack([block.logsumexp(-1) for block in blocks], -1)",
    "03.2": "return ((r - 1) / t_aux).exp().mean(-1).log().mean()",
}

# Each of these was accepted by a check that looked at one shape, one temperature, or no gradient.
ACCEPTED = [
    ("00.1", "return 3.4", "Right for 5 seeds, not for 8 seeds"),
    ("00.1", "return torch.tensor(3.4)", "A number, or a case, stands in your code"),
    ("00.2", "return 2.776445 * differences.std() / n**0.5", "Right for 5 seeds, not for 8 seeds"),
    ("01.2", "return T * (pS - pT) / 4", "not for 6 images"),
    ("01.2", "z = s.requires_grad_(); kl = (t / T).softmax(-1) * ((t / T).log_softmax(-1) - (z / T).log_softmax(-1)); "
             "return torch.autograd.grad(T**2 * kl.sum() / len(s), z)[0]", "That asks autograd"),
    ("01.3", "return 9 * kl.sum(-1).mean()", "not for 6 images, 7 classes and T = 2.5"),
    ("01.3", "S, P = (s / 3).log_softmax(-1), (t / 3).log_softmax(-1); "
             "return T**2 * (P.exp() * (P - S)).sum(-1).mean()", "not for 6 images"),
    ("01.3", "return 5 * T**2 * kl.mean()", "not for 6 images"),
    ("01.3", "return (T**2 * kl.sum(-1).mean()).item()", "no gradient"),
    ("01.3", "return (T**2 * kl.sum(-1).mean()).detach()", "no gradient"),
    ("01.3", "return T**2 * (P.exp() * P).sum(-1).mean() - T**2 * (P.exp() * S.detach()).sum(-1).mean() + 0 * S.sum()",
     "its gradient is not"),
    ("02.2", "return (f[:, 0] - f[:, 1:K].detach().mean(-1)).mean()", "its gradient is not"),
    ("02.3", "return (f[:, 0] - f[:, 1:K].detach().mean(-1)).mean()", "its gradient is not"),
    ("02.2", "return (f[:, 0] - f[:, 1:K].mean(-1)).sum() / 4", "not for 5 images"),
    ("02.3", "return (f[:, 0] - f[:, 1:4].mean(-1)).mean()", "not for 5 images and K = 3"),
    ("02.3", "return (f[:, 0] - f[:, 1:K].mean(-1)).mean().item()", "no gradient"),
    ("03.1", "return torch.stack([block.exp().sum(-1).log() for block in blocks], -1)",
     "near 1000: there exp is infinite"),
    ("03.1", "return torch.stack([a.logsumexp(-1), b.logsumexp(-1)], -1)", "Right for two classes, not for 3"),
    ("03.2", "return (r / t_aux).logsumexp(-1).mean() - 1 / t_aux - math.log(4)", "log 4 for any batch"),
    ("03.2", "return ((r - 1) / t_aux).exp().mean(-1).log().mean().item()", "no gradient"),
]

# Each of these heard a number only, or a wrong reason.
SLIPS = [
    ("00.1", "return (distilled / hard).mean()", "a ratio"),
    ("00.1", "return (distilled - hard).sum() / 2", "A number, or a case|by exactly|factor|subtract"),
    ("00.2", "return stats.t.ppf(0.95, n - 1) * differences.std() / n**0.5", "the 95% quantile"),
    ("00.2", "return t * differences.std() / n", "square root of n"),
    ("00.2", "return t * differences.var() / n**0.5", "the variance"),
    ("00.2", "return t * differences.std() / (n - 1)**0.5", "square root of n - 1"),
    ("01.1", "return gap / math.log2(ratio)", "has the base 2"),
    ("01.1", "return math.exp(gap / ratio)", "take the logarithm of the ratio"),
    ("01.1", "return 2 * gap / math.log(ratio)", "Right up to a factor of 2, the same"),
    ("01.2", "return pS - pT", "too large by exactly the size of the batch and too small by exactly T"),
    ("01.2", "return (pS - pT) / T", "too large by exactly the size of the batch and too small by exactly T^2"),
    ("01.2", "return T**2 * (pS - pT)", "too large by exactly T times the size of the batch"),
    ("01.2", "return T * (pT - pS)", "too large by exactly the size of the batch and of the other sign"),
    ("01.2", "return pT - pS", "too small by exactly T and of the other sign"),
    ("01.2", "return T * (s - t)", "Two things. Those are the logits"),
    ("01.3", "return T * kl.sum(-1).mean()", "too small by exactly T."),
    ("01.3", "return T**2 * kl.sum()", "too large by exactly the size of the batch"),
    ("01.3", "return -T**2 * (P.exp() * S).sum(-1).mean()", "cross-entropy with soft targets"),
    ("01.3", "return T**2 * F.kl_div(S.exp(), P.exp(), reduction='batchmean')", "F.kl_div wants the student"),
    ("01.3", "return T**2 * F.kl_div(S, P, reduction='batchmean')", "log_target=True"),
    ("01.3", "return T**2 * (S.exp() * (P - S)).sum(-1).mean()", "with the teacher's sign"),
    ("01.3", "return T * (S.exp() * (S - P)).sum(-1).mean()", "Two things. The divergence is turned around"),
    ("02.1", "return K / (eta * (K - 1))", "Two things: your fraction is upside down"),
    ("02.1", "return eta * K / (K - 1)", "more tolerance has to leave the label less"),
    ("02.1", "return max(1.0, (K - 1) / (eta * K))", "max takes the larger"),
    ("02.1", "return 1.0", "1 for every tolerance"),
    ("02.1", "return 1 - eta", "no share that is given away"),
    ("02.1", "return 1.0 if eta <= 0.8 else (K - 1) / (eta * K)", "0.8 is that of K = 5"),
    ("02.1", "return 1.0 if eta <= 1 else (K - 1) / (eta * K)", "The threshold is not 1 for every K"),
    ("02.2", "return (f[:, 0] - f[:, 1:K - 1].mean(-1)).mean()", "one rank too few"),
    ("02.2", "z = logits.sort(-1, descending=True).values; return (z[:, 0] - z[:, 1:K].mean(-1)).mean()",
     "Take the softmax first"),
    ("02.2", "f = logits.softmax(-1).sort(-1).values; return (f[:, 0] - f[:, 1:K].mean(-1)).mean()", "ascending"),
    ("02.2", "return (f[:, :1] - f[:, 1:K]).sum(-1).mean()", "too large by exactly K - 1|You add up the differences"),
    ("02.2", "return (f[:, :1] - f[:, 1:K]).sum()", "by exactly"),
    ("02.3", "return (f[:, 0] - f[:, 1:K].mean(-1)).sum()", "too large by exactly the size of the batch"),
]

# What the reader does beside the formula.
BESIDE = [
    ("00.1", "(distilled - hard).mean()", "is `return` missing"),
    ("01.3", "print(T**2 * kl.sum())", "`return` missing"),
    ("02.1", "share = (K - 1) / (eta * K)", "is `return` missing"),
    ("00.3", 37, "± 0.500: it still includes zero"), ("00.3", "38", "Write the number without quotes: 38."),
    ("00.3", 10**9, "far fewer would do"), ("00.3", 37.5, "whole number"),
    ("01.4", {"transfer": "100", "temperature": 4}, "without quotes: 100."),
    ("01.4", {"transfer": 10, "temperature": 0.1}, "between 0.5 and 32"), ("02.4", 1000, "between 0.5 and 32"),
]


def said_of(name, code):
    return asked(name, HEADS[name], BEFORE.get(name, "pass"), code)


@pytest.mark.parametrize("name", RIGHT)
def test_the_frame_of_these_answers_is_right(name):
    assert said_of(name, RIGHT[name]).state == "right"


@pytest.mark.parametrize(("name", "code", "reason"), ACCEPTED, ids=[f"{one[0]}-{one[1][:30]}" for one in ACCEPTED])
def test_what_is_right_by_chance_is_refused(name, code, reason):
    said = said_of(name, code)
    assert said.state == "not right yet" and reason in said.message, said


@pytest.mark.parametrize(("name", "code", "reason"), SLIPS,
                         ids=[f"{one[0]}-{one[1][:30]}" for one in SLIPS])
def test_a_likely_slip_hears_a_direction(name, code, reason):
    said = said_of(name, code)
    assert said.state == "not right yet" and any(one in said.message for one in reason.split("|")), said


@pytest.mark.parametrize(("name", "given", "reason"), BESIDE, ids=[f"{one[0]}-{str(one[1])[:30]}" for one in BESIDE])
def test_what_is_beside_the_formula_is_said_as_a_tutor_would(name, given, reason):
    said = said_of(name, given) if name in HEADS else check(name, given)
    assert said.state == "not right yet" and reason in said.message, said


def test_hardly_any_rejection_is_a_number_only():
    """Catches a slip that a later change of a check forgets: a number alone is no direction."""
    said = [said_of(name, code).message for name, code, _ in ACCEPTED + SLIPS]
    assert sum(bool(NUMBER_ONLY.match(one)) for one in said) <= 5 * len(said) / 110
