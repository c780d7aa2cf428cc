"""The formula on the page is the formula of the package: the same code, and the same numbers."""

import ast
import inspect
import textwrap
from pathlib import Path

import nbformat
import pytest
import torch

from kdutils import objectives

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
FORMULAS = {(path.stem, tag.removeprefix("formula:")): cell.source
            for path in NOTEBOOKS
            for cell in nbformat.read(path, as_version=4).cells
            for tag in cell.metadata.get("tags", []) if tag.startswith("formula:")}


@pytest.fixture(params=FORMULAS, ids="/".join)
def formula(request) -> tuple[str, str]:
    """Name and source of a cell that shows a formula."""
    return request.param[1], FORMULAS[request.param]


def bare(source: str, name: str) -> str:
    """The function of this name as its syntax tree, without docstring and annotations."""
    (function,) = [node for node in ast.parse(textwrap.dedent(source)).body
                   if isinstance(node, ast.FunctionDef) and node.name == name]
    function.returns = None
    for argument in ast.walk(function.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    if ast.get_docstring(function):
        del function.body[0]
    return ast.dump(function)


def shown(name: str, source: str):
    """The function that the cell defines. Its last line may use what the page made before: that is left out."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not isinstance(node, ast.Expr)]
    space: dict = {}
    exec(compile(tree, "cell", "exec"), space)
    return space[name]


# What a formula takes beside logits: numbers that serve any logits, and one value for each of three networks.
TEMPERATURES = ((0.25, 1.0, 4.0, 20.0), [(1.0, 2.0, 8.0)])
KNOBS = {"ranks": ((2, 5, 10), [(2.0, 3.0, 8.0)]), "sizes": (((5, 5), (3, 7), (10,)), [])}


def examples(function) -> list[tuple]:
    """Arguments by their names: logits of a vector, a batch, and a stack of networks; knobs of every kind."""
    random = torch.Generator().manual_seed(7)
    names = inspect.signature(function).parameters
    (knob,) = [name for name in names if not name.endswith("logits")]
    numbers, per_network = KNOBS.get(knob, TEMPERATURES)
    made = []
    for shape in ((10,), (6, 10), (3, 6, 10))[knob == "t_aux":]:  # the auxiliary loss compares images: one is too few
        values = {name: 5 * torch.randn(shape, generator=random, dtype=torch.float64) for name in names if name != knob}
        each = [torch.tensor(value).double() for value in per_network if len(shape) == 3]
        made += [tuple(values.get(name, number) for name in names) for number in [*numbers, *each]]
    return made


def test_every_notebook_shows_a_formula():
    assert {path.stem for path in NOTEBOOKS} == {stem for stem, _ in FORMULAS}


def test_the_code_is_that_of_the_package(formula):
    name, source = formula
    assert bare(source, name) == bare(inspect.getsource(getattr(objectives, name)), name)


def test_the_numbers_are_those_of_the_package(formula):
    """The same code may still call other things: what the cell imports is part of the formula."""
    name, source = formula
    package, page = getattr(objectives, name), shown(name, source)
    assert page is not package
    for arguments in examples(package):
        torch.testing.assert_close(page(*arguments), package(*arguments), rtol=0, atol=0)


@pytest.mark.parametrize("slip", [
    ("temperature**2 * ", ""), (".sum(-1)", ".mean(-1)"), ("teacher.exp()", "student.exp()"),
    ("kl.mean(-1)", "kl.mean()"),
])
def test_a_slip_on_the_page_would_be_found(slip):
    source = FORMULAS["01_dark_knowledge", "kd_loss"]
    assert source.count(slip[0]) == 1
    wrong = source.replace(*slip)
    assert bare(wrong, "kd_loss") != bare(source, "kd_loss")
    arguments = examples(objectives.kd_loss)[-1]
    other = shown("kd_loss", wrong)(*arguments)
    right = objectives.kd_loss(*arguments)
    assert other.shape != right.shape or not torch.allclose(other, right)


def test_annotations_and_docstrings_make_no_difference_but_defaults_do():
    page = "def f(x, t=1.0):\n    return x / t"
    package = 'def f(x: Tensor, t: float = 1.0) -> Tensor:\n    """Words."""\n    return x / t'
    assert bare(page, "f") == bare(package, "f")
    assert bare(page, "f") != bare("def f(x, t=2.0):\n    return x / t", "f")
