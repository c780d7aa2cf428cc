"""The tables of README.md beside this file, from what the benchmarks wrote: python tests/benchmarks/speed_table.py"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from kdutils.results import Effect

HERE = Path(__file__).parent
README = HERE / "README.md"
SECTION = re.compile(r"(<!-- speed:.*?-->\n).*?(<!-- end of speed -->)", re.DOTALL)
PROFILES = ("smoke", "lecture")
# What a hand feels of a panel: how the benchmark's figures end, and the milliseconds promised.
FELT = {"slider to kernel, median": ("slider to kernel, median", 30), "95%": ("slider to kernel, p95", 100),
        "Pause, worst": ("Pause, worst", 200), "first frame after Train": ("first frame after Train, median", 300),
        "released to the answer": ("released to the answer, median", "1,500")}


def table() -> str:
    """The tables in Markdown, each with where and when it was measured."""
    return "\n".join([*engines(), *population(), *images(), *precision(), *starts(), *labs()])


def engines() -> Iterator[str]:
    """Torch's loop, the compiled kernels and JAX, by threads."""
    for found in results("engines_*"):
        threads = found["threads"]
        yield (f"| students at once | of the kind | torch's loop, ms a step | kernels, {counted(threads)} "
               "| times less (promised) | JAX | kernels less than JAX |")
        yield "|---|---|---|---|---|---|---|"
        for row in found["rows"]:
            ms, times = row["ms"], f"{row['less than torch']['kernels']:.1f}x"
            times += f" ({row['promised']}x)" if row["promised"] else ""
            jax = f"{ms['JAX']:.2f} | {row['less than JAX']:.1f}x" if row["compiling"] else "- | -"
            cells = row["members"], row["network"], f"{ms['torch']:.2f}", f"{ms['kernels']:.2f}", times, jax
            yield f"| {' | '.join(map(str, cells))} |"
        yield ""
        clock = "processor time" if threads == 1 else "wall clock; torch's loop on one thread, which suits it best"
        yield (f"Medians of {found['rounds']} rounds in turns, {clock}. JAX compiles each shape for 1 to 2 s more. "
               f"{where(found['provenance'], threads)}.")
        yield ""


def population() -> Iterator[str]:
    for found in results("population_*"):
        yield "| students at once | of the kind | ms per step, all together | less time than one by one (promised) " \
              "| than plain PyTorch |"
        yield "|---|---|---|---|---|"
        for part in found["parts"]:
            for row in part["rows"]:
                if row["promised"]:
                    less = row["times_less"]
                    yield (f"| {row['members']} | {part['network']} | {row['ms_per_step']:.2f} "
                           f"| {less['one by one']:.1f}x ({row['promised']}x) | {less['plain torch']:.1f}x |")
        yield ""
        for name, rows in found["growth"].items():
            yield (f"Milliseconds a step, by {name}: "
                   + ", ".join(f"{row[name]:,}: {row['ms']:.1f}" for row in rows) + ".")
        first = found["parts"][0]
        yield (f"(32 students 64-16-10 on 1,200 images where nothing else is said; batch {first['batch']}.) "
               f"{where(found['provenance'])}; medians of {first['rows'][0]['rounds']} interleaved rounds.")
        yield ""


def images() -> Iterator[str]:
    for found in results("images_c*"):
        promised = {(one["pair"], one["way"]): f"{one['times']}x" for one in found["promised"]}
        yield (f"| teacher → student, batch {found['batch']} | way | images per second | times the plain loop "
               "| promised |")
        yield "|---|---|---|---|---|"
        for row in found["rows"]:
            for way, speed in row["images_per_second"].items():
                yield (f"| {row['pair'].replace(':', ' → ')} | {way} | {speed:,.0f} "
                       f"| {row['times_the_plain_loop'][way]:.2f}x | {promised.get((row['pair'], way), '')} |")
        yield ""
        yield (f"{found['images']:,} images of 32×32; switches of our ways: {found['switches']}. The plain loop is "
               "what the usual code bases do: a DataLoader, each image augmented alone with PIL, single precision, an "
               f"eager teacher, numbers read back at every step. {where(found['provenance'])}; medians of "
               f"{found['rows'][0]['rounds']} interleaved rounds.")
        yield ""


