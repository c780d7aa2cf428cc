"""What each parameter of an experiment means, as its dataclass says beside the field."""

import inspect
import re
import tokenize
from dataclasses import fields
from io import StringIO


def explained(parameters: type) -> dict[str, str]:
    """{field: what its comment says}, of the comment behind a field's value or the lines above it; "" without one."""
    comments = _comments(inspect.getsource(parameters))
    lines = inspect.getsource(parameters).splitlines()
    found = {}
    for field in fields(parameters):
        at = next((number for number, line in enumerate(lines, 1) if re.match(rf"\s+{field.name}\s*:", line)), 0)
        above = []
        while at - 1 - len(above) in comments and lines[at - 2 - len(above)].lstrip().startswith("#"):
            above.insert(0, comments[at - 1 - len(above)])
        found[field.name] = comments.get(at) or " ".join(above)
    return found


def _comments(source: str) -> dict[int, str]:
    """The comments of a source by line; a # inside a text is none."""
    return {token.start[0]: token.string.lstrip("# ").strip()
            for token in tokenize.generate_tokens(StringIO(source).readline) if token.type == tokenize.COMMENT}
