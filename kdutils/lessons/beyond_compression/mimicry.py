"""The mimicry matrix: train with one loss alone, then ask all of them how far from the teacher the student still is."""

import torch
from torch import Tensor

from kdutils import rng
from kdutils.cohorts import Splits
from kdutils.datasets import take
from kdutils.lessons.beyond_compression.race import HARD, Race, Teachers, race
from kdutils.networks import Population
from kdutils.objectives import METHODS, attack, kd_loss, layers, other_class
from kdutils.training import Recipe

MEASURES = tuple(name for name in METHODS if name != "ONE")     # ONE compares a network with itself
BATCH = 32


def matrix_rows(lab: Splits, teachers: Teachers, images: Tensor, recipe: Recipe) -> list[dict]:
    """A row per training loss, measure and seed: `left`, the measure on test images over that of hard labels.

    1: as far from the teacher as a network that never saw it; 0: a perfect copy. Students of DML and ONE have no
    teacher; their rows say how alike networks become without one.
    """
    students = race(lab, teachers, images, alone=True).run(recipe)
    found = measured(lab, teachers, {method: members(students, method) for method in students.arms})
    return [{"part": "mimicry", "method": method, "measure": measure, "seed": seed, "images": images.shape[1],
             "left": (value[s] / found[HARD][measure][s]).item()}
            for method, own in found.items() for measure, value in own.items() for s, seed in enumerate(lab.seeds)]


@torch.no_grad()
def measured(lab: Splits, teachers: Teachers, students: dict[str, Population]) -> dict[str, dict[str, Tensor]]:
    """{method: {measure: (S,)}}: every method's own term between its students and the teachers, on test images."""
    sums = {method: dict.fromkeys(MEASURES, 0.0) for method in students}
    random = rng.generator(lab.seeds[0], "boundary")
    batches = lab.test[:, :lab.test.shape[1] // BATCH * BATCH].split(BATCH, 1)
    for index in batches:
        inputs = take(lab.data.inputs, index)
        teacher = teachers.population.features(inputs)
        moved, _ = attack(teachers.population, inputs, other_class(teacher["logits"], random))
        there = teachers.population(moved)
        for method, population in students.items():
            student = population.features(inputs)
            for measure in MEASURES:
                # BSS: the divergence on the moved images at its T = 3, which is 0 for a perfect copy.
                value = (kd_loss(population(moved), there, 3.0) / 9 if measure == "BSS"
                         else METHODS[measure].term(layers(student), layers(teacher), student, teacher))
                sums[method][measure] += value / len(batches)
    return sums


def members(students: Race, method: str) -> Population:
    """One method's students, S of them."""
    group = next(group for group in students.groups if method in group.arms)
    s, k = len(students.lab.seeds), group.arms.index(method)
    own = {name: value[k * s:(k + 1) * s] for name, value in group.population.parameters.items()}
    population = Population.of(group.population.spec, own)
    return deployed(population) if method == "ONE" else population


def deployed(population: Population) -> Population:
    """The first branch of each network with branches, as a population of plain networks."""
    plain = population.spec.network
    names = dict(plain.build().named_parameters())
    kept = [value for name, value in population.parameters.items() if name.startswith(("trunk.", "branch1."))]
    return Population.of(plain, dict(zip(names, kept, strict=True)))
