"""How the settings of notebook 03 were chosen, by students and on data that the experiments never look at."""

from dataclasses import replace

import pandas as pd

from kdutils.cohorts import Splits
from kdutils.datasets import grouped
from kdutils.lessons.subclass_distillation import clicks
from kdutils.lessons.subclass_distillation.experiment import student_rows
from kdutils.lessons.subclass_distillation.parameters import DEFAULT, Arm, SubclassDistillation
from kdutils.lessons.subclass_distillation.students import train_arms
from kdutils.lessons.subclass_distillation.teachers import (
    label_teachers,
    standardised,
    subclass_teachers,
    teacher_recipe,
)
from kdutils.training import Recipe


def choose(params: SubclassDistillation = DEFAULT, seeds: int = 12, seed: int = 1000, images: int = 100,
           held_out: int = 300) -> pd.DataFrame:
    """How beta, T_aux and hint were chosen: students' superclass accuracy (percent) on images held out of the pool.

    A row per candidate, best first, and what it was: the form of the teacher's loss, or the weight of the hint. The
    test images of these seeds are not looked at, and no seed of the experiment is among them.
    """
    lab = Splits.of(grouped(params.data, params.device), seeds, seed)
    lab = replace(lab, pool=lab.pool[:, held_out:], test=lab.pool[:, :held_out])
    sizes, recipe = (params.subclasses,) * lab.data.n_classes, teacher_recipe(params.teacher_steps)
    values = {"contrastive": [(beta, t_aux) for beta in (0.03, 0.1, 0.3, 1.0) for t_aux in (0.1, 0.3, 0.5, 1.0)],
              "entropy": [(beta, 1.0) for beta in (0.3, 1.0, 3.0)]}
    teachers = {(form, *value): {"logits": logits} for form, chosen in values.items()
                for value, logits in zip(chosen, subclass_teachers(lab, lab.pool, sizes, chosen, form, recipe),
                                         strict=True)}
    hidden = label_teachers(lab, lab.pool, lab.data.labels, lab.data.n_classes, recipe)[1]
    candidates = [(params, [Arm(str(name), name) for name in teachers])]
    candidates += [(replace(params, hint=hint), [Arm(f"hint {hint:g}", "two-class", "classes", "features")])
                   for hint in (0.1, 0.3, 1.0, 3.0, 10.0)]
    teachers["two-class"] = {"hidden": standardised(hidden, lab.pool)}
    train = lab.transfer(images)
    rows = [row for terms, arms in candidates
            for arm, _, logits in train_arms(lab, teachers, arms, train, params.width, terms,
                                             Recipe(params.student_steps))
            for row in student_rows(lab, arm, logits)]
    return pd.DataFrame(rows).groupby("method")["accuracy"].agg(["mean", "sem"]).sort_values("mean", ascending=False)


def choose_clicks(params: clicks.Clicks = clicks.DEFAULT, seeds: int = 8, seed: int = 1000) -> pd.DataFrame:
    """How beta, T_aux and the two temperatures of clicks were chosen: students' log-loss (nats) at the end.

    Worlds of seeds that the experiment never uses; the larger s, the fewer rows. A row per method, beta, T_aux and
    temperature, best first.
    """
    lab = clicks.click_lab(seeds, seed, max(params.rows), clicks.HELD_OUT, params.device)
    recipe, s = teacher_recipe(params.teacher_steps), max(params.subclasses)
    values = [(0.03, 0.1), (0.03, 0.3), (0.03, 1.0), (0.1, 0.1), (0.1, 0.5), (0.1, 1.0)]
    teachers = {str(value): {"logits": logits} for value, logits in zip(
        values, subclass_teachers(lab, lab.pool, (s,) * lab.data.n_classes, values, recipe=recipe), strict=True)}
    teachers["two-class"] = {"logits": label_teachers(lab, lab.pool, lab.data.labels, lab.data.n_classes, recipe)[0]}
    arms = [Arm("two-class", "two-class", "classes", "classes")] + [Arm(str(value), str(value)) for value in values]
    rows = [row for temperature in (1.0, 2.0, 4.0)
            for arm, _, logits in train_arms(lab, teachers, arms, lab.pool[:, :min(params.rows)], params.width,
                                             clicks.terms(params, s, temperature), clicks.student_recipe(params))
            for row in clicks.student_rows(lab, arm, logits, temperature=temperature)]
    return pd.DataFrame(rows).groupby(["method", "temperature"])[["log_loss", "auc"]].mean().sort_values("log_loss")
