"""The objectives as kernels: each gives its loss and, by hand, the gradient; a test holds it to the readable one.

A kernel sees one network's batch with the examples innermost: logits z (C, n) and teacher t (C, n) as flat arrays,
labels y (n,) as floats. n is the batch filled up to whole registers; weight (n,) is 1 / batch for an example and 0 for
the filling, so that a sum over weight * loss is the mean. A kernel adds its gradient to g (C, n) and returns its loss.
a, b, d and e are scratch of the size of z.
"""

import numpy as np

from kdutils.training.kernels.arithmetic import product
from kdutils.training.kernels.functions import exp, log, logarithm
from kdutils.training.kernels.lanes import (
    LANES,
    ONE,
    ZERO,
    equals,
    every,
    exceeds,
    fused,
    inner,
    larger,
    load,
    spread,
    square_root,
    store,
    total,
)
from kdutils.training.kernels.twins import (
    ALPHA,
    BETA,
    CONTRASTIVE,
    DISTILLATION,
    ENTROPY,
    EPSILON,
    ETA,
    HARD_LABELS,
    RANKS,
    SUBCLASS_DISTILLATION,
    T_AUX,
    TEMPERATURE,
    TOLERANT_TEACHER,
    TOLERANT_TEACHER_CONVEX,
)

F = np.float32


@inner
def loss_and_gradient(kind, z, t, y, weight, g, knobs, sizes, classes, batch, n, a, b, d, e, pairs):
    """The loss of the objective `kind`; its gradient in g."""
    for j in range(0, classes * n, LANES):
        store(g, j, every(F(0)))
    alpha, beta, eta = knobs[ALPHA], knobs[BETA], knobs[ETA]
    loss = F(0)
    if kind == HARD_LABELS:
        loss = tolerant(z, y, weight, g, F(1), F(0), F(0), F(2), F(0), classes, n, a, b)
    elif kind == DISTILLATION:
        if alpha != 0:  # a part that weighs nothing costs nothing
            loss += matching(z, t, weight, g, knobs[TEMPERATURE], alpha, classes, n, a, b)
        if alpha != 1:
            loss += tolerant(z, y, weight, g, F(1 - alpha), F(0), F(0), F(2), F(0), classes, n, a, b)
    elif kind == TOLERANT_TEACHER:
        loss = tolerant(z, y, weight, g, F(1), knobs[EPSILON], eta, knobs[RANKS], beta, classes, n, a, b)
    elif kind == TOLERANT_TEACHER_CONVEX:
        loss = tolerant(z, y, weight, g, eta, F(0), F(1 - eta), knobs[RANKS], F(0), classes, n, a, b)
    elif kind == SUBCLASS_DISTILLATION:
        if alpha != 0:
            loss += matching(z, t, weight, g, knobs[TEMPERATURE], alpha, classes, n, a, b)
        if alpha != 1:
            loss += class_cross_entropy(z, y, weight, g, F(1 - alpha), sizes, n, a, d, e)
    else:
        loss = class_cross_entropy(z, y, weight, g, F(1), sizes, n, a, d, e)
        if beta != 0 and kind == CONTRASTIVE:
            loss += contrastive(z, weight, g, beta, knobs[T_AUX], classes, batch, n, a, b, d, pairs)
        elif beta != 0 and kind == ENTROPY:
            loss += entropy(z, weight, g, beta, sizes, classes, n, a, d, e)
    return loss


@inner
def softmax(z, first, last, j, n, temperature, a):
    """Over rows first .. last - 1, for the LANES examples from j on: a = exp((z - max) / T). Returns max / T, sum a."""
    largest = load(z, first * n + j)
    for c in range(first + 1, last):
        largest = larger(load(z, c * n + j), largest)
    largest, summed = largest / temperature, every(F(0))
    for c in range(first, last):
        value = exp(load(z, c * n + j) / temperature - largest)
        store(a, c * n + j, value)
        summed = summed + value
    return largest, summed


@inner
def matching(z, t, weight, g, temperature, share, classes, n, a, b):
    """share * T^2 KL(teacher || student) at temperature T."""
    hot, loss = every(F(temperature)), every(F(0))
    slope, size = every(F(share * temperature)), every(F(share * temperature * temperature))
    for j in range(0, n, LANES):
        largest, summed = softmax(z, ZERO, classes, j, n, hot, a)
        highest, whole = softmax(t, ZERO, classes, j, n, hot, b)
        gap = largest + log(summed) - highest - log(whole)  # of the logarithms of both sums
        factor, divergence = load(weight, j), every(F(0))
        for c in range(classes):
            p, q = load(a, c * n + j) / summed, load(b, c * n + j) / whole
            divergence = fused(q, load(t, c * n + j) / hot - load(z, c * n + j) / hot + gap, divergence)
            store(g, c * n + j, fused(factor * slope, p - q, load(g, c * n + j)))
        loss = fused(factor * size, divergence, loss)
    return total(loss)


