"""Answers to the exercises of notebook 04 that were tried on its checks: right ones in every form, wrong ones with what
they are told. Before they were, half of these heard a number only, and a loss with half of its gradient was right.
"""

import math

import numpy as np
import pytest
import torch
from tried import right_in_every_form, wrong_with_a_direction

from kdutils.course.checks import check
from kdutils.lessons.spherical_distillation import checks
from kdutils.results import Effect

HEADS = {"04.1": "logits, m", "04.2": "s, t, y, T, alpha, m", "04.3": "s, t, T, m"}
_SCALED = "S, P = [m * (z - z.mean(-1, keepdim=True)) / z.std(-1, correction=0, keepdim=True) for z in (s, t)]; "
BEFORE = {"04.1": "C = logits.shape[-1]; c = logits - logits.mean(-1, keepdim=True)",
          "04.2": _SCALED + "KL = div(S / T, P / T); CE = F.cross_entropy(S, y)",
          "04.3": _SCALED + "KL = div(S / T, P / T)"}

RIGHT = [
    ("04.1", "return m * c / c.std(-1, correction=0, keepdim=True)"),
    ("04.1", "return m * F.layer_norm(logits, (C,))"),
    ("04.1", "return m * F.layer_norm(logits, logits.shape[-1:], eps=1e-7)"),
    ("04.1", "return m * C**0.5 * F.normalize(c, dim=-1)"),
    ("04.1", "return torch.stack([m * (z - z.mean()) / z.std(correction=0) for z in logits])"),
    ("04.1", "return torch.einsum('bc,b->bc', m * c, 1 / c.std(-1, unbiased=False))"),
    ("04.1", "return m * (logits.T - logits.mean(1)).T / logits.std(1, correction=0)[:, None]"),
    ("04.1", "return m * c / ((c**2).sum(-1, keepdim=True) / C).sqrt()"),
    ("04.1", "return m * c / (c.std(-1, correction=0, keepdim=True) + 1e-8)"),
    ("04.1", "v, mean = torch.var_mean(logits.float(), -1, correction=0, keepdim=True); "
             "return m * (logits - mean) / v**0.5"),
    ("04.2", "return alpha * T**2 * KL + (1 - alpha) * CE"),
    ("04.2", "log = (P / T).log_softmax(-1); KL = F.kl_div((S / T).log_softmax(-1), log, reduction='batchmean', "
             "log_target=True); return alpha * T**2 * KL + (1 - alpha) * F.nll_loss(S.log_softmax(-1), y)"),
    ("04.2", "own = -S.log_softmax(-1)[range(len(y)), y].mean(); return alpha * T * T * KL + own * (1.0 - alpha)"),
    ("04.2", "S, P = S.float(), P.float(); "
             "return alpha * T**2 * div(S / T, P / T) + (1 - alpha) * F.cross_entropy(S, y)"),
    ("04.2", "a, b = (S / T).softmax(-1), (P / T).softmax(-1); each = torch.einsum('bc,bc->b', b, (b / a).log()); "
             "return alpha * T**2 * sum(each) / len(s) + (1 - alpha) * CE"),
    ("04.3", "return T**2 * KL"),
    ("04.3", "S, P = [m / T * z / z.std(-1, correction=0, keepdim=True) for z in (s, t)]; return T**2 * div(S, P)"),
    ("04.3", "S, P = S.float(), P.float(); return T**2 * KL"),
    ("04.3", "S, P = [m * F.layer_norm(z, z.shape[-1:], eps=1e-7) / T for z in (s, t)]; return T**2 * div(S, P)"),
    ("04.3", "n = lambda z: F.normalize(z - z.mean(-1, keepdim=True), dim=-1) * z.shape[-1]**0.5 * m / T; "
             "return T**2 * div(n(s), n(t))"),
    # Not centred: neither the softmax nor the standard deviation sees the mean.
    ("04.3", "n = lambda z: m / T * z / z.std(-1, correction=0, keepdim=True); return T * T * div(n(s), n(t))"),
]
WRONG = [
    ("04.1", "return m * logits / logits.std(-1, correction=0, keepdim=True)",
     "Centre first: subtract each answer's own"),
    ("04.1", "return m * c / c.std(-1, keepdim=True)", "torch.std divides by C - 1 unless told"),
    ("04.1", "return m * c / c.norm(dim=-1, keepdim=True)", "You divided by the L2 norm. It is sqrt(C)"),
    ("04.1", "return 2 * c / c.std(-1, correction=0, keepdim=True)", "A number, or a case"),
    ("04.1", "return c / c.std(-1, correction=0, keepdim=True)", "The direction is right; now give it the"),
    ("04.1", "return c / (m * c.std(-1, correction=0, keepdim=True))", "The scale m multiplies the direction, yours"),
    ("04.1", "return m * c", "Centred, and multiplied by m; but nothing"),
    ("04.1", "return c", "That is only centred: divide by the"),
    ("04.1", "return m * c / c.var(-1, correction=0, keepdim=True)", "You divided by the variance: take its root."),
    ("04.1", "return m * c / c.var(-1, keepdim=True)", "You divided by the variance, and by the one"),
    ("04.1", "return m * c / c.abs().mean(-1, keepdim=True)", "You divided by the mean size of the"),
    ("04.1", "return m * c / c.abs().amax(-1, keepdim=True)", "You divided by the largest entry; a"),
    ("04.1", "return m * c / c.abs().sum(-1, keepdim=True)", "You divided by the sum of the entries'"),
    ("04.1", "z = logits - logits.mean(0); return m * z / z.std(0, correction=0)",
     "The mean goes over the classes of each"),
    ("04.1", "z = logits - logits.mean(); return m * z / z.std(correction=0)",
     "The mean of an answer is over its own"),
    ("04.1", "return m * c / c.std(correction=0)", "The mean is right; the deviation is one"),
    ("04.1", "return m * c / c.norm()", "You divided by one L2 norm for the whole"),
    ("04.1", "z = logits - logits.mean(); return m * z / z.std(-1, correction=0, keepdim=True)",
     "The standard deviation is right; the mean"),
    ("04.1", "return m * (logits - logits.amax(-1, keepdim=True)) / logits.std(-1, correction=0, keepdim=True)",
     "You subtracted the largest logit, as for a"),
    ("04.1", "return m + c / c.std(-1, correction=0, keepdim=True)", "The scale m multiplies the direction, yours"),
    ("04.1", "return m**2 * c / c.std(-1, correction=0, keepdim=True)", "too large by exactly m"),
    ("04.1", "return m * c / c.std(-1, correction=0, keepdim=True).sqrt()", "You took a root too many: the standard"),
    ("04.1", "return m * C**0.5 * c / c.std(-1, correction=0, keepdim=True)",
     "too large by exactly the root of the number of classes"),
    ("04.1", "return m * 10**0.5 * F.normalize(c, dim=-1)", "A number, or a case"),
    ("04.1", "return m * 7**0.5 * F.normalize(c, dim=-1)", "A number, or a case"),
    ("04.1", "return m * F.normalize(logits, dim=-1) * C**0.5", "In the unit sqrt(C) m the L2 norm is right,"),
    ("04.1", "return -m * c / c.std(-1, correction=0, keepdim=True)", "of the other sign"),
    ("04.1", "return (m * c / c.std(-1, correction=0, keepdim=True)).softmax(-1)",
     "Those are probabilities; logits on the"),
    ("04.1", "return m * c / c.std(-1, correction=0)", "must match the size"),
    ("04.1", "return (m * c / c.std(-1, correction=0, keepdim=True)).detach()",
     "no gradient leads back to the student, so"),
    ("04.1", "z = logits.numpy(); return m * (z - z.mean(-1, keepdims=True)) / z.std(-1, keepdims=True)",
     "no gradient leads back to the student, so"),
    ("04.1", "z = logits.detach().numpy(); return m * (z - z.mean(-1, keepdims=True)) / z.std(-1, keepdims=True)",
     "no gradient leads back to the student, so"),
    ("04.1", "return (m * c / c.std(-1, correction=0, keepdim=True)).tolist()",
     "no gradient leads back to the student, so"),
    ("04.1", "print(m * c / c.std(-1, correction=0, keepdim=True))", "Your function gave nothing back: is"),
    ("04.1", "return m * c / c.detach().std(-1, correction=0, keepdim=True)", "its gradient is not: a part of it is"),
    ("04.1", "return (m * c / c.std(-1, correction=0, keepdim=True)).mean()",
     "The shape is (), it should be (4, 7)."),
    ("04.1", "return m * F.layer_norm(logits, logits.shape)", "The mean of an answer is over its own"),
    ("04.1", "return m * c / (c**2).sum(-1, keepdim=True)", "You divided by the sum of squares: take its"),
    ("04.1", "logits -= logits.mean(-1, keepdim=True); logits /= logits.std(-1, correction=0, keepdim=True); "
             "logits *= m; return logits", "a line that works in place"),
    ("04.2", "return alpha * T**2 * KL + (1 - alpha) * F.cross_entropy(s, y)",
     "the labels see the raw student; the authors"),
    ("04.2", "return alpha * KL + (1 - alpha) * CE", "the KL is to be multiplied by T^2."),
    ("04.2", "return alpha * T * KL + (1 - alpha) * CE", "the KL is multiplied by T; its factor is"),
    ("04.2", "KL = div(P / T, S / T); return alpha * T**2 * KL + (1 - alpha) * CE",
     "the divergence is from the teacher: sum p_T"),
    ("04.2", "KL = F.cross_entropy(S / T, (P / T).softmax(-1)); return alpha * T**2 * KL + (1 - alpha) * CE",
     "that is the cross-entropy with soft"),
    ("04.2", "return (1 - alpha) * T**2 * KL + alpha * CE", "alpha weighs the teacher's term, 1 - alpha"),
    ("04.2", "return T**2 * KL + CE", "alpha and 1 - alpha are missing."),
    ("04.2", "return T**2 * (alpha * KL + (1 - alpha) * CE)", "T^2 belongs to the teacher's term alone,"),
    ("04.2", "return alpha * T**2 * KL + (1 - alpha) * F.cross_entropy(S / T, y)",
     "the labels' term has no temperature in it."),
    ("04.2", "return alpha * T**2 * KL + (1 - alpha) * F.cross_entropy(S.softmax(-1), y)",
     "cross_entropy takes logits: it makes the"),
    ("04.2", "return alpha * T**2 * KL + (1 - alpha) * F.cross_entropy(P, y)",
     "the labels are to be met by the student,"),
    ("04.2", "KL = div(s / T, t / T); return alpha * T**2 * KL + (1 - alpha) * F.cross_entropy(s, y)",
     "That is ordinary distillation: both terms"),
    ("04.2", "KL = div(S / T, t / T); return alpha * T**2 * KL + (1 - alpha) * CE",
     "the teacher's answer is the raw one; both"),
    ("04.2", "KL = div(s / T, P / T); return alpha * T**2 * KL + (1 - alpha) * CE",
     "in the teacher's term the student's answer"),
    ("04.2", "KL = div(m * S / T, m * P / T); return alpha * T**2 * KL + (1 - alpha) * CE",
     "m stands in the scaled answers already."),
    ("04.2", "KL = div(S, P); return alpha * T**2 * KL + (1 - alpha) * CE",
     "the teacher's term has the temperature T in"),
    ("04.2", "return alpha * T**2 * KL - (1 - alpha) * CE", "the labels' term is added, not taken away."),
    ("04.2", "return alpha * T**2 * KL + (1 - alpha) * F.cross_entropy(S, y, reduction='sum')",
     "the labels' term is a mean over the images,"),
    ("04.2", "return alpha * T**2 * KL", "That is the teacher's term alone."),
    ("04.2", "return (1 - alpha) * CE", "That is the labels' term alone."),
    ("04.2", "return 0.7 * T**2 * KL + 0.3 * CE", "A number, or a case"),
    ("04.2", "return alpha * 16 * KL + (1 - alpha) * CE", "A number, or a case"),
    ("04.2", "KL = div(S / 4, P / 4); return alpha * 16 * KL + (1 - alpha) * CE", "A number, or a case"),
    ("04.2", "return (alpha * T**2 * KL + (1 - alpha) * CE).item()", "no gradient leads back to the student, so"),
    ("04.2", "print(alpha * T**2 * KL + (1 - alpha) * CE)", "Your function gave nothing back: is"),
    ("04.2", "return alpha * T**2 * KL.detach() + (1 - alpha) * CE", "its gradient is not: a part of it is"),
    ("04.2", "KL = div(S * T, P * T); return alpha * T**2 * KL + (1 - alpha) * CE",
     "the scaled answers are divided by T, yours"),
    ("04.2", "return F.mse_loss(S, P)", "alpha T^2 KL(teacher || student), "),
    ("04.2", "return alpha * KL / T**2 + (1 - alpha) * CE", "the KL is divided by T^2; it is to be"),
    ("04.2", "KL = F.kl_div((S / T).log_softmax(-1), (P / T).softmax(-1), reduction='none').mean(); "
             "return alpha * T**2 * KL + (1 - alpha) * CE", "sum over the classes, then the mean"),
    ("04.2", "return alpha * T**2 * KL * len(s) + (1 - alpha) * CE", "a mean over the images, yours is their sum"),
    ("04.2", "KL = F.kl_div((S / T).softmax(-1), (P / T).softmax(-1), reduction='batchmean'); "
             "return alpha * T**2 * KL + (1 - alpha) * CE", "F.kl_div wants the student as logarithms"),
    ("04.2", "KL = F.kl_div((S / T).log_softmax(-1), (P / T).log_softmax(-1), reduction='batchmean'); "
             "return alpha * T**2 * KL + (1 - alpha) * CE", "a logarithm is taken of something negative"),
    ("04.2", "KL = F.kl_div((S / T).log_softmax(0), (P / T).softmax(0), reduction='batchmean'); "
             "return alpha * T**2 * KL + (1 - alpha) * CE", "the softmax goes over the classes"),
    ("04.2", "return alpha * T * KL + (1 - alpha) * F.cross_entropy(s, y)", "Two things: the labels see the raw"),
    ("04.3", "S, P = [m * z.shape[-1]**0.5 * F.normalize(z, dim=-1) / T for z in (s, t)]; return T**2 * div(S, P)",
     "an answer's mean has to go first: the"),
    ("04.3", "return T**2 * div(S, P)", "a temperature before the normalisation is"),
    ("04.3", "return KL", "T^2 got lost on the way."),
    ("04.3", "return T * KL", "too small by exactly T"),
    ("04.3", "return T**2 * F.kl_div((S / T).log_softmax(-1), (P / T).softmax(-1), reduction='sum')",
     "too large by exactly the size of the batch"),
    ("04.3", "return T**2 * F.kl_div((S / T).log_softmax(-1), (P / T).softmax(-1))",
     "too small by exactly the number of classes"),
    ("04.3", "return T**2 * div(P / T, S / T)", "The divergence was right: the teacher comes"),
    ("04.3", "return T**2 * F.cross_entropy(S / T, (P / T).softmax(-1))", "The KL has become a cross-entropy: its"),
    ("04.3", "return T**2 * KL.detach()", "no gradient leads back to the student, so"),
    ("04.3", "return float(T**2 * KL)", "no gradient leads back to the student, so"),
    ("04.3", "S, P = [m * (z - z.mean()) / z.std(correction=0) / T for z in (s, t)]; return T**2 * div(S, P)",
     "Each answer has a mean and a deviation of"),
    ("04.3", "S, P = [m * (z - z.mean(0)) / z.std(0, correction=0) / T for z in (s, t)]; return T**2 * div(S, P)",
     "The mean and the deviation go over the"),
    ("04.3", "return T**2 * F.kl_div((S / T).log_softmax(-1), (P / T).log_softmax(-1), reduction='batchmean')",
     "The loss is not a number: kl_div was right"),
    ("04.3", "return 16 * KL", "A number, or a case"),
    ("04.3", "return m**2 * KL", "kl and T^2 were right. What is to "),
    ("04.3", "S, P = [m * F.normalize(z - z.mean(-1, keepdim=True), dim=-1) / T for z in (s, t)]; return div(S, P)",
     "Two things. One mistake is left: m is a"),
    ("04.3", "T**2 * KL", "Your function gave nothing back: is"),
    ("04.3", "n = lambda z: m * F.normalize(z - z.mean(-1, keepdim=True), dim=-1) / T; return T**2 * div(n(s), n(t))",
     "m is a standard deviation, and the L2"),
    ("04.3", "n = lambda z: m * 10**0.5 * F.normalize(z - z.mean(-1, keepdim=True), dim=-1) / T; "
             "return T**2 * div(n(s), n(t))", "A number, or a case"),
    ("04.3", "n = lambda z: m * (z - z.mean(-1, keepdim=True)) / z.std(-1, keepdim=True) / T; "
             "return T**2 * div(n(s), n(t))", "divides by C - 1"),
    ("04.3", "S, P = [z / z.var(-1, correction=0, keepdim=True) for z in (s, t)]; return T**2 * div(m*S / T, m*P / T)",
     "You divided by the variance"),
    ("04.3", "return T**2 * div(S / m / T, P / m / T)", "The scale m is missing."),
    ("04.3", "return T**2 * div(s / T, t / T)", "centred and nothing more"),
    ("04.3", "return T**2 * div(S / T, t / T)", "The student is on the sphere, its teacher is not"),
]


