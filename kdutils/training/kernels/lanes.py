"""Several numbers at a time: a `Lanes` value fills one register of the processor, and `+ - * /` act on all of it.

numba leaves it to LLVM to find out which loops may run side by side, and LLVM gives up where it cannot prove that two
parts of an array lie apart. Here it is said outright: `load(array, i)` is LANES single-precision numbers from place i
on, `store(array, i, lanes)` puts them back, and what is between stays in registers. Nothing checks bounds.
"""

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

# A kernel without the entrances that Python and C would need, numba's runtime and its errors: what comes out needs
# nothing but a processor.
inner = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy", _nrt=False)

# Python's 0 and 1 would each make a kernel compile for that very number.
ZERO, ONE = np.int64(0), np.int64(1)

# 16 numbers fill a register of AVX-512, 8 one of AVX2 (and two of NEON).
LANES = 16 if llvm.get_host_cpu_features().get("avx512f") else 8

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_FLOATS, _INTS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT, LANES)


class LanesType(types.Type):
    def __init__(self):
        super().__init__("Lanes")


lanes_type = LanesType()


@register_model(LanesType)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, _FLOATS)


# Arithmetic -------------------------------------------------------------------------------------------------------

def _operator(symbol, instruction):
    """Let `a symbol b` be LLVM's `instruction` on all lanes."""

    @type_callable(symbol)
    def typer(context):
        return lambda a, b: lanes_type if a is lanes_type and b is lanes_type else None

    @lower_builtin(symbol, lanes_type, lanes_type)
    def lower(context, builder, signature, arguments):
        return getattr(builder, instruction)(*arguments)


def _call(builder, name, arguments):
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32"), arguments)


def _unary(name):
    """LLVM's intrinsic `name` on all lanes."""

    @intrinsic
    def function(typing, a):
        def code(context, builder, signature, arguments):
            return _call(builder, name, arguments)

        return lanes_type(lanes_type), code

    return function


square_root = _unary("sqrt")


@intrinsic
def fused(typing, a, b, c):
    """a * b + c, rounded once where the processor can."""

    def code(context, builder, signature, arguments):
        return _call(builder, "fmuladd", arguments)

    return lanes_type(lanes_type, lanes_type, lanes_type), code


@intrinsic
def larger(typing, a, b):
    """The larger of each pair; b where one is not a number."""

    def code(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return lanes_type(lanes_type, lanes_type), code


@intrinsic
def exceeds(typing, a, b):
    """1 where a > b, else 0."""

    def code(context, builder, signature, arguments):
        one, zero = ir.Constant(_FLOATS, [1.0] * LANES), ir.Constant(_FLOATS, [0.0] * LANES)
        return builder.select(builder.fcmp_ordered(">", *arguments), one, zero)

    return lanes_type(lanes_type, lanes_type), code


@intrinsic
def equals(typing, a, b):
    """1 where a == b, else 0."""

    def code(context, builder, signature, arguments):
        one, zero = ir.Constant(_FLOATS, [1.0] * LANES), ir.Constant(_FLOATS, [0.0] * LANES)
        return builder.select(builder.fcmp_ordered("==", *arguments), one, zero)

    return lanes_type(lanes_type, lanes_type), code


@intrinsic
def choose(typing, a, b, x, y):
    """x where a > b, else y."""

    def code(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered(">", *arguments[:2]), *arguments[2:])

    return lanes_type(*[lanes_type] * 4), code


@intrinsic
def where_positive(typing, a, b):
    """b where a > 0, else 0."""

    def code(context, builder, signature, arguments):
        zero = ir.Constant(_FLOATS, [0.0] * LANES)
        return builder.select(builder.fcmp_ordered(">", arguments[0], zero), arguments[1], zero)

    return lanes_type(lanes_type, lanes_type), code


@intrinsic
def lowest(typing, a):
    """The number in the first lane."""

    def code(context, builder, signature, arguments):
        return builder.extract_element(arguments[0], ir.Constant(_INT, 0))

    return types.float32(lanes_type), code


@intrinsic
def total(typing, a):
    """The sum of all lanes, always in one order: halves are added until one number is left."""

    def code(context, builder, signature, arguments):
        kind = ir.FunctionType(_FLOAT, [_FLOAT, _FLOATS])
        reduce = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
        return builder.call(reduce, [ir.Constant(_FLOAT, 0.0), arguments[0]], fastmath=("reassoc",))

    return types.float32(lanes_type), code


# To and from memory -----------------------------------------------------------------------------------------------

@intrinsic
def load(typing, array, index):
    def code(context, builder, signature, arguments):
        return builder.load(_place(context, builder, signature, arguments), align=4)

    return lanes_type(array, types.intp), code


@intrinsic
def store(typing, array, index, value):
    def code(context, builder, signature, arguments):
        builder.store(arguments[2], _place(context, builder, signature, arguments), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes_type), code


def _pointer(context, builder, signature, arguments, first=0):
    """Of the number at arguments[first + 1] of the array at arguments[first]."""
    array = context.make_array(signature.args[first])(context, builder, arguments[first])
    return builder.gep(array.data, [arguments[first + 1]])


def _place(context, builder, signature, arguments):
    return builder.bitcast(_pointer(context, builder, signature, arguments), _FLOATS.as_pointer())


@intrinsic
def spread(typing, array, index):
    """The number at one place of an array, in every lane."""

    def code(context, builder, signature, arguments):
        return _everywhere(builder, builder.load(_pointer(context, builder, signature, arguments)))

    return lanes_type(array, types.intp), code


@intrinsic
def move(typing, target, index, source, place):
    """target[index] = source[place], one number."""

    def code(context, builder, signature, arguments):
        number = builder.load(_pointer(context, builder, signature, arguments, 2))
        builder.store(number, _pointer(context, builder, signature, arguments))
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp), code


