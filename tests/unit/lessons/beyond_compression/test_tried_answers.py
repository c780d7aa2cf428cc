"""Answers to the exercises of notebook 06 that were tried on its checks: right ones in every form, wrong ones with what
they are told. Before they were, half of these heard a number only, and a loss with half of its gradient was right.
"""

import math

import pytest
import torch
from tried import right_in_every_form, wrong_with_a_direction

from kdutils.course.checks import check
from kdutils.objectives import angle_loss, attention_loss, distance_loss, hint_loss, similarity_loss

HEADS = {"06.2": "s, t", "06.3": "s, t, T"}
BEFORE = {"06.2": "a, b = [x.square().mean(1).flatten(1) for x in (s, t)]; "
                  "u, w = [x / x.norm(dim=1, keepdim=True) for x in (a, b)]",
          "06.3": "S, P = (s / T).log_softmax(-1), (t / T).log_softmax(-1); kl = P.exp() * (P - S)"}

RIGHT = [
    ("06.2", "return (u - w).square().mean()"),
    ("06.2", "return F.mse_loss(u, w)"),
    ("06.2", "return F.mse_loss(F.normalize(a, dim=1), F.normalize(b, dim=1))"),
    ("06.2", "return sum(((u[i] - w[i])**2).mean() for i in range(len(u))) / len(u)"),
    ("06.2", "return ((u - w)**2).sum() / u.numel()"),
    ("06.2", "u, w = u.float(), w.float(); return ((u - w)**2).mean()"),
    ("06.2", "s.pow_(2); a = s.mean(1).flatten(1); a = a / a.norm(dim=1, keepdim=True); return ((a - w)**2).mean()"),
    ("06.2", "n = lambda x: F.normalize(x.pow(2).sum(1).flatten(1)); return (n(s) - n(t)).pow(2).mean()"),
    ("06.2", "q = lambda x: torch.einsum('bchw,bchw->bhw', x, x).flatten(1); "
             "return F.mse_loss(q(s) / q(s).norm(dim=1)[:, None], q(t) / q(t).norm(dim=1)[:, None])"),
    ("06.3", "return T**2 * kl.sum(-1).mean()"),
    ("06.3", "return T * T * kl.sum() / len(s)"),
    ("06.3", "return T**2 * F.kl_div(S, P, reduction='batchmean', log_target=True)"),
    ("06.3", "return T**2 * F.kl_div(S, P.exp(), reduction='batchmean')"),
    ("06.3", "return T**2 * kl.mean() * s.shape[-1]"),
    ("06.3", "return T**2 * torch.einsum('bc,bc->b', P.exp(), P - S).mean()"),
    ("06.3", "p, q = (t / T).softmax(-1), (s / T).softmax(-1); return T**2 * (p * (p / q).log()).sum(-1).mean()"),
    ("06.3", "s /= T; t /= T; S, P = s.log_softmax(-1), t.log_softmax(-1); "
             "return T**2 * (P.exp() * (P - S)).sum(-1).mean()"),
    ("06.3", "C = lambda z: torch.distributions.Categorical(logits=z / T); "
             "return T**2 * torch.distributions.kl_divergence(C(t), C(s)).mean()"),
]
WRONG = [
    ("06.2", "a /= a.norm(dim=1, keepdim=True); b /= b.norm(dim=1, keepdim=True); a -= b; return a.square().mean()",
     "the gradient cannot be computed: a line"),
    ("06.2", "return (a - b).square().mean()", "The maps are not brought to length one: a"),
    ("06.2", "return (u - w).square().sum()", "The squares are summed, not averaged: the"),
    ("06.2", "return (u - w).square().sum(1).mean()", "You average over images a sum over places;"),
    ("06.2", "return (u - w).square().mean(0).sum()", "You average over images a sum over places;"),
    ("06.2", "return (u - w).norm(dim=1).mean()", "That is the paper's equation, the unsquared"),
    ("06.2", "return (u - w).norm(dim=1).sum()", "That is the sum of the unsquared distances,"),
    ("06.2", "return (u - w).norm()", "That is one distance of the whole batch;"),
    ("06.2", "return (u - w).abs().mean()", "You average the sizes of the differences;"),
    ("06.2", "return (u - w).mean()", "You average differences with their sign,"),
    ("06.2", "return (u - w).square().mean().sqrt()", "The root at the end is one too many: the"),
    ("06.2", "return (a / a.norm() - b / b.norm()).square().mean()", "Length one is meant for each image by"),
    ("06.2", "return (a / a.sum(1, keepdim=True) - b / b.sum(1, keepdim=True)).square().mean()",
     "The maps are divided by their sum; length"),
    ("06.2", "return (a / a.norm(dim=0) - b / b.norm(dim=0)).square().mean()",
     "Length one is meant along the places of one"),
    ("06.2", "return (a / a.amax(1, keepdim=True) - b / b.amax(1, keepdim=True)).square().mean()",
     "The maps are divided by their largest"),
    ("06.2", "return (a.softmax(1) - b.softmax(1)).square().mean()", "That is a softmax over the places; length"),
    ("06.2", "return (a / a.mean(1, keepdim=True) - b / b.mean(1, keepdim=True)).square().mean()",
     "The maps are divided by their mean; length"),
    ("06.2", "f = lambda x: F.normalize(x.mean(1).flatten(1)); return (f(s) - f(t)).square().mean()",
     "The activations are squared before the mean"),
    ("06.2", "f = lambda x: F.normalize(x.abs().mean(1).flatten(1)); return (f(s) - f(t)).square().mean()",
     "The activations are squared, yours lose"),
    ("06.2", "f = lambda x: F.normalize(x.mean(1).square().flatten(1)); return (f(s) - f(t)).square().mean()",
     "The square is taken of the mean; it belongs"),
    ("06.2", "return (u - w).square()", "One value per place is left; the loss is"),
    ("06.2", "return (u - w).square().mean(1)", "One value per image is left; the loss is"),
    ("06.2", "return (u - w).square().mean().item()", "no gradient leads back to the student, so"),
    ("06.2", "return (u - w).square().mean().detach()", "no gradient leads back to the student, so"),
    ("06.2", "f = lambda x: F.normalize(x.square().mean((2, 3))); return (f(s)[:, :1] - f(t)[:, :1]).square().mean()",
     "Each image's map at length one, fo"),
    ("06.2", "return (u - w).square().sum() / 48", "A number, or a case"),
    ("06.2", "return (u - w).square().sum() / 16 / len(u)", "A number, or a case"),
    ("06.2", "return 1 - (u * w).sum(1).mean()", "That is one minus the cosine of the maps,"),
    ("06.2", "return (u - w.detach()).square().sum(1).mean() / 2", "That is one minus the cosine of the maps,"),
    ("06.2", "return 1000 * (u - w).square().mean()", "Right up to a factor of 1000, the same on"),
    ("06.2", "return (a / a.norm(dim=1) - b / b.norm(dim=1)).square().mean()", "must match the size"),
    ("06.2", "return (u.detach() - w).square().mean()", "no gradient leads back to the student, so"),
    ("06.2", "(u - w).square().mean()", "Your function gave nothing back: is"),
    ("06.2", "a /= a.norm(dim=1, keepdim=True); return (a - w).square().mean()", "a line that works in place"),
    ("06.3", "return kl.sum(-1).mean()", "too small by exactly T^2"),
    ("06.3", "return T * kl.sum(-1).mean()", "too small by exactly T"),
    ("06.3", "return T**2 * kl.mean()", "too small by exactly the number of classes"),
    ("06.3", "return T * kl.mean()", "too small by exactly T times the number of classes"),
    ("06.3", "return T**2 * kl.sum()", "too large by exactly the size of the batch"),
    ("06.3", "return kl.sum()", "too large by exactly the size of the batch and too small by exactly T^2"),
    ("06.3", "return T**2 * kl.sum(-1)", "One value per image is left; the loss is"),
    ("06.3", "return T**2 * kl.mean(-1).sum()",
     "too large by exactly the size of the batch and too small by exactly the number of classes"),
    ("06.3", "return 16 * kl.sum(-1).mean()", "A number, or a case"),
    ("06.3", "return T**2 * 10 * kl.mean()", "T^2 times the mean over the images"),
    ("06.3", "return T**2 * 5 * kl.mean()", "A number, or a case"),
    ("06.3", "return 80 * kl.mean()", "A number, or a case"),
    ("06.3", "return T**2 * (S.exp() * (S - P)).sum(-1).mean()", "The student comes first in yours:"),
    ("06.3", "return T**2 * (S.exp() * (P - S)).sum(-1).mean()", "The student's probabilities are the"),
    ("06.3", "return (S.exp() * (S - P)).sum(-1).mean()", "Two things. The student comes first in"),
    ("06.3", "return -T**2 * kl.sum(-1).mean()", "of the other sign"),
    ("06.3", "return T**2 * -(P.exp() * S).sum(-1).mean()", "That is the cross-entropy with soft"),
    ("06.3", "return T**2 * F.kl_div(S, P, reduction='batchmean')", "The loss is not a number: a logarithm is"),
    ("06.3", "return T**2 * F.kl_div(S.exp(), P.exp(), reduction='batchmean')",
     "F.kl_div wants the student as logarithms:"),
    ("06.3", "return T**2 * F.cross_entropy(s / T, (t / T).softmax(-1))", "That is the cross-entropy with soft"),
    ("06.3", "return (T**2 * kl.sum(-1).mean()).item()", "no gradient leads back to the student, so"),
    ("06.3", "return (T**2 * kl.sum(-1).mean()).detach()", "no gradient leads back to the student, so"),
    ("06.3", "S, P = s.log_softmax(-1), t.log_softmax(-1); return T**2 * (P.exp() * (P - S)).sum(-1).mean()",
     "Without the temperature inside the softmax"),
    ("06.3", "S, P = s.log_softmax(-1), t.log_softmax(-1); return (P.exp() * (P - S)).sum(-1).mean()",
     "Two things. Without the temperature inside"),
    ("06.3", "S, P = (s / T).softmax(-1), (t / T).softmax(-1); return T**2 * (P - S).square().sum(-1).mean()",
     "That is a squared error of probabilities;"),
    ("06.3", "return T**2 * (s - t).square().mean()", "That is a squared error of logits; the"),
    ("06.3", "return kl.mean() / T**2", "Two things. Both mistakes are left. And"),
    ("06.3", "return T**3 * kl.sum(-1).mean()", "too large by exactly T"),
    ("06.3", "return T**4 * kl.sum(-1).mean()", "too large by exactly T^2"),
    ("06.3", "x = T**2 * kl.sum(-1).mean()", "Your function gave nothing back: is"),
    ("06.3", "S, P = (s / T).log_softmax(0), (t / T).log_softmax(0); "
             "return T**2 * (P.exp() * (P - S)).sum(-1).mean()", "The softmax goes over the classes"),
    ("06.3", "S, P = (s * T).log_softmax(-1), (t * T).log_softmax(-1); "
             "return T**2 * (P.exp() * (P - S)).sum(-1).mean()", "multiplied by the temperature"),
    ("06.3", "p, q = (t / T).exp(), (s / T).exp(); p, q = p / p.sum(-1)[:, None], q / q.sum(-1)[:, None]; "
             "return T**2 * (p * (p / q).log()).sum(-1).mean()", "until the logits are near 8000: there exp"),
]