def precision() -> Iterator[str]:
    """Whether being fast costs accuracy."""
    found = list(results("images_bf16_*"))
    if not found:
        return
    yield ("| student of resnet20 | seeds | method | single precision (%) | its spread over seeds "
           "| bf16 less single precision (points) |")
    yield "|---|---|---|---|---|---|"
    for one in found:
        params = one["params"]
        student = f"{params['pair'].partition(':')[2]}, {params['images']:,} images of {params['data']}"
        for row in one["rows"]:
            yield (f"| {student} | {params['seeds']} | {row['method']} | {fmean(row['single precision']):.1f} "
                   f"| {row['seed_spread']:.1f} | {Effect(**row['difference']).span} |")
    yield ""
    for one in results("images_parity_*"):
        single, bf16 = (f"{largest(one, of_bf16):.0e}" for of_bf16 in (False, True))
        pair = one["pair"].replace(":", " → ")
        yield (f"Over {one['steps']} steps of {pair} the losses of the fast paths differ from "
               f"the plain loop's by at most {single} in single precision, {bf16} in bf16. {where(one['provenance'])}.")
        yield ""


def largest(parity: dict, bf16: bool) -> float:
    """The largest difference of a loss on the paths with, or without, bf16."""
    return max(way["largest"] for way in parity["ways"].values() if ("bf16" in way["switches"]) == bf16)


def starts() -> Iterator[str]:
    for found in results("start_*"):
        yield "| notebook | smoke, first time | again | lecture, first time | kernel's peak memory: smoke, lecture |"
        yield "|---|---|---|---|---|"
        for row in found["rows"]:
            smoke, lecture = (row[profile] for profile in PROFILES)
            yield (f"| {row['notebook']} | {smoke['cold']:.0f} s | {smoke['warm']:.0f} s | {lecture['cold']:.0f} s "
                   f"| {smoke['kernel_mb'] / 1000:.1f} GB, {lecture['kernel_mb'] / 1000:.1f} GB |")
        yield ""
        yield (f"`kdutils run`, the start of Python and the kernel included. {where(found['provenance'])}, "
               f"{found['cores']} cores.")
        yield ""


def labs() -> Iterator[str]:
    """One table for all live panels: a row each, promises in the head, where they are the same for all."""
    found = list(results("*_lab", "*_race", "split_*"))
    if not found:
        return
    heads = [f"{name} ({bar})" for name, (_, bar) in FELT.items()]
    yield f"| live panel, in a real browser, ms | {' | '.join(heads)} |"
    yield "|---" * (1 + len(FELT)) + "|"
    for one in found:
        told = [max(value for name, value in one["figures"].items() if name.endswith(end)) for end, _ in FELT.values()]
        yield f"| {one['panel']} | " + " | ".join(f"{value:.0f}" for value in told) + " |"
    yield ""
    first = found[0]
    yield (f"In brackets what is promised. {where(first['provenance'])}, {first['cores']} cores, browser and server on "
           "the same machine.")
    yield ""


def results(*patterns: str) -> Iterator[dict]:
    """What the benchmarks wrote to files of these names, and as "panel" the name in words."""
    for path in sorted({path for pattern in patterns for path in (HERE / "results").glob(f"{pattern}.json")}):
        yield json.loads(path.read_text()) | {"panel": path.stem.replace("_", " ")}


def where(provenance: dict, threads: int | None = None) -> str:
    return (f"Measured {provenance['date']}: {provenance['device']}, {counted(threads or provenance['threads'])}, "
            f"torch {provenance['torch']}")


def counted(threads: int) -> str:
    return f"{threads} thread{'s' * (threads != 1)}"


def updated(readme: str) -> str:
    """The page with the table of the committed results."""
    return SECTION.sub(lambda found: f"{found[1]}{table()}{found[2]}", readme)


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