@intrinsic
def transpose(typing, source, index, step, target, place, stride):
    """Turn a square of LANES x LANES numbers over: row r lies at source[index + r * step] and becomes column r of
    target, whose rows lie at target[place + r * stride]."""

    def code(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature, arguments)
        rows = []
        for _ in range(LANES):
            rows.append(builder.load(builder.bitcast(pointer, _FLOATS.as_pointer()), align=4))
            pointer = builder.gep(pointer, [arguments[2]])
        half = LANES // 2
        while half:  # swap the off-diagonal halves of blocks, then quarters, ...
            low = [p if not p & half else LANES + p - half for p in range(LANES)]
            high = [p + half if not p & half else LANES + p for p in range(LANES)]
            for r in (r for r in range(LANES) if not r & half):
                pair = rows[r], rows[r + half]
                rows[r], rows[r + half] = (
                    builder.shuffle_vector(*pair, ir.Constant(_INTS, mask)) for mask in (low, high))
            half //= 2
        pointer = _pointer(context, builder, signature, arguments, 3)
        for row in rows:
            builder.store(row, builder.bitcast(pointer, _FLOATS.as_pointer()), align=4)
            pointer = builder.gep(pointer, [arguments[5]])
        return context.get_dummy_value()

    return types.void(source, *[types.intp] * 2, target, *[types.intp] * 2), code


@intrinsic
def every(typing, number):
    """The same number in every lane."""

    def code(context, builder, signature, arguments):
        return _everywhere(builder, arguments[0])

    return lanes_type(types.float32), code


def _everywhere(builder, number):
    nothing = ir.Constant(_FLOATS, ir.Undefined)
    one = builder.insert_element(nothing, number, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(_INTS, [0] * LANES))


@intrinsic
def scale(typing, n):
    """2**k, where n = 1.5 * 2**23 + k: k lies in the lowest bits of such a number."""

    def code(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], _INTS)
        exponent = builder.shl(bits, ir.Constant(_INTS, [23] * LANES))
        return builder.bitcast(builder.add(exponent, ir.Constant(_INTS, [127 << 23] * LANES)), _FLOATS)

    return lanes_type(lanes_type), code


@intrinsic
def exponent(typing, x):
    """k of a normal x = f * 2**k with f from sqrt(1/2) to sqrt(2)."""

    def code(context, builder, signature, arguments):
        return builder.sitofp(_shifted(builder, arguments[0]), _FLOATS)

    return lanes_type(lanes_type), code


@intrinsic
def fraction(typing, x):
    """f of a normal x = f * 2**k with f from sqrt(1/2) to sqrt(2)."""

    def code(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], _INTS)
        exponent = builder.shl(_shifted(builder, arguments[0]), ir.Constant(_INTS, [23] * LANES))
        return builder.bitcast(builder.sub(bits, exponent), _FLOATS)

    return lanes_type(lanes_type), code


def _shifted(builder, x):
    root = int(np.float32(np.sqrt(0.5)).view(np.int32))
    bits = builder.sub(builder.bitcast(x, _INTS), ir.Constant(_INTS, [root] * LANES))
    return builder.ashr(bits, ir.Constant(_INTS, [23] * LANES))


def _install():
    import operator

    for symbol, instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"),
                                (operator.truediv, "fdiv")):
        _operator(symbol, instruction)


_install()
