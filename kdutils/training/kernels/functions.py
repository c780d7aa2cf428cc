"""Exponentials and logarithms of several numbers at a time, by polynomials: no call of the system's."""

import numpy as np

from kdutils.training.kernels.lanes import every, exponent, fraction, fused, inner, larger, lowest, scale

F = np.float32
_LOG2E, _LN2_HIGH, _LN2_LOW, _ROUND = F(1 / np.log(2)), F(0.693359375), F(-2.12194440e-4), F(1.5 * 2**23)
_E = tuple(F(1 / k) for k in (5040, 720, 120, 24, 6, 2))


@inner
def exp(x):
    """e**x, to 2 units in the last place; held between e**-87 and e**88."""
    x = larger(every(F(-87.0)), x)
    x = every(F(0.0)) - larger(every(F(-88.0)), every(F(0.0)) - x)
    n = fused(x, every(_LOG2E), every(_ROUND))
    k = n - every(_ROUND)
    r = fused(k, every(-_LN2_LOW), fused(k, every(-_LN2_HIGH), x))
    p = every(_E[0])
    p = fused(p, r, every(_E[1]))
    p = fused(p, r, every(_E[2]))
    p = fused(p, r, every(_E[3]))
    p = fused(p, r, every(_E[4]))
    p = fused(p, r, every(_E[5]))
    return fused(p, r * r, r + every(F(1.0))) * scale(n)


@inner
def log(x):
    """Natural logarithm of a normal x > 0, to 2 units in the last place."""
    k, f = exponent(x), fraction(x) - every(F(1.0))
    # Source of the coefficients: Cephes, logf.
    p = every(F(7.0376836292e-2))
    p = fused(p, f, every(F(-1.1514610310e-1)))
    p = fused(p, f, every(F(1.1676998740e-1)))
    p = fused(p, f, every(F(-1.2420140846e-1)))
    p = fused(p, f, every(F(1.4249322787e-1)))
    p = fused(p, f, every(F(-1.6668057665e-1)))
    p = fused(p, f, every(F(2.0000714765e-1)))
    p = fused(p, f, every(F(-2.4999993993e-1)))
    p = fused(p, f, every(F(3.3333331174e-1)))
    square = f * f
    tail = fused(k, every(_LN2_LOW), p * f * square - every(F(0.5)) * square)
    return fused(k, every(_LN2_HIGH), f + tail)


@inner
def logarithm(x):
    """Natural logarithm of one normal number x > 0, without the system's mathematics library."""
    return lowest(log(every(x)))
