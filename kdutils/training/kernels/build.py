"""Compiling a kernel: run in a process of its own, which alone imports numba.

What it leaves is a file of machine code that needs nothing but a processor of this kind: neither numba nor its runtime,
no function of the system. So whoever trains loads it in a few hundredths of a second (`compiled`).
"""

import sys
from importlib import import_module
from pathlib import Path

import llvmlite.binding as llvm
from numba import types

from kdutils.cache import write_whole
from kdutils.training.kernels.compiled import KERNELS, sealed

_TYPES = {"i8": types.int64, "f4": types.float32, "f8": types.float64}


def object_code(name: str) -> bytes:
    """The kernel of this name in `compiled.KERNELS` as an object file with the one function `name`.

    Errors: RuntimeError if it would call anything outside itself, or be called in another way than we do.
    """
    signature = tuple(_type(kind, axes) for kind, axes in KERNELS[name])
    function = import_module(f"kdutils.training.kernels.{name}").train
    function.compile(signature)
    module = llvm.parse_assembly(function.inspect_llvm(signature))
    (entry,) = (one for one in module.functions if not one.is_declaration and one.linkage is llvm.Linkage.external)
    wanted = 2 + sum(5 + 2 * axes if axes else 1 for _, axes in KERNELS[name])
    if len(list(entry.arguments)) != wanted:
        raise RuntimeError(f"numba passes {len(list(entry.arguments))} arguments to {name}, not {wanted}.")
    if outside := [one.name for one in module.functions if one.is_declaration and not _inside(one.name)]:
        raise RuntimeError(f"The kernel {name} calls {', '.join(outside)}.")
    entry.name = name
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True)
    return machine.emit_object(module)


def _type(kind: str, axes: int):
    """numba's name of an argument: several axes may lie anyhow in memory, one lies without gaps."""
    return types.Array(_TYPES[kind], axes, "C" if axes == 1 else "A") if axes else _TYPES[kind]


def _inside(function: str) -> bool:
    """Whether LLVM makes instructions of this function, or a copy within memory."""
    return function.startswith("llvm.") and not function.startswith(("llvm.log", "llvm.exp", "llvm.pow", "llvm.sin"))


def main() -> None:
    """build.py NAME FILE"""
    name, target = sys.argv[1:]
    code = object_code(name)
    write_whole(Path(target), lambda half: half.write_bytes(sealed(code)))


if __name__ == "__main__":
    main()
