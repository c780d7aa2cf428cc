"""Ways to convolve M networks' images at once, measured side by side: what `networks.convolution` is built on.

    python tests/benchmarks/bench_convolution.py [--device cuda]

A stage is a 3x3 convolution, a 2x2 max pooling and a ReLU, forward and backward, as the first layer of a network
(pixels need no gradient) and as a later one. Every way keeps its own order in memory, as it would between two layers.
Times are of one thread's processor (on a GPU, wall clock between synchronisations), medians over rounds in which the
ways take turns. Prints a table and writes results/convolution_<device>.json beside this file.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import click
import torch
import torch.nn.functional as F
from torch import Tensor

from kdutils.cache import write_whole
from kdutils.networks import convolution
from kdutils.results import provenance

MEMBERS = (1, 8, 32)
# (pixels a side, channels in, channels out), first layers and then later ones.
FIRST = [(side, given, width) for side in (8, 14, 32) for given in (1, 3) for width in (8, 16, 32)]
LATER = [(side, width, 2 * width) for side in (4, 7, 16) for width in (8, 16)]
Stage = Callable[[Tensor, Tensor, Tensor], Tensor]


def kept(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """What the package does: `convolve`, as many members at a time as stay in the cache."""
    return in_blocks(convolution.convolve, images, weight, bias)


def channels_last(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """All members in one grouped convolution, in the package's order in memory."""
    return convolution.max_pool(convolution.grouped(images, weight, bias)).relu()


def columns(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """im2col and one batched product."""
    return convolution.max_pool(convolution.columns(images, weight, bias)).relu()


def grouped(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """All members in one grouped convolution, in torch's usual order in memory."""
    x = images.transpose(0, 1).flatten(1, 2).contiguous()
    x = F.max_pool2d(F.conv2d(x, weight.flatten(0, 1), bias.flatten(), padding=1, groups=len(weight)), 2).relu()
    return x.unflatten(1, weight.shape[:2]).transpose(0, 1)


def loop(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """One member after the other."""
    return torch.stack([single(*member) for member in zip(images, weight, bias, strict=True)])


def single(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A stage of one ordinary network."""
    return F.max_pool2d(F.conv2d(images, weight, bias, padding=1), 2).relu()


WAYS: dict[str, Stage] = {"kept": kept, "channels last": channels_last, "columns": columns, "grouped": grouped,
                          "loop": loop, "mapped": torch.vmap(single)}


def in_blocks(convolve: Stage, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    blocks = -(-len(images) // convolution.together(images, weight.shape[1] * images[0, 0, 0].numel()))
    parts = zip(*(value.chunk(blocks) for value in (images, weight, bias)), strict=True)
    return convolution.joined([convolution.max_pool(convolve(*part)).relu() for part in parts])


def seconds(stage: Stage, tensors: tuple[Tensor, ...], slope: Tensor) -> float:
    """One forward and backward pass."""
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    clock = time.process_time if slope.device.type == "cpu" else synchronised
    start = clock()
    torch.autograd.grad(stage(*tensors), wanted, slope)
    return clock() - start


def synchronised() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def measure(members: int, side: int, given: int, width: int, later: bool, device: str, rounds: int) -> dict:
    """Milliseconds of every way for one shape; all must agree."""
    batch = 64 if side < 16 else 32 if members < 32 else 8
    random = torch.Generator().manual_seed(0)
    shapes = (members, batch, given, side, side), (members, width, given, 3, 3), (members, width)
    images, weight, bias = (torch.randn(shape, generator=random).to(device) for shape in shapes)
    weight /= 3 * given**0.5
    weight.requires_grad_(), bias.requires_grad_()
    took, expected = {name: [] for name in WAYS}, loop(images, weight, bias).detach()
    slope = torch.randn(expected.shape, generator=random).to(device)
    order = {name: arranged(name, images, later) for name in WAYS}
    for turn in range(rounds + 1):
        for name in (*list(WAYS)[turn % len(WAYS):], *list(WAYS)[:turn % len(WAYS)]):  # each follows each in turn
            way = WAYS[name]
            took[name].append(seconds(way, (order[name], weight, bias), slope))
            if not turn:  # the first call pays for kernels and memory
                took[name].clear()
                torch.testing.assert_close(way(order[name], weight, bias).detach(), expected, atol=1e-2, rtol=1e-2)
    ms = {name: round(1e3 * median(times), 3) for name, times in took.items()}
    fastest = min((name for name in WAYS if name != "kept"), key=ms.get)
    return {"members": members, "side": side, "in": given, "out": width, "batch": batch, "later": later, "ms": ms,
            "fastest": fastest, "kept_of_fastest": round(ms["kept"] / ms[fastest], 2)}


def arranged(name: str, images: Tensor, later: bool) -> Tensor:
    """The images as the layer before would leave them in memory; pixels come one image after the other."""
    if later:
        if name in ("kept", "channels last") and images.device.type == "cpu":
            images = images.permute(1, 3, 4, 0, 2).contiguous().permute(3, 0, 4, 1, 2)
        elif name == "columns":
            images = images.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)
    return images.detach().requires_grad_(later)


def report(rows: list[dict]) -> str:
    """The table a reader sees: milliseconds of each way, the fastest marked."""
    lines = [f"\n{'layer':<24}{'M':>4}{'batch':>7}" + "".join(f"{name:>15}" for name in WAYS)]
    for row in rows:
        kind = f"{row['in']} -> {row['out']} at {row['side']}x{row['side']}{' later' if row['later'] else ''}"
        cells = (f"{row['ms'][name]:>13.2f}{' *' if name == row['fastest'] else '  '}" for name in WAYS)
        lines.append(f"{kind:<24}{row['members']:>4}{row['batch']:>7}" + "".join(cells))
    good = sum(row["kept_of_fastest"] <= 1.25 for row in rows)
    lines.append(f"* the fastest of one kind; what the package keeps is within 1.25 of it for {good} of {len(rows)} "
                 "layers.")
    return "\n".join(lines)


def compare(device: str = "cpu", rounds: int = 5) -> list[dict]:
    """Measure every shape, print the table and keep the figures."""
    start, threads = time.perf_counter(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [measure(members, *layer, later, device, rounds) for members in MEMBERS
                for later, layers in ((False, FIRST), (True, LATER)) for layer in layers]
        made = provenance(device, time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    print(report(rows))
    text = json.dumps({"benchmark": "convolution", "stage": "3x3 convolution, 2x2 max pooling, ReLU; forward and "
                       "backward", "rounds": rounds, "provenance": made, "rows": rows}, indent=1)
    path = Path(__file__).parent / "results" / f"convolution_{device}.json"
    write_whole(path, lambda target: target.write_text(text + "\n"))
    return rows


def test_the_kept_way_is_never_far_from_the_fastest():
    rows = compare()
    assert sum(row["kept_of_fastest"] <= 1.25 for row in rows) >= 0.8 * len(rows)
    assert all(row["kept_of_fastest"] <= 2 for row in rows if row["members"] > 1)


@click.command()
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
def main(device: str, rounds: int) -> None:
    """Ways to convolve M networks' images at once."""
    compare(device, rounds)


if __name__ == "__main__":
    main()
