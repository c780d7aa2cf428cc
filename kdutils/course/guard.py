"""No error may hide in a thread, and no thread may outlive its notebook.

`arm()` remembers which threads there are and listens to `threading.excepthook`; `complaints()` says in words
what went wrong since. A trainer that catches its own error, to show it in a status line, passes it to that hook
as well.
"""

import threading
import time
import weakref

# Libraries whose own kinds of thread start long after setup(): the kernel's, its sockets', progress bars', debuggers'.
_HOUSEKEEPERS = {"ipykernel", "IPython", "zmq", "tqdm", "debugpy", "_pydevd_bundle"}

# Ours that no page has to wait for: it compiles for the whole machine, goes on after Stop, and catches its own errors.
_COMPILER = "kdutils-kernels"

_known: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
caught: list[str] = []
listening = False


def arm() -> None:
    """Start (or start again) to watch: threads alive now are nobody's fault, errors so far are forgotten."""
    global listening
    caught.clear()
    _known.update(threading.enumerate())
    if not listening:
        _listen()
        listening = True


def armed() -> bool:
    """True once `arm()` was called in this process."""
    return listening


def strangers() -> list[threading.Thread]:
    """Threads that are alive, were not there when the guard was armed, and are not the kernel's own."""
    return [thread for thread in threading.enumerate() if thread not in _known and not _housekeeping(thread)]


def complaints(grace: float = 2.0) -> list[str]:
    """One sentence for each error in a thread and each thread still alive after `grace` seconds."""
    deadline = time.monotonic() + grace
    while (alive := strangers()) and time.monotonic() < deadline:
        alive[0].join(max(0.0, min(0.05, deadline - time.monotonic())))
    return [*caught, *(f"the thread {thread.name} is still alive" for thread in alive)]


def _housekeeping(thread: threading.Thread) -> bool:
    foreign = isinstance(thread, threading._DummyThread)  # started outside Python, for example by torch
    named = thread.name == _COMPILER or thread.name.startswith("asyncio_")
    return foreign or named or type(thread).__module__.split(".")[0] in _HOUSEKEEPERS


def _listen() -> None:
    former = threading.excepthook

    def hook(args) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else "a thread"
            caught.append(f"the thread {name} raised {args.exc_type.__name__}: {args.exc_value or ''}".rstrip(": "))
        former(args)

    threading.excepthook = hook
