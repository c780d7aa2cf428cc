"""The steps of training that every network shares: products of small matrices, sums, Adam.

Arrays are flat, and a matrix is a place in one: it begins at `a0`, and so on. Rows are `n` numbers apart, and n is a
whole number of lanes. All is single precision.
"""

import numpy as np

from kdutils.training.kernels import FILL
from kdutils.training.kernels.lanes import (
    LANES,
    ONE,
    every,
    fused,
    inner,
    larger,
    load,
    move,
    spread,
    square_root,
    store,
    total,
    transpose,
    where_positive,
)

F = np.float32


@inner
def product(a, a0, down, across, b, b0, c, c0, rows, depth, n):
    """C = A B, for A (rows, depth) whose element (r, k) is a[a0 + r * down + k * across], B (depth, n), C (rows, n).

    Four rows of two registers each are summed at a time. At the edges the last row or register is computed twice
    rather than another way: the same numbers in the same order.
    """
    for r in range(0, rows, 4):
        r1, r2, r3 = min(r + 1, rows - 1), min(r + 2, rows - 1), min(r + 3, rows - 1)
        a_0, a_1, a_2, a_3 = a0 + r * down, a0 + r1 * down, a0 + r2 * down, a0 + r3 * down
        for left in range(0, n, 2 * LANES):
            right = min(left + LANES, n - LANES)
            s00, s01, s10, s11, s20, s21, s30, s31 = (
                every(F(0)), every(F(0)), every(F(0)), every(F(0)), every(F(0)), every(F(0)), every(F(0)), every(F(0)))
            at = 0
            for k in range(depth):
                x, y = load(b, b0 + k * n + left), load(b, b0 + k * n + right)
                w = spread(a, a_0 + at)
                s00, s01 = fused(w, x, s00), fused(w, y, s01)
                w = spread(a, a_1 + at)
                s10, s11 = fused(w, x, s10), fused(w, y, s11)
                w = spread(a, a_2 + at)
                s20, s21 = fused(w, x, s20), fused(w, y, s21)
                w = spread(a, a_3 + at)
                s30, s31 = fused(w, x, s30), fused(w, y, s31)
                at += across
            store(c, c0 + r * n + left, s00)
            store(c, c0 + r * n + right, s01)
            store(c, c0 + r1 * n + left, s10)
            store(c, c0 + r1 * n + right, s11)
            store(c, c0 + r2 * n + left, s20)
            store(c, c0 + r2 * n + right, s21)
            store(c, c0 + r3 * n + left, s30)
            store(c, c0 + r3 * n + right, s31)


@inner
def gathered(a, a0, down, b, b0, table, t0, c, c0, apart, rows, depth, n):
    """C = A B as in `product`, where row k of B begins at b0 + table[t0 + k], and those of C are `apart` numbers apart.

    A's element (r, k) is a[a0 + r * down + k].
    """
    for r in range(0, rows, 4):
        r1, r2, r3 = min(r + 1, rows - 1), min(r + 2, rows - 1), min(r + 3, rows - 1)
        a_0, a_1, a_2, a_3 = a0 + r * down, a0 + r1 * down, a0 + r2 * down, a0 + r3 * down
        for left in range(0, n, 2 * LANES):
            right = min(left + LANES, n - LANES)
            s00, s01, s10, s11, s20, s21, s30, s31 = (
                every(F(0)), every(F(0)), every(F(0)), every(F(0)), every(F(0)), every(F(0)), every(F(0)), every(F(0)))
            for k in range(depth):
                row = b0 + table[t0 + k]
                x, y = load(b, row + left), load(b, row + right)
                w = spread(a, a_0 + k)
                s00, s01 = fused(w, x, s00), fused(w, y, s01)
                w = spread(a, a_1 + k)
                s10, s11 = fused(w, x, s10), fused(w, y, s11)
                w = spread(a, a_2 + k)
                s20, s21 = fused(w, x, s20), fused(w, y, s21)
                w = spread(a, a_3 + k)
                s30, s31 = fused(w, x, s30), fused(w, y, s31)
            store(c, c0 + r * apart + left, s00)
            store(c, c0 + r * apart + right, s01)
            store(c, c0 + r1 * apart + left, s10)
            store(c, c0 + r1 * apart + right, s11)
            store(c, c0 + r2 * apart + left, s20)
            store(c, c0 + r2 * apart + right, s21)
            store(c, c0 + r3 * apart + left, s30)
            store(c, c0 + r3 * apart + right, s31)


