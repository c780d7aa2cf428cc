"""Panels that are opened again and again, and moved at random: none is stuck, none stays in memory."""

from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

OPEN = """
import gc, sys, weakref
sys.path.insert(0, {tests!r})
import ipywidgets
from tiny_panels import Softmax, Training
kept, alive = [], []
"""
CELL = "panel = {kind}(); panel.widget; kept.append(weakref.ref(panel)); panel"


@pytest.fixture(scope="module")
def kernel():
    manager, client = start_new_kernel()
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, code: str, cell: str = "", ask: str = "None"):
    """Run a cell as a front end does, which says which one it is; the value of `ask`, and what went wrong."""
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {"asked": ask},
               "allow_stdin": False, "stop_on_error": True}
    message = client.session.msg("execute_request", content, metadata={"cellId": cell} if cell else {})
    client.shell_channel.send(message)
    while True:
        reply = client.get_shell_msg(timeout=120)
        if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            break
    assert reply["content"]["status"] == "ok", reply["content"]
    return eval(reply["content"]["user_expressions"]["asked"]["data"]["text/plain"])


ALIVE = "(gc.collect(), sum(one() is not None for one in kept), len(ipywidgets.Widget.widgets or ()))[1:]"


@pytest.mark.parametrize("kind", ["Softmax", "Training"])
def test_a_cell_that_runs_again_frees_the_panel_it_had_shown(kernel, kind):
    """Catches widgets that are never closed, layouts among them, and panels that Out keeps: 45 of 45 stayed alive."""
    run(kernel, OPEN.format(tests=str(Path(__file__).parents[1])))
    cell = CELL.format(kind=kind)
    assert run(kernel, cell, f"{kind} 1", ALIVE)[0] == 1
    widgets = run(kernel, cell, f"{kind} 1", ALIVE)[1]
    for _ in range(10):
        assert run(kernel, cell, f"{kind} 1", ALIVE) == (1, widgets)
    assert run(kernel, cell, f"{kind} 2", ALIVE)[0] == 2, "another cell's panel is another's"
    assert run(kernel, f"again = panel; {cell}", f"{kind} 2", ALIVE)[0] == 3, "what a reader keeps is kept"
    assert run(kernel, "again.set(temperature=8.0); again.widget", ask="again.values['temperature']") == 8.0


def test_a_panel_that_two_cells_show_stays_on_the_other(kernel):
    """Catches a panel that is taken off a page because the first of two cells that show it ran again."""
    run(kernel, OPEN.format(tests=str(Path(__file__).parents[1])))
    run(kernel, "shared = Softmax(); shared", "A")
    run(kernel, "kept = shared; card = shared.widget; shared", "B")
    run(kernel, "shared = Softmax(); shared", "A")
    assert run(kernel, "pass", ask="kept.widget is card and card.comm is not None")
    run(kernel, "shared", "B")
    assert run(kernel, "pass", ask="kept.widget is not card and card.comm is None"), "now no cell shows it"
