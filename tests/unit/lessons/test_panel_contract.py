"""The contract of panels, asked of every lesson's: a public base, controls and presets that say what they do."""

import ast
import inspect
from pathlib import Path

import pytest

import kdutils
from kdutils.errors import ParameterError
from kdutils.lessons import catalog
from kdutils.live.control import Choice
from kdutils.live.following import FollowingPanel
from kdutils.live.lab import Lab
from kdutils.live.panel import Panel
from kdutils.live.training_panel import AnsweringPanel, TrainingPanel

PACKAGE = Path(kdutils.__file__).parent
BASES = (Panel, TrainingPanel, AnsweringPanel, FollowingPanel, Lab)


def private(tree: ast.AST) -> set[str]:
    """The private names that are looked up on objects."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")
            and not node.attr.endswith("_")}


BASE_NAMES = set.union(*(private(ast.parse(inspect.getsource(inspect.getmodule(base)))) for base in BASES))
EVERY = pytest.mark.parametrize("panel", catalog.panels(), ids=lambda panel: panel.__name__)


@EVERY
def test_a_panel_uses_and_replaces_no_private_name_of_its_base(panel):
    tree = ast.parse(inspect.getsource(panel))
    methods = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert not (private(tree) | methods) & BASE_NAMES


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[1].rglob("test_*panel*.py")), ids=lambda path: path.name)
def test_tests_of_panels_use_the_public_contract(path):
    assert not private(ast.parse(path.read_text())) & BASE_NAMES


@EVERY
def test_controls_and_presets_say_what_they_do(panel):
    assert panel.title and panel.controls and panel.presets
    names = {control.name for control in panel.controls}
    for control in panel.controls:
        assert control.label and control.help.endswith(".") and control.accept(control.default) == control.default
    for name, values in panel.presets.items():
        assert name and set(values) <= names
    assert len({tuple(sorted(values.items())) for values in panel.presets.values()}) == len(panel.presets)


@EVERY
@pytest.mark.parametrize("wrong", [float("nan"), None, True, "no such value", [1.0]], ids=repr)
def test_wrong_values_are_refused_by_every_control_in_one_sentence(panel, wrong):
    for control in panel.controls:
        if isinstance(control, Choice) and wrong in control.options:
            continue
        with pytest.raises(ParameterError, match=rf"{control.name} must be .*got .*\.$"):
            control.accept(wrong)


@EVERY
def test_the_axis_of_answers_is_a_control_and_its_static_values_are_allowed(panel):
    if issubclass(panel, Lab) and panel.over:
        (control,) = [control for control in panel.controls if control.name == panel.over]
        assert [control.accept(value) for value in panel.static] == list(panel.static)