@inner
def add_bias(c, c0, bias, bias0, rows, n, relu):
    """C (rows, n) += a number per row, and no number below 0 if `relu`."""
    for r in range(rows):
        one = spread(bias, bias0 + r)
        for j in range(c0 + r * n, c0 + (r + 1) * n, LANES):
            value = load(c, j) + one
            store(c, j, larger(every(F(0)), value) if relu else value)


@inner
def through_relu(work, gradient, active, size):
    """The gradient before a ReLU, at the place of the one behind it: 0 where the ReLU gave 0."""
    for j in range(0, size, LANES):
        store(work, gradient + j, where_positive(load(work, active + j), load(work, gradient + j)))


@inner
def sum_rows(c, c0, rows, n, sums, s0):
    """sums[r] = the sum of row r of C (rows, n)."""
    for r in range(rows):
        value = load(c, c0 + r * n)
        for j in range(LANES, n, LANES):
            value = value + load(c, c0 + r * n + j)
        sums[s0 + r] = total(value)


@inner
def weight_slopes(slopes, active, fan, out, work, rows, wide, gradient, begin, batch, n):
    """A linear layer's gradient, weights and then biases, at gradient[begin ..]: G X for the slopes G (out, n) behind
    it and what it saw, X (fan, n).

    X lies at `active`, or, where that is negative, already turned over at `rows`. wide: scratch.
    """
    side = filled(fan)
    if active >= 0:
        turn(work, active, side, n, work, rows, side)
    if side == fan:
        product(work, slopes, n, ONE, work, rows, gradient, begin, out, batch, side)
    else:
        product(work, slopes, n, ONE, work, rows, work, wide, out, batch, side)
        for r in range(out):
            for i in range(fan):
                move(gradient, begin + r * fan + i, work, wide + r * side + i)
    sum_rows(work, slopes, out, n, gradient, begin + out * fan)


@inner
def filled(n):
    """n up to whole registers."""
    return (n + FILL - 1) // FILL * FILL


@inner
def turn(a, a0, rows, n, b, b0, m):
    """B = A turned over: A (rows, n) -> B (n, m), both whole numbers of lanes; m >= rows."""
    for r in range(0, rows, LANES):
        for j in range(0, n, LANES):
            transpose(a, a0 + r * n + j, n, b, b0 + j * m + r, m)


@inner
def adam(parameters, mean, square, p0, gradient, size, rate, root):
    """One step of Adam for `size` numbers from p0 on: the betas, eps and arithmetic of torch's.

    rate and root are the step's own, 1 / (1 - 0.9^step) and 1 / sqrt(1 - 0.999^step) in them.
    """
    b1, b2 = 0.9, 0.999
    root, rate, eps = every(F(root)), every(F(rate)), every(F(1e-8))
    new_mean, old_square, new_square = every(F(1 - b1)), every(F(b2)), every(F(1 - b2))
    for j in range(0, size, LANES):
        g, first = load(gradient, j), load(mean, p0 + j)
        first = fused(g - first, new_mean, first)
        second = fused(g * g, new_square, load(square, p0 + j) * old_square)
        store(mean, p0 + j, first)
        store(square, p0 + j, second)
        move = rate * first / fused(square_root(second), root, eps)
        store(parameters, p0 + j, load(parameters, p0 + j) - move)