test_right_is_right_in_every_form = right_in_every_form(HEADS, BEFORE, RIGHT)
test_wrong_is_wrong_and_hears_where_to_look = wrong_with_a_direction(HEADS, BEFORE, WRONG)


BLIND = {"rotate": ["SP", "RKD"], "negate": ["AT", "SP", "RKD"], "stretch": ["AT"]}


@pytest.mark.parametrize(("changed", "reason"), [
    ({"rotate": "SP"}, "Give a list of names for 'rotate'"), ({"rotate": 3}, "Give a list of names for 'rotate'"),
    ({"rotate": [["SP"], ["RKD"]]}, "['SP'] is none of the four"), ({"rotate": ["SP, RKD"]}, "'SP, RKD' is none of"),
    ({"rotate": ["sp", "rkd"]}, "'sp' is none of the four: FitNets, AT, SP, RKD"),
    ({"rotate": [math.nan]}, "nan is none of the four"), ({"rotate": []}, "Rotate: SP stays 0"),
    ({"rotate": ["AT", "SP", "RKD"]}, "this rotation mixes places too"),
    ({"rotate": ["FitNets", "SP", "RKD"]}, "a rotation changes the numbers"),
    ({"negate": ["SP", "RKD"]}, "a square has no sign"), ({"negate": ["AT", "RKD"]}, "both vectors of a product"),
    ({"negate": ["AT", "SP"]}, "as far from the other mirrored points"),
    ({"stretch": ["AT", "SP"]}, "not those of the others"), ({"stretch": ["AT", "RKD"]}, "change their proportions"),
    ({"stretch": []}, "brought to length one by itself"), ({"shift": ["RKD"]}, "the keys rotate, negate, stretch")])
