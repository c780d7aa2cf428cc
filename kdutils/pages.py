"""Where the notebooks of the course lie, and what their teaching notes ask while a panel is on the stage."""

import re
from pathlib import Path

import kdutils

_STAGE = "**On the stage**"
_ROW = re.compile(r"^\| (?P<panel>[^|]+?) \| (?P<lines>[^|]+?) \|$", re.MULTILINE)


def folder() -> Path:
    """Where the pages lie: in an installed package inside it, in a clone beside it."""
    package = Path(kdutils.__file__).parent
    inside = package / "notebooks"
    return inside if inside.is_dir() else package.parent / "notebooks"


def note(page: str, lesson: str) -> str:
    """The teaching note of a page, by the name of its notebook without .ipynb; of a page that the course does not know,
    such as a reader's copy under another name, that of the lesson. "" where there is none."""
    notes = folder() / "teaching"
    found = [notes / f"{page}.md", *notes.glob(f"[0-9][0-9]_{lesson}.md")]
    return next((path.read_text(encoding="utf-8") for path in found if path.is_file()), "")


def stage_lines(text: str, *panels: str) -> tuple[str, ...]:
    """What a teaching note asks on the stage, line by line, of the first of these panels that it names by title."""
    rows = {row["panel"]: row["lines"] for row in _ROW.finditer(text.partition(_STAGE)[2])}
    lines = next((rows[panel] for panel in panels if panel in rows), "")
    return tuple(line.strip() for line in lines.split("<br>")) if lines else ()
