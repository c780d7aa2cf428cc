"""The compiled kernels: made once per machine, in a process of their own, kept on disk, loaded as machine code.

KDUTILS_ENGINE says what trains where kernels could: "auto", the kernels as soon as they are there and torch's loop
until then; "torch", its loop always; "kernels", which waits for them.
"""

import ctypes
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from functools import cache as memoise
from functools import partial
from importlib import metadata, util
from pathlib import Path

from kdutils import cache
from kdutils.errors import ParameterError, one_of
from kdutils.locks import alone

ENGINES = ("auto", "torch", "kernels")
PATIENCE = 300  # seconds for one compile, ours or another process's

_ENDS = (("i8", 0), ("i8", 0))
_READ = (("f4", 1), ("i8", 2), ("i8", 2), ("i8", 3), ("f4", 1), ("i8", 1), ("i8", 0), ("i8", 1), ("f4", 2), ("f8", 1),
         ("f8", 1), ("f4", 1), ("f4", 1), ("f4", 1), ("f8", 1), ("f4", 1))
# The kernels, each the function `train` of its module, and their arguments: kind of number, axes (0: one number).
KERNELS = {"mlp": (*_ENDS, ("i8", 1), ("i8", 2), *_READ),
           "convnet": (*_ENDS, ("i8", 2), ("i8", 1), ("i8", 1), *_READ)}


class Compiler:
    """One compile at a time, whoever asks; `ready` is set when there is a kernel or an error that says why not.

    from_disk: whether the kernel lay on the disk when it was first asked for.
    """

    def __init__(self, name: str, make: Callable[[], Callable]):
        self.name, self._make, self._starting, self._thread = name, make, threading.Lock(), None
        self.ready, self.kernel, self.error = threading.Event(), None, None
        self.from_disk = False

    def start(self) -> None:
        """Compile, or load from the disk, beside the caller; at the first call only."""
        with self._starting:
            if self._thread is None:
                # Asked now and not later: another process may have compiled while this one still does.
                self.from_disk = kept(self.name)
                self._thread = threading.Thread(target=self._work, name="kdutils-kernels", daemon=True)
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


def kernel(name: str = "mlp") -> Callable | None:
    """The kernel of this name; None while it is being compiled, and where there is none or none is wanted.

    The first call starts the compiler. A kernel that lies on the disk is waited for: that takes no time to speak of.
    """
    wanted = one_of("KDUTILS_ENGINE", os.environ.get("KDUTILS_ENGINE") or "auto", ENGINES)
    if wanted == "torch":
        return None
    if not installed():
        if wanted == "kernels":
            raise ParameterError("KDUTILS_ENGINE must be auto or torch where numba is not installed, got 'kernels'.")
        return None
    compiler = COMPILERS[name]
    compiler.start()
    if wanted == "kernels" or compiler.from_disk:
        compiler.ready.wait()
    return compiler.kernel


def installed() -> bool:
    """Whether numba is there and may compile."""
    return util.find_spec("numba") is not None and os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"


def kept(name: str) -> bool:
    """Whether this kernel, for this machine, lies on the disk."""
    place = folder()
    return place is not None and _file(place, name).exists()


def state() -> str:
    """What trains small networks on this machine's CPU, in words for `kdutils doctor`."""
    if os.environ.get("KDUTILS_ENGINE") == "torch":
        return "torch's loop, as KDUTILS_ENGINE=torch asks"
    if not installed():
        return "torch's loop; numba is not installed"
    numba = f"kernels by numba {metadata.version('numba')}"
    return f"{numba}, compiled" if kept("mlp") else f"{numba}, to be compiled in the background of the first training"


def made(name: str, folder: Path | None, build: Callable[[str, Path], None]) -> Callable:
    """The kernel of this name from the folder, or built into it by `build(name, file)` if it does not lie there whole.

    A folder that cannot be written to is left out. Of several processes one builds, the others wait for it.
    """
    if folder is None or not _writable(folder):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
            code = folder and opened(_file(folder, name))   # a cache that may be read all the same
            if not code:
                build(name, _file(Path(own), name))
                code = opened(_file(Path(own), name))
            return loaded(name, code)
    file = _file(folder, name)
    if not opened(file):
        with alone(file.with_suffix(".lock"), PATIENCE):
            if not opened(file):
                build(name, file)
    return loaded(name, opened(file))


def build(name: str, file: Path) -> None:
    """Compile a kernel in a process of its own: this one goes on meanwhile, and never imports numba."""
    package = str(Path(__file__).parents[3])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])]),
                                "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", "from kdutils.training.kernels.build import main; main()", name, str(file)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if ended.returncode:
        raise RuntimeError(ended.stderr.strip().rpartition("\n")[2] or f"it ended with {ended.returncode}")


def sealed(code: bytes) -> bytes:
    """A file's content: a checksum, then the code."""
    return hashlib.sha256(code).digest() + code


def opened(file: Path) -> bytes | None:
    """The code in a file; None if there is no such file, or another than was written."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    return content[32:] if content == sealed(content[32:]) else None


def loaded(name: str, code: bytes) -> Callable:
    """The function in an object file, to be called with numbers and arrays of the kinds in KERNELS; it holds no GIL."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kinds = [ctypes.c_int64 if kind == "i8" else ctypes.c_double for kind, axes in KERNELS[name] if not axes]
    assert all(kind is ctypes.c_int64 for kind in kinds), "single numbers travel in whole registers"
    count = 2 + sum(5 + 2 * axes if axes else 1 for _, axes in KERNELS[name])
    function = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * count)(engine.get_function_address(name))
    return partial(_call, name, engine, function)  # the engine owns the code


def _call(name: str, engine, function: Callable, *arguments) -> None:
    nothing = ctypes.c_void_p()
    place = ctypes.addressof(nothing)
    flat = [place, place]
    for (kind, axes), value in zip(KERNELS[name], arguments, strict=True):
        if axes:
            if value.dtype != kind or value.ndim != axes or not (axes > 1 or value.flags.c_contiguous):
                raise TypeError(f"{name} takes {kind} with {axes} axes here, got {value.dtype}, {value.shape}.")
            # An array as numba passes it: two owners, of which it has none; how long; where; each axis.
            flat += 0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides
        else:
            flat.append(value)
    if status := function(*flat):
        raise RuntimeError(f"The kernel {name} ended with {status}.")


def _made(name: str) -> Callable:
    return made(name, folder(), build)


COMPILERS = {name: Compiler(name, partial(_made, name)) for name in KERNELS}


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.o"


def folder() -> Path | None:
    """Where the kernels of this code, this numba and this processor are kept; None without a cache."""
    root = cache.directory()
    return root and root / f"kernels-{_version()}"


@memoise
def _version() -> str:
    """12 hex digits of all that decides what is compiled."""
    import llvmlite.binding as llvm

    machine = (metadata.version("numba"), sys.platform, llvm.get_host_cpu_name(),
               llvm.get_host_cpu_features().flatten())
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
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