def test_who_is_blind_hears_the_reason(changed, reason):
    said = check("06.1", BLIND | changed)
    assert said.state == "not right yet" and reason in said.message, said


@pytest.mark.parametrize("answer", [BLIND, {name: set(losses) for name, losses in BLIND.items()},
                                    {name: tuple(losses[::-1]) for name, losses in BLIND.items()}])
def test_the_order_of_the_blind_does_not_matter(answer):
    assert check("06.1", answer).state == "right"


@pytest.mark.parametrize("change", BLIND)
def test_who_is_called_blind_is(change):
    """Catches an answer that is right in the check and wrong in the losses: asked of the losses themselves."""
    maps = torch.rand(5, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    turn = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))).Q
    changed = {"rotate": (maps.flatten(1) @ turn).view_as(maps), "negate": -maps,
               "stretch": maps * torch.arange(1.0, 6.0)[:, None, None, None]}[change]
    flat = maps.flatten(1), changed.flatten(1)
    losses = {"FitNets": hint_loss(*flat), "AT": attention_loss(maps, changed), "SP": similarity_loss(*flat),
              "RKD": distance_loss(*flat) + angle_loss(*flat)}
    assert {name for name, loss in losses.items() if loss < 1e-12} == set(BLIND[change])


@pytest.mark.parametrize(("steps", "reason"), [
    ("60", "Write the number without quotes: 60"), ("sixty", "got 'sixty'"), (0, "between 1 and 600, got 0"),
    (-1, "got -1"), (601, "got 601"), (60.5, "a whole number between 1 and 600, got 60.5"), (math.nan, "got nan"),
    (math.inf, "got inf"), (True, "got True"), ([60], "got [60]"), (1e308, "between 1 and 600")])
def test_what_is_no_number_of_steps_is_told_so(steps, reason):
    said = check("06.4", steps)
    assert said.state == "not right yet" and reason in said.message, said