@inner
def tolerant(z, y, weight, g, share, epsilon, eta, ranks, beta, classes, n, a, b):
    """share * cross-entropy smoothed by epsilon + eta * top score difference - beta * entropy."""
    one, zero, loss = every(F(1)), every(F(0)), every(F(0))
    on_label, on_all = every(F(share * (1 - epsilon))), every(F(share * epsilon / classes))
    for j in range(0, n, LANES):
        largest, summed = softmax(z, ZERO, classes, j, n, one, a)
        log_sum, factor, label = largest + log(summed), load(weight, j), load(y, j)
        targets = zero
        for c in range(classes):
            value, hit = load(z, c * n + j), equals(label, every(F(c)))
            target = fused(on_label, hit, on_all)
            targets = fused(target, value, targets)
            p = load(a, c * n + j) / summed
            store(a, c * n + j, p)
            store(g, c * n + j, fused(factor, every(F(share)) * p - target, load(g, c * n + j)))
        loss = fused(factor, every(F(share)) * log_sum - targets, loss)
        if eta != 0:
            difference = rank_weights(a, j, classes, n, ranks, b)
            for c in range(classes):
                slope = load(a, c * n + j) * (load(b, c * n + j) - difference)
                store(g, c * n + j, fused(factor * every(F(eta)), slope, load(g, c * n + j)))
            loss = fused(factor * every(F(eta)), difference, loss)
        if beta != 0:
            unsure = zero
            for c in range(classes):
                unsure = fused(load(a, c * n + j), log_sum - load(z, c * n + j), unsure)
            for c in range(classes):
                slope = load(a, c * n + j) * (load(z, c * n + j) - log_sum + unsure)
                store(g, c * n + j, fused(factor * every(F(beta)), slope, load(g, c * n + j)))
            loss = loss - factor * every(F(beta)) * unsure
    return total(loss)


@inner
def rank_weights(p, j, classes, n, ranks, w):
    """w[c] = 1 for the first in rank, -1 / (K - 1) for the 2nd .. K-th, 0 below. Returns the sum of w p.

    The rank of a class is the number of those that are likelier; of equals the first comes first, as in torch's sort.
    """
    one, summed = every(F(1)), every(F(0))
    for c in range(classes):
        mine, rank = load(p, c * n + j), every(F(0))
        for other in range(c):
            rank = rank + one - exceeds(mine, load(p, other * n + j))
        for other in range(c + 1, classes):
            rank = rank + exceeds(load(p, other * n + j), mine)
        top = equals(rank, every(F(0)))
        value = top - (exceeds(every(F(ranks)), rank) - top) / every(F(ranks - 1))
        store(w, c * n + j, value)
        summed = fused(value, mine, summed)
    return summed


@inner
def within_classes(z, sizes, j, n, q, sums):
    """q = the softmax inside each class's block; sums[c] = log sum exp of block c."""
    first = ZERO
    for c in range(len(sizes)):
        last = first + sizes[c]
        largest, summed = softmax(z, first, last, j, n, every(F(1)), q)
        for k in range(first, last):
            store(q, k * n + j, load(q, k * n + j) / summed)
        store(sums, c * n + j, largest + log(summed))
        first = last


@inner
def class_cross_entropy(z, y, weight, g, share, sizes, n, q, sums, p):
    """share * cross-entropy of the class logits, log sum exp over each class's block."""
    loss = every(F(0))
    for j in range(0, n, LANES):
        within_classes(z, sizes, j, n, q, sums)
        largest, summed = softmax(sums, ZERO, len(sizes), j, n, every(F(1)), p)
        factor, label, of_label, first = load(weight, j) * every(F(share)), load(y, j), every(F(0)), ZERO
        for c in range(len(sizes)):
            hit = equals(label, every(F(c)))
            of_label = fused(hit, load(sums, c * n + j), of_label)
            slope = factor * (load(p, c * n + j) / summed - hit)
            for k in range(first, first + sizes[c]):
                store(g, k * n + j, fused(slope, load(q, k * n + j), load(g, k * n + j)))
            first += sizes[c]
        loss = fused(factor, largest + log(summed) - of_label, loss)
    return total(loss)


