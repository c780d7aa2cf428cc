"""The exercises of the pages, and what a check says to a code."""

import re
from pathlib import Path

import nbformat

from kdutils.course.checks import check

PAGES = {}      # exercise -> {"stub": code, "check": code, "solution": code}
for path in sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb")):
    for cell in nbformat.read(path, as_version=4).cells:
        for tag in cell.metadata.get("tags", []):
            part, _, name = tag.partition(":")
            if part == "solution":
                (code,) = re.findall(r"<details>.*?^```python\n(.*?)^```.*?</details>", cell.source, re.M | re.S)
                PAGES.setdefault(name, {})["solution"] = code
            elif part in ("exercise", "check") and cell.cell_type == "code":
                PAGES.setdefault(name, {})["stub" if part == "exercise" else "check"] = cell.source


def asked(name: str, code: str):
    """Run the reader's code and then the check cell of the page, as the page does; its feedback."""
    heard, space = [], {}       # nothing but the code itself: a stub and a solution import what they need
    exec(code, space)
    page = PAGES[name]["check"].replace("from kdutils.course.checks import check\n", "")
    space["check"] = lambda *arguments: heard.append(check(*arguments))
    exec(page, space)
    (feedback,) = heard
    assert feedback.exercise == name, "the check cell asks for another exercise"
    return feedback
