"""Students of every form and arm side by side, and what is measured of them; both scales of notebook 04 use it."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from kdutils import metrics
from kdutils.cohorts import STUDENT, Cohort, Setting, Splits, cohort
from kdutils.lessons.spherical_distillation.parameters import FORMS, Arm
from kdutils.networks import Specification
from kdutils.objectives import mean_spread, on_sphere, softmax
from kdutils.training import Recipe, Snapshot, train


def students_of(lab: Splits, logits: Tensor, transfer: Tensor, form: str, arms: Sequence[Arm],
                spec: Specification = STUDENT) -> Cohort:
    """Students of one form, an arm per setting, ready for `distil`. logits: (W, S, N, C), of W teachers per seed."""
    chosen = torch.stack([logits[arm.teacher] for arm in arms])  # (A, S, N, C)
    own = torch.stack([torch.stack([mean_spread(z[s, pool]) for s, pool in enumerate(lab.pool)]) for z in chosen])
    m = torch.stack([own[a] if arm.m is None else torch.full_like(own[a], arm.m) for a, arm in enumerate(arms)])
    if form == "one scalar":
        chosen = chosen * (m / own)[..., None, None]
    settings = [Setting(form, float(arm.temperature), arm.alpha, a) for a, arm in enumerate(arms)]
    students = cohort(lab, chosen, transfer, settings, spec)
    students.knobs.set(m=m.flatten())
    return students


def distil(students: Cohort, form: str, recipe: Recipe, every: int | None = None) -> Iterator[Snapshot]:
    """The training loop over students of a form."""
    return train(students.population, students.task, FORMS[form].objective, students.knobs, recipe,
                 every or recipe.steps)


def measures(logits: Tensor, labels: Tensor, m: Tensor | None = None) -> dict[str, Tensor]:
    """What is measured of answers (M, Q, C) to test images (M, Q): {name: (M,)}. m: (M,) where they are read at it."""
    answers = logits if m is None else on_sphere(logits, m)
    return {"accuracy": 100 * metrics.accuracy(logits, labels), "spread": mean_spread(logits),
            "confidence": 100 * softmax(answers).amax(-1).mean(-1), "ece": 100 * metrics.ece(answers, labels)}


def teacher_rows(lab: Splits, logits: Tensor, names: Sequence, **same) -> list[dict]:
    """A row per teacher and seed: logits (W, S, N, C) of teachers that `names` tells apart, in column "width"."""
    rows = []
    for width, z in zip(names, logits, strict=True):
        picked = z.gather(1, lab.test[..., None].expand(-1, -1, z.shape[-1]))
        rows += rows_of(lab, measures(picked, lab.data.labels[lab.test]), method="teacher", width=width,
                        transfer=lab.pool.shape[1], **same)
    return rows


def student_rows(lab: Splits, logits: Tensor, transfer: Tensor, arms: Sequence[Arm], recipe: Recipe, names: Sequence,
                 spec: Specification = STUDENT, **same) -> list[dict]:
    """Students of all arms, trained, one population per form: a row each. `same` may rename the method."""
    rows = []
    for form in dict.fromkeys(arm.form for arm in arms):
        mine, read = [arm for arm in arms if arm.form == form], FORMS[form].read
        students = students_of(lab, logits, transfer, form, mine, spec)
        for _ in distil(students, form, recipe):
            pass
        scale = torch.tensor(students.knobs["m"], device=transfer.device)
        values = measures(*students.test_logits(), scale if read == "m" else None)
        if read is None:
            values = {name: values[name] for name in ("accuracy", "spread")}
        for a, arm in enumerate(mine):
            own = {name: value.view(len(mine), -1)[a] for name, value in values.items()}
            rows += rows_of(lab, own, **_named(arm, names) | {"transfer": transfer.shape[1]} | same)
    return rows


def rows_of(lab: Splits, values: dict[str, Tensor], **same) -> list[dict]:
    """A row per seed, with the values (S,) of its run."""
    listed = {name: value.tolist() for name, value in values.items()}
    return [same | {"seed": seed} | {name: column[i] for name, column in listed.items()}
            for i, seed in enumerate(lab.seeds)]


def _named(arm: Arm, names: Sequence) -> dict:
    """The columns that say which arm it was; where no teacher is heard, teacher and temperature are empty."""
    heard = arm.alpha > 0
    return {"method": arm.form, "width": names[arm.teacher] if heard else None,
            "temperature": float(arm.temperature) if heard else None,
            "m": arm.m if FORMS[arm.form].needs_m else None, "alpha": arm.alpha}
