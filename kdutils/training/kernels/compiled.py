"""The compiled kernels: made once per machine, in the background, and kept on disk.

KDUTILS_ENGINE says what trains where kernels could: "auto", the kernels as soon as they are there and torch's loop
until then; "torch", its loop always; "kernels", which waits for them.
"""

import hashlib
import os
import sys
import threading
import warnings
from collections.abc import Callable
from functools import cache as memoise
from importlib import metadata, util
from pathlib import Path

from kdutils import cache
from kdutils.errors import ParameterError, one_of

ENGINES = ("auto", "torch", "kernels")


class Compiler:
    """One compile at a time, whoever asks; `ready` is set when there is a kernel or an error that says why not.

    from_disk: whether the kernel lay on the disk when it was first asked for.
    """

    def __init__(self, make: Callable[[], Callable]):
        self._make, self._starting, self._thread = make, threading.Lock(), None
        self.ready, self.kernel, self.error = threading.Event(), None, None
        self.from_disk = False

    def start(self) -> None:
        """Compile, or load from the disk, in a thread of its own; at the first call only."""
        with self._starting:
            if self._thread is None:
                # Asked now and not later: another process may have compiled while this one still does.
                self.from_disk = kept()
                # Not a daemon: the interpreter must not go down under a compiler. It ends within seconds.
                self._thread = threading.Thread(target=self._work, name="kdutils-kernels")
                self._thread.start()

    def _work(self) -> None:
        try:
            self.kernel = self._make()
        except Exception as error:  # an unknown processor, a numba of another kind: torch does it all the same
            self.error = error
            warnings.warn(f"The training kernels cannot be compiled ({type(error).__name__}: {error}); torch's loop "
                          "trains instead.", stacklevel=2)
        finally:
            self.ready.set()


def kernel() -> Callable | None:
    """The training kernel; None while it is being compiled, and where there is none or none is wanted.

    The first call starts the compiler. A kernel that lies on the disk is waited for: it takes half a second.
    """
    wanted = one_of("KDUTILS_ENGINE", os.environ.get("KDUTILS_ENGINE") or "auto", ENGINES)
    if wanted == "torch":
        return None
    if not installed():
        if wanted == "kernels":
            raise ParameterError("KDUTILS_ENGINE must be auto or torch where numba is not installed, got 'kernels'.")
        return None
    COMPILER.start()
    if wanted == "kernels" or COMPILER.from_disk:
        COMPILER.ready.wait()
    return COMPILER.kernel


def installed() -> bool:
    """Whether numba is there and may compile."""
    return util.find_spec("numba") is not None and os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"


def kept() -> bool:
    """Whether the kernels for this machine lie on the disk."""
    folder = _folder()
    return folder is not None and os.path.exists(folder / "complete")


def state() -> str:
    """What trains small networks on this machine's CPU, in words for `kdutils doctor`."""
    if os.environ.get("KDUTILS_ENGINE") == "torch":
        return "torch's loop, as KDUTILS_ENGINE=torch asks"
    if not installed():
        return "torch's loop; numba is not installed"
    numba = f"kernels by numba {metadata.version('numba')}"
    return f"{numba}, compiled" if kept() else f"{numba}, to be compiled in the background of the first training"


def compile_into(folder: Path | None, function, signature: tuple) -> Callable:
    """A function of numba, compiled for this one signature, or loaded from the folder if it lies there.

    A folder that cannot be written to is left out: the function is compiled for this process alone. Several processes
    may do it at once: they write the same.
    """
    from numba import config

    writable = folder is not None and _writable(folder)
    if writable:
        before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
        try:
            function.enable_caching()
        finally:
            config.CACHE_DIR = before
    function.compile(signature)
    function.disable_compile()  # arguments of another type are a mistake from here on, no reason to compile again
    if writable:
        (folder / "complete").touch()
    return function


def _training_kernel() -> Callable:
    from numba import types

    from kdutils.training.kernels import mlp

    whole, single, double = types.int64, types.float32, types.float64
    numbers, wholes, table = types.Array(single, 1, "C"), types.Array(whole, 1, "C"), types.Array(whole, 2, "A")
    return compile_into(_folder(), mlp.train, (
        whole, whole, wholes, numbers, table, table, types.Array(whole, 3, "C"), numbers, wholes, whole, wholes,
        types.Array(single, 2, "C"), types.Array(double, 1, "C"), whole, numbers, numbers, numbers,
        types.Array(double, 1, "C")))


COMPILER = Compiler(_training_kernel)


def _folder() -> Path | None:
    """Where the kernels of this code, this numba and this processor are kept; None without a cache."""
    root = cache.directory()
    return root and root / f"kernels-{_version()}"


@memoise
def _version() -> str:
    """12 hex digits of all that decides what is compiled. numba itself asks for one source file only."""
    import llvmlite.binding as llvm

    here = Path(__file__).parent
    machine = (metadata.version("numba"), sys.version, llvm.get_host_cpu_name(), str(llvm.get_host_cpu_features()),
               str(here))
    sources = [path.read_bytes() for path in sorted(here.glob("*.py"))]
    return hashlib.sha256(b"\0".join([*sources, *(part.encode() for part in machine)])).hexdigest()[:12]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}-{threading.get_ident()}"
        probe.touch()
        probe.unlink()
        return True
    except OSError:
        return False
