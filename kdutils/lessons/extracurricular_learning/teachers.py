"""The teachers: small ensembles that answer with a distribution, trained once and kept in the cache.

A teacher of one seed is `ENSEMBLE` networks of other starts and batch orders on the same labelled inputs. Its answer is
the one Gaussian with the mixture's moments, or the mean of the probabilities.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kdutils import rng
from kdutils.cohorts import cached_training, digest
from kdutils.networks import Population, Specification
from kdutils.objectives import calibrated_scale, gaussian, united, united_log_probabilities
from kdutils.training import Knobs, Recipe, Task

ENSEMBLE = 4
AT_ONCE = 1000      # pictures of a teacher answered together: more would only take memory


@dataclass(frozen=True, eq=False)
class Teachers:
    """S teachers of K networks each; member s * K + k of the population is network k of teacher s.

    scale (S,): one factor on the variances of a teacher that answers with Gaussians, from held-out inputs.
    """

    population: Population
    scale: Tensor | None = None

    @property
    def seeds(self) -> int:
        return len(self.population) // ENSEMBLE

    def outputs(self, inputs: Tensor) -> Tensor:
        """Inputs (S, n, c, h, w) -> (K, S, n, outputs)."""
        made = torch.cat([self.population.predict(part.repeat_interleave(ENSEMBLE, 0))
                          for part in inputs.split(AT_ONCE, 1)], 1)
        return made.unflatten(0, (-1, ENSEMBLE)).transpose(0, 1)

    def gaussians(self, inputs: Tensor) -> dict[str, Tensor]:
        """The answers about inputs (S, n, c, h, w): mean, log_variance, and the epistemic variance in it, (S, n, d)."""
        mean, aleatoric, epistemic = united(*gaussian(self.outputs(inputs)))
        scale = 1.0 if self.scale is None else self.scale[:, None, None]
        return {"mean": mean, "log_variance": (scale * (aleatoric + epistemic)).log(), "epistemic": scale * epistemic}

    def logits(self, inputs: Tensor) -> dict[str, Tensor]:
        """The logarithms (S, n, C) of the mean probabilities: logits like any other."""
        return {"logits": united_log_probabilities(self.outputs(inputs))}


def trained(inputs: Tensor, labels: Tensor, seeds: Sequence[int], spec: Specification, recipe: Recipe,
            objective: Callable, **knobs) -> Teachers:
    """Teachers of inputs (S, n, c, h, w) with labels (S, n) or targets (S, n, d); from the cache if they can."""
    made_of = {"inputs": digest(inputs), "labels": digest(labels), "seeds": list(seeds), "network": repr(spec),
               "objective": objective.__name__, "knobs": knobs, "ensemble": ENSEMBLE}

    def prepare(spec: Specification) -> tuple[Population, Task]:
        own = [rng.derive(seed, f"teacher {k}") for seed in seeds for k in range(ENSEMBLE)]
        n = inputs.shape[1]
        train = (torch.arange(len(own)) // ENSEMBLE * n)[:, None] + torch.arange(n)
        return (Population(spec, own, inputs.device),
                Task(inputs.flatten(0, 1), labels.flatten(0, 1), train.to(inputs.device), own))

    parameters = cached_training("ensembles", made_of, spec, recipe, inputs.device, prepare=prepare,
                                 read=lambda trained: trained.copy().parameters, objective=objective,
                                 knobs=Knobs(**knobs))
    return Teachers(Population.of(spec, parameters))


def calibrated(teachers: Teachers, inputs: Tensor, targets: Tensor) -> Teachers:
    """The same teachers with variances that fit held-out targets (S, n, d): one factor for each teacher."""
    answers = teachers.gaussians(inputs)
    return Teachers(teachers.population, calibrated_scale(answers["mean"], answers["log_variance"].exp(), targets))
