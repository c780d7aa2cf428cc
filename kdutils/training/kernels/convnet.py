"""Little convolutional networks: stages of a 3x3 convolution, a 2x2 pooling and a ReLU, and one linear layer.

A picture lies with its examples innermost, (channels, height, width, n), n the batch filled up to whole registers;
what is convolved has a border of zeros. So row y of a convolution is one product: the weights times the nine
neighbours of all pixels of the row, which are nine stretches of memory per channel (`arithmetic.gathered`).
All of it is one array `work`; `layout.convnet` says what lies where.
"""

import numpy as np

from kdutils.training.kernels.arithmetic import adam, add_bias, filled, gathered, product, turn, weight_slopes
from kdutils.training.kernels.batch import read, scratch
from kdutils.training.kernels.lanes import (
    LANES,
    ONE,
    choose,
    equals,
    every,
    fused,
    inner,
    larger,
    load,
    move,
    spread,
    store,
    total,
)
from kdutils.training.kernels.losses import loss_and_gradient

F = np.float32


@inner
def train(first, last, stages, places, tables, inputs, labels, images, positions, teacher, teacher_row, kind, sizes,
          knobs, rates, roots, parameters, mean, square, losses, work):
    """`mlp.train` for these networks: the same arguments behind stages, places and tables, and inputs as flat.

    A stage: channels in and out, height and width of what it gets; where its bordered input, its slopes behind the
    convolution (bordered too), the place of each square's largest and the slopes behind the pooling lie; where its
    neighbours, and those of its slopes, begin in `tables`.
    """
    steps, batch, count = len(rates), positions.shape[2], len(stages)
    n, size = filled(batch), len(parameters) // len(losses)
    pixels, rows, turned, lines, flipped, embedding, embedded, wide, logits, rest = (
        places[0], places[1], places[2], places[3], places[4], places[5], places[6], places[7], places[8], places[9])
    classes, side = (rest - logits) // (2 * n), filled(pixels)
    fan = stages[count - 1, 1] * (stages[count - 1, 2] // 2) * (stages[count - 1, 3] // 2)
    z, g = work[logits:logits + classes * n], work[logits + classes * n:rest]
    t, a, b, d, e, y, weight, pairs, end = scratch(work, rest, classes, batch, n)
    gradient = work[end:end + size]
    for m in range(first, last):
        for step in range(steps):
            read(m, step, labels, images, positions, teacher, teacher_row, classes, n, y, t)
            for example in range(batch):
                image = images[m, positions[step, m, example]]
                for j in range(0, side, LANES):
                    store(work, rows + example * side + j, load(inputs, image * side + j))
            turn(work, rows, n, side, work, turned, n)
            bordered(work, turned, stages[0], n)
            p, q = m * size, m * size
            for s in range(count):
                height, width = stages[s, 2] // 2, stages[s, 3] // 2
                if s < count - 1:
                    row = (width + 2) * n
                    forward(parameters, p, work, stages[s], tables, lines, stages[s + 1, 4] + row + n,
                            (height + 2) * row, row, n)
                else:
                    forward(parameters, p, work, stages[s], tables, lines, embedding, height * width * n, width * n, n)
                p += parameters_of(stages[s])
            product(parameters, p, fan, ONE, work, embedding, work, logits, classes, fan, n)
            add_bias(work, logits, parameters, p + classes * fan, classes, n, False)
            losses[m] += loss_and_gradient(kind, z, t, y, weight, g, knobs[m], sizes, classes, batch, n, a, b, d, e,
                                           pairs)
            behind = logits + classes * n
            weight_slopes(behind, embedding, fan, classes, work, embedded, wide, gradient, p - q, batch, n)
            product(parameters, p, ONE, fan, work, behind, work, stages[count - 1, 7], fan, classes, n)
            for s in range(count - 1, -1, -1):
                p -= parameters_of(stages[s])
                through_pooling(work, stages[s], gradient, p - q, n)
                kernel_slopes(work, stages[s], gradient, p - q, n)
                if s:
                    backward(parameters, p, work, stages[s], tables, flipped, stages[s - 1, 7], n)
            adam(parameters, mean, square, q, gradient, size, rates[step], roots[step])


@inner
def parameters_of(stage):
    """How many weights and biases a stage has."""
    return stage[1] * (9 * stage[0] + 1)


@inner
def bordered(work, turned, stage, n):
    """Pixels (channels, height, width, n) into the inside of the first stage's input."""
    channels, height, width, inside = stage[0], stage[2], stage[3], stage[4]
    for line in range(channels * height):
        c, y = line // height, line % height
        to = inside + ((c * (height + 2) + y + 1) * (width + 2) + 1) * n
        for j in range(0, width * n, LANES):
            store(work, to + j, load(work, turned + line * width * n + j))


@inner
def forward(parameters, p, work, stage, tables, lines, out, plane, row, n):
    """A stage; what it gives for (channel, y, x) goes to out + channel * plane + y * row + x * n.

    The place of each square's largest is kept, 0 to 3 in reading order, -1 where the ReLU gave 0. Of equals it is the
    first, as in torch.
    """
    given, made, height, width, inside, largest, table = (stage[0], stage[1], stage[2] // 2, stage[3] // 2, stage[4],
                                                          stage[6], stage[8])
    line, zero = (stage[3] + 2) * n, every(F(0))
    for top in range(height):
        for half in range(2):  # an odd row or column at the end is in no square
            gathered(parameters, p, 9 * given, work, inside + (2 * top + half) * line, tables, table, work,
                     lines + half * made * 2 * width * n, 2 * width * n, made, 9 * given, 2 * width * n)
        for o in range(made):
            bias = spread(parameters, p + 9 * given * made + o)
            for left in range(width):
                for j in range(0, n, LANES):
                    at = lines + (o * 2 * width + 2 * left) * n + j
                    best, place = load(work, at) + bias, zero
                    value = load(work, at + n) + bias
                    place, best = choose(value, best, every(F(1)), place), larger(value, best)
                    value = load(work, at + made * 2 * width * n) + bias
                    place, best = choose(value, best, every(F(2)), place), larger(value, best)
                    value = load(work, at + made * 2 * width * n + n) + bias
                    place, best = choose(value, best, every(F(3)), place), larger(value, best)
                    store(work, out + o * plane + top * row + left * n + j, larger(zero, best))
                    store(work, largest + ((o * height + top) * width + left) * n + j,
                          choose(best, zero, place, every(F(-1))))


@inner
def through_pooling(work, stage, gradient, begin, n):
    """The slopes before a pooling and a ReLU, from those behind; and their sums, the biases' gradient."""
    given, made, height, width, slopes, largest, behind = (stage[0], stage[1], stage[2] // 2, stage[3] // 2, stage[5],
                                                           stage[6], stage[7])
    line = (stage[3] + 2) * n
    for o in range(made):
        summed = every(F(0))
        for top in range(height):
            for left in range(width):
                at = ((o * height + top) * width + left) * n
                to = slopes + ((o * (stage[2] + 2) + 2 * top + 1) * (stage[3] + 2) + 2 * left + 1) * n
                for j in range(0, n, LANES):
                    slope, place = load(work, behind + at + j), load(work, largest + at + j)
                    slope = slope * (every(F(1)) - equals(place, every(F(-1))))
                    summed = summed + slope
                    store(work, to + j, slope * equals(place, every(F(0))))
                    store(work, to + n + j, slope * equals(place, every(F(1))))
                    store(work, to + line + j, slope * equals(place, every(F(2))))
                    store(work, to + line + n + j, slope * equals(place, every(F(3))))
        gradient[begin + 9 * given * made + o] = total(summed)


@inner
def kernel_slopes(work, stage, gradient, begin, n):
    """The weights' gradient: slopes times the neighbours, summed over pixels and examples.

    Four channels times three neighbours side by side are summed at a time; at the end the last channel is computed
    again rather than another way.
    """
    given, made, height, width, inside, slopes = stage[0], stage[1], stage[2], stage[3], stage[4], stage[5]
    line, seen = (width + 2) * n, width // 2 * 2 * n
    for o in range(0, made, 4):
        o1, o2, o3 = min(o + 1, made - 1), min(o + 2, made - 1), min(o + 3, made - 1)
        for c in range(given):
            for dy in range(3):
                s00, s01, s02, s10, s11, s12 = (every(F(0)), every(F(0)), every(F(0)), every(F(0)), every(F(0)),
                                                every(F(0)))
                s20, s21, s22, s30, s31, s32 = (every(F(0)), every(F(0)), every(F(0)), every(F(0)), every(F(0)),
                                                every(F(0)))
                for y in range(height // 2 * 2):
                    pixel = inside + (c * (height + 2) + y + dy) * line
                    g0, g1 = slopes + (o * (height + 2) + y + 1) * line + n, slopes + (o1 * (height + 2) + y + 1
                                                                                       ) * line + n
                    g2, g3 = slopes + (o2 * (height + 2) + y + 1) * line + n, slopes + (o3 * (height + 2) + y + 1
                                                                                        ) * line + n
                    for j in range(0, seen, LANES):
                        x0, x1, x2 = load(work, pixel + j), load(work, pixel + n + j), load(work, pixel + 2 * n + j)
                        g = load(work, g0 + j)
                        s00, s01, s02 = fused(g, x0, s00), fused(g, x1, s01), fused(g, x2, s02)
                        g = load(work, g1 + j)
                        s10, s11, s12 = fused(g, x0, s10), fused(g, x1, s11), fused(g, x2, s12)
                        g = load(work, g2 + j)
                        s20, s21, s22 = fused(g, x0, s20), fused(g, x1, s21), fused(g, x2, s22)
                        g = load(work, g3 + j)
                        s30, s31, s32 = fused(g, x0, s30), fused(g, x1, s31), fused(g, x2, s32)
                at = begin + (o * given + c) * 9 + 3 * dy
                gradient[at], gradient[at + 1], gradient[at + 2] = total(s00), total(s01), total(s02)
                at = begin + (o1 * given + c) * 9 + 3 * dy
                gradient[at], gradient[at + 1], gradient[at + 2] = total(s10), total(s11), total(s12)
                at = begin + (o2 * given + c) * 9 + 3 * dy
                gradient[at], gradient[at + 1], gradient[at + 2] = total(s20), total(s21), total(s22)
                at = begin + (o3 * given + c) * 9 + 3 * dy
                gradient[at], gradient[at + 1], gradient[at + 2] = total(s30), total(s31), total(s32)


@inner
def backward(parameters, p, work, stage, tables, flipped, behind, n):
    """The slopes of what a stage got: a convolution of its own slopes with the kernels turned by half a turn."""
    given, made, height, width, slopes, table = stage[0], stage[1], stage[2], stage[3], stage[5], stage[9]
    for c in range(given):
        for o in range(made):
            for k in range(9):
                move(work, flipped + (c * made + o) * 9 + k, parameters, p + (o * given + c) * 9 + 8 - k)
    for y in range(height):
        gathered(work, flipped, 9 * made, work, slopes + y * (width + 2) * n, tables, table, work,
                 behind + y * width * n, height * width * n, given, 9 * made, width * n)
