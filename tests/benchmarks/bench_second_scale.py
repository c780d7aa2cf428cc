"""What the networks of the second scale were chosen by: pictures a second of training, and validation accuracy.

    python tests/benchmarks/bench_second_scale.py [--steps 1500] [--speed-only] [--hundred]

Populations of small convolutions on the folded 16x16 pictures of twenty classes (`kdutils data get cifar-100`), or of a
hundred, measured on training images that nobody trains on; beside them single networks of the literature. One thread,
its processor's time. Prints a table; README.md beside this file has that of 26 November 2026, torch's loop.
"""

import time
from collections.abc import Callable

import click
import torch

from kdutils.cohorts import Cohort, side_by_side
from kdutils.networks import image_network
from kdutils.objectives import hard_labels
from kdutils.second_scale import FAMILIES, Bench, prepare
from kdutils.training import Knobs, Recipe

# Channels, Adam's rate, networks side by side.
POPULATIONS = (((32, 64), 2e-3, 2), ((32, 64, 64), 2e-3, 2), ((32, 64, 128), 3e-3, 2), ((8, 16), 5e-3, 4),
               ((8, 16), 1e-2, 4))


@click.command()
@click.option("--steps", default=1500, help="Of 64 pictures, for every population.")
@click.option("--speed-only", is_flag=True, help="Ten steps each.")
@click.option("--hundred", is_flag=True, help="All families, in two views of each image.")
def main(steps: int, speed_only: bool, hundred: bool) -> None:
    """Measure all of them, one after the other."""
    torch.set_num_threads(1)
    for side in (16, 32):
        for bf16 in (False, True):
            print(f"resnet8 at {side}x{side}, {'bf16' if bf16 else 'single precision'}: {single(side, bf16):,.0f} "
                  "pictures a second", flush=True)
    lab = prepare("cifar-100-coarse", () if hundred else FAMILIES, 16, 2 if hundred else 4, 1, validation=True)
    for channels, lr, members in POPULATIONS:
        rate, accuracy = population(lab, channels, Recipe(10 if speed_only else steps, lr=lr), members)
        said = "" if speed_only else f", {accuracy:.1f}% of the validation images"
        print(f"{members} of {lab.network(channels)}, rate {lr:g}: {rate:,.0f} pictures a second{said}", flush=True)


def population(lab: Bench, channels: tuple[int, ...], recipe: Recipe, members: int) -> tuple[float, float]:
    """Pictures a second of training, and mean accuracy (percent) on what `lab` measures with."""
    networks, task = side_by_side(lab, members, lab.pool, lab.network(channels))
    students = Cohort(lab, tuple(range(members)), networks, task, Knobs(), hard_labels)
    seconds = spent(lambda: students.fit(recipe))
    return members * recipe.steps * recipe.batch / seconds, float(students.accuracy().mean())


def single(side: int, bf16: bool, batch: int = 128, steps: int = 6) -> float:
    """Pictures a second of one resnet8, channels last, by fused SGD."""
    network = image_network("resnet8", 20).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.05, 0.9, fused=True)
    images = torch.randn(batch, 3, side, side).to(memory_format=torch.channels_last)
    labels = torch.arange(batch) % 20

    def train() -> None:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = network(images)
            torch.nn.functional.cross_entropy(logits.float(), labels).backward()
            optimizer.step()

    train()
    return batch * steps / spent(train)


def spent(work: Callable[[], object]) -> float:
    """Seconds of the processor."""
    before = time.process_time()
    work()
    return time.process_time() - before


if __name__ == "__main__":
    main()
