"""A cell that runs again shows a new panel: the one that it showed before is closed, and its memory is free again.

Without this every panel would live as long as its kernel: ipywidgets keeps each widget that was not closed, and IPython
keeps what a cell returned.
"""

import threading
import weakref

_shown: dict[str, tuple[str, weakref.WeakSet]] = {}    # by cell: the run that showed panels last, and these panels
_newest: dict[str, weakref.ref] = {}    # by kind: the panel that was made last
_newest_lock = threading.Lock()


def shown(panel) -> None:
    """`panel` appears under the cell that runs just now: panels of that cell's earlier runs are closed.

    A panel that another cell shows as well stays open.
    """
    cell, run = _running()
    if not cell:
        return
    former, panels = _shown.get(cell, (run, weakref.WeakSet()))
    if former == run:
        _shown[cell] = (run, panels | weakref.WeakSet([panel]))
        return
    _shown[cell] = (run, weakref.WeakSet([panel]))
    still = {id(one) for _, others in _shown.values() for one in others}
    for one in panels:
        if id(one) not in still:
            one.close()
            _forget(one)


def stop_former(panel) -> None:
    """Running a cell again makes a new panel: the former one of the same kind must not go on training behind it.

    Kinds are told apart by name: a class that is defined in a notebook is a new class after its cell ran again.
    """
    kind = f"{type(panel).__module__}.{type(panel).__qualname__} {panel.variant}"
    with _newest_lock:
        former = _newest.get(kind, lambda: None)()
        _newest[kind] = weakref.ref(panel)
    if former is not None:
        former.stop()


def close_widgets(widget) -> None:
    """Close a widget, all that is in it, and their layouts and styles, which widgets do not close by themselves."""
    for child in getattr(widget, "children", ()):
        close_widgets(child)
    for part in ("layout", "style"):
        if hasattr(getattr(widget, part, None), "close"):
            getattr(widget, part).close()
    widget.close()


def _shell():
    from IPython import get_ipython

    return get_ipython()


def _running() -> tuple[str, str]:
    """The id that the front end gave the cell, and that of its run; empty where there is no such thing."""
    kernel = getattr(_shell(), "kernel", None)
    parent = kernel.get_parent() if kernel is not None else {}
    return parent.get("metadata", {}).get("cellId") or "", parent.get("header", {}).get("msg_id") or ""


def _forget(panel) -> None:
    """Take a panel out of the results of former cells: Out, _, __, ___ and _7, and what IPython hides of them."""
    shell = _shell()
    for names in (shell.user_ns, shell.user_ns_hidden):
        for name in [name for name, value in names.items() if value is panel and name.startswith("_")]:
            names[name] = ""
    for number in [number for number, value in shell.user_ns.get("_oh", {}).items() if value is panel]:
        del shell.user_ns["_oh"][number]
    for name in ("_", "__", "___"):
        if getattr(shell.displayhook, name, None) is panel:
            setattr(shell.displayhook, name, "")
