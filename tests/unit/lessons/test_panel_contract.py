"""The contract of panels, asked of every lesson's: what controls accept, what presets set, a page without a reader."""

import ast
import inspect
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import quick_panels
from helpers import answers_at_once, headless_page, line, until
from quick_panels import CASES, STILL, allowed_values, another, looks, wrong_values

import kdutils
from kdutils.errors import ParameterError
from kdutils.lessons import catalog
from kdutils.live.answering import AnsweringPanel
from kdutils.live.control import Choice
from kdutils.live.following import FollowingPanel
from kdutils.live.lab import Lab
from kdutils.live.panel import Panel
from kdutils.live.training_panel import TrainingPanel

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
PACKAGE = Path(kdutils.__file__).parent
BASES = (Panel, TrainingPanel, AnsweringPanel, FollowingPanel, Lab)


def private(tree: ast.AST) -> set[str]:
    """The private names that are looked up on objects."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")
            and not node.attr.endswith("_")}


BASE_NAMES = set.union(*(private(ast.parse(inspect.getsource(inspect.getmodule(base)))) for base in BASES))
EVERY = pytest.mark.parametrize("panel", catalog.panels(), ids=lambda panel: panel.__name__)
EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture
def opened(case):
    """The panel that these tests share, as it was opened, before and after."""
    panel = quick_panels.shared(case)
    yield panel
    panel.close()
    panel.reset()


# ---- what it is made of -------------------------------------------------------------------------------------------

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
        said = {float(number.replace(",", "")) for number in re.findall(r"\d+(?:[.,]\d+)*", name)}
        assert said <= {value for value in values.values() if not isinstance(value, str)}, name
    assert len({tuple(sorted(values.items())) for values in panel.presets.values()}) == len(panel.presets)


@EVERY
def test_the_axis_of_answers_is_a_control_and_its_static_values_are_allowed(panel):
    if issubclass(panel, Lab) and panel.over:
        (control,) = [control for control in panel.controls if control.name == panel.over]
        assert [control.accept(value) for value in panel.static] == list(panel.static)


# ---- wrong values -------------------------------------------------------------------------------------------------

@EVERY_CASE
def test_wrong_values_are_refused_in_one_sentence_and_nothing_changes(case, opened, refuses):
    """Also where another control's value is right; catches values that change before all are checked."""
    before, seen = dict(opened.values), looks(opened)
    for at, control in enumerate(opened.controls):
        other = opened.controls[at - 1]
        for wrong in wrong_values(control):
            with refuses(f"{control.name} must be ", f"got {wrong!r}."):
                opened.set(**{other.name: another(other, before[other.name]), control.name: wrong})
            with pytest.raises(ParameterError, match=f"{control.name} must be "):
                control.accept(wrong)
    with refuses("'no_such_control'", *before):
        opened.set(no_such_control=4)
    assert dict(opened.values) == before and looks(opened) == seen


@EVERY_CASE
def test_nothing_is_prepared_for_a_panel_that_is_refused(case, refuses, monkeypatch):
    """Wrong values and wrong sizes; catches teachers that are trained before a sentence says that it was in vain."""
    monkeypatch.setattr(case.kind, "prepare", lambda panel: pytest.fail("prepared"))
    for name in set(inspect.signature(case.kind).parameters) & {"seeds", "steps", "transfer", "generations"}:
        for wrong in (0, 2.5, 100_000 if name in ("transfer", "generations") else -1):
            with refuses(repr(wrong)):
                case.make(**{name: wrong})
    for control in case.kind.controls:
        with refuses(control.name, "no such value"):
            case.make(**{control.name: "no such value"})
    with refuses("no_such_control"):
        case.make(no_such_control=1)


@EVERY_CASE
def test_after_a_refusal_the_page_goes_on(opened):
    assert opened.widget
    for control in opened.controls[::-1]:
        with pytest.raises(ParameterError):
            opened.set(**{control.name: "no such value"})
        value = another(control, opened.values[control.name])
        opened.set(**{control.name: value})
        assert opened.inputs[control.name].value == opened.values[control.name] == value
        assert line(opened, "kd-reading").text == opened.words()
    value = another(control, value)
    opened.inputs[control.name].value = value
    assert opened.values[control.name] == value