@inner
def contrastive(z, weight, g, share, t_aux, classes, batch, n, v, scale, dv, pairs):
    """share * the paper's auxiliary loss; pairs (n, n) is scratch."""
    size = every(F(classes))
    for j in range(0, n, LANES):  # v: standardised logits; scale: one over the root of their variance
        mean, variance = every(F(0)), every(F(0))
        for c in range(classes):
            mean = mean + load(z, c * n + j)
        mean = mean / size
        for c in range(classes):
            gap = load(z, c * n + j) - mean
            variance = fused(gap, gap, variance)
        root = every(F(1)) / square_root(variance / size + every(F(1e-9)))
        store(scale, j, root)
        for c in range(classes):
            store(v, c * n + j, (load(z, c * n + j) - mean) * root)
    product(v, ZERO, ONE, n, v, ZERO, pairs, ZERO, batch, classes, n)
    loss, cold, shift = 0.0, every(F(1 / (t_aux * classes))), every(F(1 / t_aux))
    for i in range(batch):
        summed = every(F(0))
        for j in range(0, n, LANES):
            value = exp(load(pairs, i * n + j) * cold - shift) * exceeds(load(weight, j), every(F(0)))
            store(pairs, i * n + j, value)
            summed = summed + value
        row = total(summed)
        loss += logarithm(F(row / batch))
        scale[n + i] = 1 / row
    for i in range(batch, n):
        scale[n + i] = 0
    slope = every(F(share / (t_aux * classes * batch)))
    for i in range(batch):  # d loss / d (v_i . v_j), summed over (i, j) and (j, i)
        for j in range(0, n, LANES):
            both = (spread(scale, n + i) + load(scale, n + j)) * slope
            store(pairs, i * n + j, load(pairs, i * n + j) * both)
    product(v, ZERO, n, ONE, pairs, ZERO, dv, ZERO, classes, batch, n)
    for j in range(0, n, LANES):
        mean, along = every(F(0)), every(F(0))
        for c in range(classes):
            mean = mean + load(dv, c * n + j)
            along = fused(load(dv, c * n + j), load(v, c * n + j), along)
        mean, along = mean / size, along / size
        for c in range(classes):
            change = load(dv, c * n + j) - mean - along * load(v, c * n + j)
            store(g, c * n + j, fused(change, load(scale, j), load(g, c * n + j)))
    return F(share * loss / batch)


@inner
def entropy(z, weight, g, share, sizes, classes, n, q, sums, p):
    """share * our bounded alternative: what an example tells of its subclass within its class, with a minus sign."""
    for j in range(0, n, LANES):
        within_classes(z, sizes, j, n, q, sums)
        _, summed = softmax(sums, ZERO, len(sizes), j, n, every(F(1)), p)
        for c in range(len(sizes)):  # how much an example counts in each class
            store(p, c * n + j, load(p, c * n + j) / summed * load(weight, j))
    loss, first = F(0), ZERO
    for c in range(len(sizes)):
        last, counted = first + sizes[c], every(F(0))
        for j in range(0, n, LANES):
            counted = counted + load(p, c * n + j)
        part = max(total(counted), F(1e-30))
        for k in range(first, last):
            mean = every(F(0))
            for j in range(0, n, LANES):
                mean = fused(load(p, c * n + j), load(q, k * n + j), mean)
            of_mean = max(total(mean) / part, F(1e-30))
            of_log = logarithm(of_mean)
            sums[c * n + k - first] = of_log
            loss += part * of_mean * of_log
        for j in range(0, n, LANES):
            gained, counts, log_sum = every(F(0)), load(p, c * n + j), log_of_block(z, first, last, j, n)
            for k in range(first, last):
                share_k, log_q = load(q, k * n + j), load(z, k * n + j) - log_sum
                gained = fused(share_k, spread(sums, c * n + k - first) - log_q, gained)
            for k in range(first, last):
                gap = spread(sums, c * n + k - first) - (load(z, k * n + j) - log_sum)
                slope = counts * load(q, k * n + j) * (gap - gained)
                store(g, k * n + j, fused(every(F(share)), slope, load(g, k * n + j)))
            for k in range(first, last):
                surely = load(q, k * n + j) * (load(z, k * n + j) - log_sum)
                loss -= total(counts * surely)
        first = last
    return share * loss


@inner
def log_of_block(z, first, last, j, n):
    """log sum exp over rows first .. last - 1."""
    largest, summed = load(z, first * n + j), every(F(0))
    for c in range(first + 1, last):
        largest = larger(load(z, c * n + j), largest)
    for c in range(first, last):
        summed = summed + exp(load(z, c * n + j) - largest)
    return largest + log(summed)
