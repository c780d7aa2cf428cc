"""Answers to the exercises of notebook 05 that were tried on its checks: right ones in every form, wrong ones with what
they are told. Before they were, half of these heard a number only, and a loss with half of its gradient was right.
"""

import numpy as np
import pytest
from tried import right_in_every_form, wrong_with_a_direction

from kdutils.course.checks import check

HEADS = {"05.1": "m, v, tm, tv", "05.2": "means, logs", "05.3": "m, v, tm, tv"}
_TERMS = "S, P, B = v.exp(), tv.exp(), len(m); D = (tm - m) ** 2"
BEFORE = {"05.1": _TERMS, "05.3": _TERMS,
          "05.2": "A = logs.exp().mean(0); E = means.var(0, correction=0); K = len(means)"}

RIGHT = [
    ("05.1", "return 0.5 * (1 - (P + D) / S) / B"),
    ("05.1", "return (S - P - D) / (2 * S * B)"),
    ("05.1", "return torch.stack([0.5 * (1 - (P[i] + D[i]) / S[i]) / B for i in range(B)])"),
    ("05.1", "return (0.5 * (1 - (P + D) / S) / B).tolist()"),
    ("05.1", "return (0.5 * (1 - (P + D) / S) / B).float()"),
    ("05.1", "return 0.5 / B - 0.5 / B * torch.einsum('bd,bd->bd', P + D, (-v).exp())"),
    ("05.1", "v.neg_().exp_(); return 0.5 * (1 - (P + D) * v) / B"),
    ("05.1", "return 0.5 * (1 - (tv - v).exp() - D * (-v).exp()) / m.shape[0]"),
    ("05.1", "m, v, tm, tv = (x.numpy() for x in (m, v, tm, tv)); "
             "return 0.5 * (1 - (np.exp(tv) + (tm - m) ** 2) / np.exp(v)) / len(m)"),
    ("05.2", "return A + E"),
    ("05.2", "return A + means.square().mean(0) - means.mean(0).square()"),
    ("05.2", "return logs.exp().mean(0) + ((means - means.mean(0))**2).sum(0) / K"),
    ("05.2", "return (logs.exp() + means**2).mean(0) - means.mean(0)**2"),
    ("05.2", "import numpy as np; return np.exp(logs.numpy()).mean(0) + means.numpy().var(0)"),
    ("05.2", "return (A + E).float()"),
    ("05.2", "return (A + E).tolist()"),
    ("05.2", "logs.exp_(); means -= means.mean(0); return (logs + means**2).mean(0)"),
    ("05.2", "return A + torch.einsum('kbd,kbd->bd', means - means.mean(0), means - means.mean(0)) / K"),
    ("05.2", "return A + means.std(0, correction=0)**2"),
    ("05.3", "return 0.5 * (v - tv + (P + D) / S - 1).sum(-1).mean()"),
    ("05.3", "return 0.5 * (v - tv + (P + D) / S - 1).sum() / B"),
    ("05.3", "return (0.5 * (v - tv + (P + D) / S - 1)).sum(1).mean(0)"),
    ("05.3", "return (0.5 * (v - tv) + (P + D) / (2 * S) - 0.5).mean() * m.shape[-1]"),
    ("05.3", "return sum(0.5 * (v[i] - tv[i] + (P[i] + D[i]) / S[i] - 1).sum() for i in range(B)) / B"),
    ("05.3", "return torch.einsum('bd->', 0.5 * ((S / P).log() + (P + D) / S - 1)) / B"),
    ("05.3", "x = v - tv + (P + D) / S - 1; x *= 0.5; return x.sum(-1).mean().view(())"),
    ("05.3", "N = torch.distributions.Normal; "
             "return torch.distributions.kl_divergence(N(tm, P**0.5), N(m, S**0.5)).sum(-1).mean()"),
    ("05.3", "m, v, tm, tv = (x.float() for x in (m, v, tm, tv)); "
             "return 0.5 * (v - tv + (tv.exp() + (tm - m)**2) / v.exp() - 1).sum(-1).mean()"),
]
WRONG = [
    ("05.1", "return 0.5 * (1 - (P + D) / S)", "The loss is a mean over the batch: each of"),
    ("05.1", "return (1 - (P + D) / S) / B", "A factor of two: the log-variance stands"),
    ("05.1", "return 1 - (P + D) / S", "Two things are left: the 1/2 in front, and"),
    ("05.1", "return 0.5 * ((P + D) / S - 1) / B", "The sign is turned round: this is the way"),
    ("05.1", "return 0.5 * ((P + D) / S - 1)", "too large by exactly the size of the batch and of the other sign"),
    ("05.1", "return ((P + D) / S - 1) / B", "too large by exactly 2 and of the other sign"),
    ("05.1", "return 0.5 * (1 - P / S) / B", "You left the distance of the means out: a"),
    ("05.1", "return 0.5 * (1 - D / S) / B", "You left the teacher's own variance out: a"),
    ("05.1", "return 0.5 * (1 + (P + D) / S) / B", "The sign of the second term: the derivative"),
    ("05.1", "return 0.5 * (1 / S - (P + D) / S**2) / B", "That is the derivative by the variance. By"),
    ("05.1", "return 0.5 * (1 - (P + D) / S**2) / B", "The student's variance stands below the"),
    ("05.1", "return (1 / S**0.5 - (P + D) / S**1.5) / B", "That is the derivative by the standard"),
    ("05.1", "return 0.5 * (1 - (P + D) / S) / m.numel()", "too small by exactly the number of targets"),
    ("05.1", "return 0.5 * (1 - (P + D) / S) / 5", "A number, or a case"),
    ("05.1", "return 0.5 * (1 - (P + D) / S) / m.shape[1]",
     "too large by exactly the size of the batch and too small by exactly the number of targets"),
    ("05.1", "return 0.5 * (1 - (S + D) / P) / B", "The teacher's variance is below the line,"),
    ("05.1", "return 0.5 * (S / P - 1) / B", "That is the derivative of KL(S || T): look"),
    ("05.1", "return (m - tm) / S / B", "That is the derivative by the mean, the"),
    ("05.1", "return 0.5 * (1 - (P + (tm - m)) / S) / B", "The distance of the means is squared in the"),
    ("05.1", "return 0.5 * (1 - (P + (tm - m).abs()) / S) / B", "The distance of the means is squared in the"),
    ("05.1", "return 0.5 * (1 - (tv + D) / v) / B", "Those are the log-variances: take exp of"),
    ("05.1", "return 0.5 * (1 - (P**2 + D) / S**2) / B", "exp of a log-variance is the variance"),
    ("05.1", "return 0.5 * (1 - (P + D)) / B", "Nothing is divided by the student's"),
    ("05.1", "return (0.5 * (1 - (P + D) / S)).mean()", "The shape is (), it should be (5, 2): every"),
    ("05.1", "return (0.5 * (1 - (P + D) / S)).sum(-1) / B", "The shape is (5,), it should be (5, 2):"),
    ("05.1", "return (0.5 * (1 - (P + D) / S)).mean(0)", "The shape is (2,), it should be (5, 2):"),
    ("05.1", "return -0.5 * (P + D) / S / B", "The 1 is missing: the logarithm in front"),
    ("05.1", "return 0.5 * (1 - (P + D) / S) * B", "too large by exactly the square of the size of the batch"),
    ("05.1", "x = 0.5 * (1 - (P + D) / S) / B", "Your function gave nothing back: is"),
    ("05.1", "v.requires_grad_(); L = 0.5 * (v + (tv.exp() + (tm - m)**2) / v.exp()); "
             "return torch.autograd.grad(L.sum(-1).mean(), v)[0]", "That asks autograd"),
    ("05.2", "return A", "That is what the networks say about the"),
    ("05.2", "return E", "That is how far the networks disagree; each"),
    ("05.2", "return A + means.var(0)", "Divide the squared distances by K, not K -"),
    ("05.2", "return A + means.std(0, correction=0)", "The second term is a standard deviation:"),
    ("05.2", "return A + means.std(0)", "The second term is a standard deviation,"),
    ("05.2", "return A + E * K", "Divide the squared distances by K: yours"),
    ("05.2", "return A / K + E", "The first term is a mean already: do not"),
    ("05.2", "return (A + E) / K", "too small by exactly K"),
    ("05.2", "return (A + E) / 2", "Two kinds of doubt add up; yours are"),
    ("05.2", "return K * (A + E)", "too large by exactly K"),
    ("05.2", "return A - E", "The networks' disagreement is added, not"),
    ("05.2", "return A * E", "The two kinds of doubt are added, not"),
    ("05.2", "return logs.mean(0).exp() + E", "Average the variances, not their"),
    ("05.2", "return logs.mean(0) + E", "Those are logarithms: take exp before the"),
    ("05.2", "return logs.exp().sum(0) + E", "The variances are to be averaged over the"),
    ("05.2", "return (A + E).sqrt()", "That is the standard deviation; the"),
    ("05.2", "return (A + E).log()", "That is the logarithm of it; the variance"),
    ("05.2", "return A.sqrt() + E.sqrt()", "Both are standard deviations: add the"),
    ("05.2", "return A + means.square().mean(0)", "The mean of the squared means is not their"),
    ("05.2", "return A + means.mean(0)**2", "The square of the mean is to be subtracted"),
    ("05.2", "return A + means.var(1, correction=0)", "must match the size"),
    ("05.2", "return (A + E).mean(0)", "The shape is (2,), it should be (3, 2): the"),
    ("05.2", "return A + means.var(correction=0)", "That is the variance over everything: each"),
    ("05.2", "return logs.exp().var(0, correction=0) + E", "The first term is the mean of the"),
    ("05.2", "return A + ((means - means.mean(0))**2).sum(0)", "Divide the squared distances by K: yours"),
    ("05.2", "return A + (means - means.mean(0)).abs().mean(0)", "You average the sizes of the distances; a"),
    ("05.2", "return A + (means[0] - means[1])**2 / 4", "The distance of two networks alone: all K"),
    ("05.2", "return (logs / 2).exp().mean(0) ** 2 + E", "That is the square of the mean standard"),
    ("05.2", "return means.mean(0)", "That is the mixture's mean; its variance is"),
    ("05.2", "return A + logs.var(0, correction=0)", "That is the variance of the log-variances;"),
    ("05.2", "return A + ((means - means.mean(0))**2).sum(0) / 4", "A number, or a case"),
    ("05.2", "print(A + E)", "Your function gave nothing back: is"),
    ("05.3", "return 0.5 * (tv - v + (S + D) / P - 1).sum(-1).mean()",
     "this is KL(S || T). The teacher comes first."),
    ("05.3", "return 0.5 * (v - tv + (P + D) / S - 1).mean()", "the mean divides by the number of targets,"),
    ("05.3", "return 0.5 * (v - tv + (P + D) / S - 1).sum()", "The sum runs over the batch, too: it would"),
    ("05.3", "return 0.5 * (tv - v + (P + D) / S - 1).sum(-1).mean()", "The two logarithms are still the wrong way"),
    ("05.3", "return 0.5 * (tv - v + (P + D) / S - 1).mean()", "The two logarithms are still the wrong way"),
    ("05.3", "return 0.5 * (v - tv + (S + D) / P - 1).sum(-1).mean()", "The ratio is still the wrong way round: the"),
    ("05.3", "return (v - tv + (P + D) / S - 1).sum(-1).mean()", "The 1/2 was right: it stands in front of"),
    ("05.3", "return 0.5 * (v - tv + (P + D) / S).sum(-1).mean()", "The -1 was right: without it the loss is"),
    ("05.3", "return 0.5 * (v - tv + (P + D) / S - 1).sum(-1)", "One value per example is left; the loss is"),
    ("05.3", "return 0.5 * (v - tv + (P + D) / S - 1).sum(0).mean()", "You sum over the batch and average over the"),
    ("05.3", "return 0.5 * (v - tv + (P + D) / S - 1).sum(-1).mean().item()",
     "no gradient leads back to the student, so"),
    ("05.3", "return 0.5 * (v - tv + (P + D) / S - 1).sum(-1).mean().detach()",
     "no gradient leads back to the student, so"),
    ("05.3", "return 0.5 * (v - tv + (P + D) / S - 1).sum(-1).mean() / 2", "too small by exactly 2"),
    ("05.3", "return 2 * (0.5 * (v - tv + (P + D) / S - 1)).mean()",
     "too large by exactly 2 and too small by exactly the number of targets"),
    ("05.3", "return 0.5 * (v - tv + (P + D) / S - 1).sum() / 5", "A number, or a case"),
    ("05.3", "return 0.5 * (v + (P + D) / S).sum(-1).mean()", "The teacher's logarithm and the -1 are"),
    ("05.3", "return 0.5 * (v - tv + (P + (tm - m)) / S - 1).sum(-1).mean()",
     "The square of the distance was right."),
    ("05.3", "return 0.5 * (D / S).sum(-1).mean()", "Only the means are matched: the widths"),
    ("05.3", "return 0.5 * D.sum(-1).mean()", "That is half the squared error of the"),
    ("05.3", "return -0.5 * (v - tv + (P + D) / S - 1).sum(-1).mean()", "of the other sign"),
    ("05.3", "return 0.5 * (v.detach() - tv + (P + D) / S.detach() - 1).sum(-1).mean()",
     "its gradient is not: a part of it is"),
    ("05.3", "return 0.5 * (v / tv + (P + D) / S - 1).sum(-1).mean()", "A difference of logarithms is meant, not"),
    ("05.3", "return 0.5 * (S - P + (P + D) / S - 1).sum(-1).mean()", "The first two terms are logarithms of the"),
    ("05.3", "return 0.5 * (v - tv + (P + D) / S - 1).mean(0).mean()", "the mean divides by the number of targets,"),
    ("05.3", "y = 0.5 * (v - tv + (P + D) / S - 1).sum(-1).mean()", "Your function gave nothing back: is"),
    ("05.3", "m, v, tm, tv = (x.detach().numpy() for x in (m, v, tm, tv)); "
             "return 0.5 * (v - tv + (np.exp(tv) + (tm - m)**2) / np.exp(v) - 1).sum(-1).mean()", "no gradient"),
]


test_right_is_right_in_every_form = right_in_every_form(HEADS, BEFORE, RIGHT)
test_wrong_is_wrong_and_hears_where_to_look = wrong_with_a_direction(HEADS, BEFORE, WRONG)


@pytest.mark.parametrize("answer", ["Noise", " noise", "gan", "fresh", "", 3, float("nan"), ["noise"], {"noise"},
                                    np.array(["noise", "crops"])])
def test_what_names_no_sampler_hears_which_there_are(answer):
    """Catches an array that breaks the check instead of being told what is wanted."""
    said = check("05.4", answer)
    assert said.state == "not right yet" and "one of empirical, jitter," in said.message, said