# ---- presets and reset --------------------------------------------------------------------------------------------

@EVERY_CASE
def test_presets_set_what_they_say_and_reset_goes_back_to_the_opening(case, opened):
    """Also where other values than the defaults were given; catches a preset that moves another control, and a figure
    of which reset leaves something."""
    first, seen, readings = dict(opened.values), looks(opened), set()
    for name, values in opened.presets.items():
        before = dict(opened.values)
        opened.preset(name)
        assert dict(opened.values) == before | dict(values)
        readings.add(opened.reading())
    for control in opened.controls:
        for value in allowed_values(control):
            opened.set(**{control.name: value})
    if case in STILL:
        assert len(readings) == len(opened.presets), "a reader must see that something else is shown"
    opened.reset()
    assert dict(opened.values) == first and looks(opened) == seen


# ---- two who move it at once --------------------------------------------------------------------------------------

@EVERY_CASE
def test_a_figure_and_its_sentence_are_of_one_setting(case, opened, monkeypatch):
    """Catches bars of one value beside a line of the next, where another thread moves the controls in between."""
    others = {control.name: another(control, opened.values[control.name]) for control in opened.controls}
    expected, drawing, seen, movers, plain = looks(opened), threading.get_ident(), [], [], Panel.values.fget

    def moved_meanwhile(panel):
        values = plain(panel)
        if threading.get_ident() == drawing and panel is opened and not movers:
            movers.append(threading.Thread(target=panel.set, kwargs=others))
            movers[0].start()
            assert until(lambda: pool.submit(lambda: dict(plain(panel))).result() == others)
        return values

    push = opened.chart.push
    monkeypatch.setattr(opened.chart, "push", lambda: (seen.append(looks(opened)), push()))
    with ThreadPoolExecutor(1) as pool, monkeypatch.context() as patch:
        patch.setattr(Panel, "values", property(moved_meanwhile))
        opened.refresh(frozenset(others))
        movers[0].join()
    assert seen[0] == expected and len(seen) > 1
    assert looks(opened) != expected and dict(opened.values) == others


# ---- the formula ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("case", [case for case in CASES if case.kind.formula is not Panel.formula], ids=str)
def test_a_formula_has_the_numbers_of_the_controls_in_it(case, opened):
    """Catches a number that stays behind its control, a mark that is not closed, a line too long for the page."""
    for control in opened.controls:
        opened.set(**{one.name: one.default for one in opened.controls})
        assert opened.widget
        said = []
        for value in allowed_values(control):
            opened.set(**{control.name: value})
            said.append(opened.formula())
            assert re.fullmatch(r"[^⟦⟧]*(⟦[^⟦⟧]+⟧[^⟦⟧]*)+", said[-1]), said[-1]
            assert len(re.sub("[⟦⟧]", "", said[-1])) <= 140, said[-1]
            assert line(opened, "kd-formula").text == said[-1]
            if not isinstance(control, Choice) and control.name != "angle":
                assert f"⟦{value:.3g}⟧" in said[-1], control.name
        assert isinstance(control, Choice) or len(set(said)) > 1, control.name


# ---- without a reader, and at once --------------------------------------------------------------------------------

@EVERY_CASE
def test_headless_a_panel_runs_and_is_its_whole_figure_and_its_sentence(case, monkeypatch):
    panel = headless_page(case.make, monkeypatch)
    assert dict(panel.values) == dict(panel.opened_with), "the sentence is about what was asked for"
    if isinstance(panel, TrainingPanel):
        assert panel.state == "done"
    if isinstance(panel, Lab) and panel.over:
        mine = panel.values[panel.over]
        shown = [getattr(answer, panel.over) for answer in panel.answers]
        assert shown == [*(value for value in panel.static if value != mine), mine]
    elif isinstance(panel, FollowingPanel) and not isinstance(panel, Lab):
        assert panel.answers


@pytest.mark.alone
@EVERY_CASE
def test_without_a_run_a_panel_answers_at_once(case, opened):
    """The contract: under 100 ms."""
    settings = [{control.name: value} for control in opened.controls for value in allowed_values(control)]
    answers_at_once(opened, [*settings, *(dict(values) for values in opened.presets.values())])