test_right_is_right_in_every_form = right_in_every_form(HEADS, BEFORE, RIGHT)
test_wrong_is_wrong_and_hears_where_to_look = wrong_with_a_direction(HEADS, BEFORE, WRONG)


@pytest.mark.parametrize(("number", "reason"), [
    ("3", "Write the number without quotes: 3"), ("three", "a number > 0, got 'three'"), (0, "a number > 0, got 0"),
    (-3, "got -3"), (math.nan, "got nan"), (math.inf, "got inf"), (True, "got True"), ([3], "got [3]"),
    ({"T": 3}, "got {'T': 3}"), (lambda z: z / 3, "must be a number > 0"), (2 + 1j, "got (2+1j)")])
def test_what_is_no_number_is_told_so(number, reason):
    said = check("04.4", number)
    assert said.state == "not right yet" and reason in said.message, said


@pytest.mark.parametrize("number", [3, 3.0, np.float64(3), np.array(3.0), torch.tensor(3.0)])
def test_a_number_may_come_in_any_dress(number, monkeypatch):
    """Catches a check that calls tensor(3.) no number."""
    monkeypatch.setattr(checks, "gain_of", lambda divided: Effect(4.0 * (divided == 3), 3.0, 5.0, 10))
    assert check("04.4", number).state == "right"
    assert check("04.4", ...).state == "not done yet"
