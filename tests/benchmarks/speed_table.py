"""The tables of speed in the README, from what the benchmarks wrote: python tests/benchmarks/speed_table.py"""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
SECTION = re.compile(r"(<!-- speed:.*?-->\n).*?(<!-- end of speed -->)", re.DOTALL)


def table() -> str:
    """The tables in Markdown, each with where and when it was measured."""
    return "\n".join([*population(), "", *labs(), ""])


def population() -> list[str]:
    lines = []
    for path in sorted((HERE / "results").glob("population_*.json")):
        found = json.loads(path.read_text())
        lines += [f"| students at once ({found['network']}, batch {found['batch']}) | ms per step, all together "
                  "| less time than one by one | than plain PyTorch, one by one |", "|---|---|---|---|"]
        lines += [f"| {row['members']} | {row['ms_per_step']:.2f} | {row['times_less']['one by one']:.1f}x "
                  f"| {row['times_less']['plain torch']:.1f}x |" for row in found["rows"]]
        lines += ["", f"{where(found['provenance'])}; medians of {found['rows'][0]['rounds']} interleaved rounds.", ""]
    return lines[:-1]


def labs() -> list[str]:
    lines = []
    for path in sorted((HERE / "results").glob("*_lab.json"), reverse=True):
        found = json.loads(path.read_text())
        lines += [f"| {path.stem.replace('_', ' ')}, in a real browser | ms | promised |", "|---|---|---|"]
        lines += [f"| {name} | {found['figures'][name]:.0f} | {promise} |"
                  for name, promise in found["promised"].items()]
        origin = f"{where(found['provenance'])}, {found['cores']} cores, browser and server on the same machine."
        lines += ["", origin, ""]
    return lines[:-1]


def where(provenance: dict) -> str:
    threads = provenance["threads"]
    return (f"Measured {provenance['date']}: {provenance['device']}, {threads} thread{'s' * (threads != 1)}, "
            f"torch {provenance['torch']}")


def updated(readme: str) -> str:
    """The README with the table of the committed results."""
    return SECTION.sub(lambda found: f"{found[1]}{table()}{found[2]}", readme)


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
