"""The formula on the page, in plain torch as a textbook has it, is the formula of the package: its values, its slopes.

The package is written for populations and for speed, so that the two need not look alike.
"""

import ast
import inspect
import math
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import torch
from torch import Tensor

from kdutils import objectives

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
FORMULAS = {(path.stem, tag.removeprefix("formula:")): cell.source
            for path in NOTEBOOKS
            for cell in nbformat.read(path, as_version=4).cells
            for tag in cell.metadata.get("tags", []) if tag.startswith("formula:")}
PLAIN = {"torch", "math"}  # what a formula cell may import
CLOSE = {"rtol": 0, "atol": 1e-9}

# What a formula takes beside logits, by the name on the page. A batch is (6, 10): ten logits of each of six images.
KNOBS = {"temperature": (0.25, 1.0, 4.0, 20.0), "t_aux": (0.25, 1.0, 4.0), "ranks": (2, 5, 10), "classes": (1, 2, 5)}
# Where the page takes other arguments than the package.
PACKAGE: dict[str, Callable] = {
    "class_logits": lambda logits, classes: objectives.class_logits(logits, (10 // classes,) * classes),
    "similarity_loss": lambda student_features, teacher_features: objectives.similarity_loss(
        student_features, teacher_features),
    "distance_loss": lambda student_features, teacher_features: objectives.distance_loss(
        student_features, teacher_features)}


def imported(source: str) -> set[str]:
    """The packages that a cell imports."""
    nodes = list(ast.walk(ast.parse(source)))
    return ({alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
            | {(node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)})


def shown(name: str, source: str) -> Callable:
    """The function that the cell defines. Its last line may use what the page made before: that is left out."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not isinstance(node, ast.Expr)]
    space: dict = {}
    exec(compile(tree, "cell", "exec"), space)
    return space[name]


def examples(page: Callable) -> list[dict]:
    """Arguments by their names: a batch for each argument of logits or Gaussians, a knob of every size."""
    random = torch.Generator().manual_seed(7)
    names = list(inspect.signature(page).parameters)
    logits = [name for name in names if name.endswith(("logits", "features", "mean", "log_variance"))]
    batch = {name: 3 * torch.randn(6, 10, generator=random, dtype=torch.float64) for name in logits}
    made = [batch]
    for name in set(names) - set(logits):
        values = KNOBS.get(name, KNOBS["temperature"])
        made = [one | {name: value} for one in made for value in values]
    return made


def followed(function: Callable, arguments: dict) -> list[Tensor]:
    """A function's values, and the slopes of a weighted sum of them in every argument of logits."""
    leaves = {name: value.clone().requires_grad_() for name, value in arguments.items() if torch.is_tensor(value)}
    values = function(**arguments | leaves)
    weights = torch.arange(1.0, values.numel() + 1, dtype=values.dtype).view(values.shape)
    slopes = torch.autograd.grad((weights * values).sum(), list(leaves.values()))
    return [values.detach(), *slopes]


def differs(name: str, source: str) -> bool:
    """Whether a cell's formula and the package's differ, in values or slopes, for any of the examples."""
    page, package = shown(name, source), PACKAGE.get(name, getattr(objectives, name))
    try:
        for arguments in examples(page):
            torch.testing.assert_close(followed(page, arguments), followed(package, arguments), **CLOSE)
    except AssertionError:
        return True
    return False


def test_every_notebook_shows_a_formula():
    assert {path.stem for path in NOTEBOOKS} == {stem for stem, _ in FORMULAS}


@pytest.mark.parametrize("stem, name", FORMULAS)
def test_a_formula_is_plain_torch(stem, name):
    assert imported(FORMULAS[stem, name]) <= PLAIN


def test_a_helper_in_a_formula_would_be_found():
    assert imported("from kdutils.objectives import softmax\nimport torch.nn.functional as F") == {"kdutils", "torch"}


@pytest.mark.parametrize("stem, name", FORMULAS)
def test_values_and_slopes_are_those_of_the_package(stem, name):
    assert not differs(name, FORMULAS[stem, name])


SLIPS = [
    ("00_start_here", "softmax", "logits / temperature", "logits * temperature"),
    ("00_start_here", "softmax", ".softmax(-1)", ".softmax(0)"),
    ("00_start_here", "softmax", ".softmax(-1)", ".softmax(-1).detach().requires_grad_() + 0 * logits"),
    ("01_dark_knowledge", "kd_loss", "temperature**2 * ", ""),
    ("01_dark_knowledge", "kd_loss", ".sum(-1)", ".mean(-1)"),
    ("01_dark_knowledge", "kd_loss", "log_teacher.exp() *", "log_student.exp() *"),
    ("01_dark_knowledge", "kd_loss", "log_teacher.exp() *", "log_teacher.exp().detach() *"),
    ("02_tolerant_teachers", "top_score_difference", "1:ranks", "1:"),
    ("02_tolerant_teachers", "top_score_difference", "1:ranks", ":ranks"),
    ("02_tolerant_teachers", "top_score_difference", ", descending=True", ""),
    ("03_subclass_distillation", "class_logits", ".logsumexp(-1)", ".sum(-1)"),
    ("03_subclass_distillation", "class_logits", "(classes, -1)", "(-1, classes)"),
    ("03_subclass_distillation", "subclass_auxiliary", "correction=0", "correction=1"),
    ("03_subclass_distillation", "subclass_auxiliary", " - 1 / t_aux", ""),
    ("03_subclass_distillation", "subclass_auxiliary", ".logsumexp(-1).mean()", ".mean(-1).logsumexp(-1)"),
    ("03_subclass_distillation", "subclass_auxiliary", " * outputs", ""),
    ("04_spherical_distillation", "on_sphere", "correction=0", "correction=1"),
    ("04_spherical_distillation", "on_sphere", "logits - logits.mean(-1, keepdim=True)", "logits"),
    ("04_spherical_distillation", "on_sphere", "centred.std(-1, correction=0, keepdim=True)",
     "centred.norm(dim=-1, keepdim=True)"),
    ("04_spherical_distillation", "spherical_kd", " / temperature)", ")"),
    ("04_spherical_distillation", "spherical_kd", "temperature**2 * ", ""),
    ("04_spherical_distillation", "spherical_kd", "teacher.exp() *", "teacher.exp().detach() *"),
    ("06_beyond_compression", "similarity_loss", "gram.norm(dim=1, keepdim=True)", "gram.norm()"),
    ("06_beyond_compression", "similarity_loss", ".square().mean()", ".square().sum()"),
    ("06_beyond_compression", "distance_loss", "(len(d) - 1)", "len(d)"),
    ("06_beyond_compression", "distance_loss", "huber_loss", "mse_loss"),
]


@pytest.mark.parametrize("stem, name, right, slip", SLIPS)
def test_a_slip_on_the_page_would_be_found(stem, name, right, slip):
    source = FORMULAS[stem, name]
    assert source.count(right) == 1
    assert differs(name, source.replace(right, slip))


def test_a_constant_that_has_no_slope_is_found_by_its_value():
    source = FORMULAS["03_subclass_distillation", "subclass_auxiliary"]
    assert differs("subclass_auxiliary", source.replace("math.log(n)", str(math.log(6) + 1e-8)))
