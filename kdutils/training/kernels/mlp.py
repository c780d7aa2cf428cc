"""Multi-layer perceptrons: a network goes through a whole step, and then the next one, while it lies in the cache.

widths are those of the layers, inputs and classes among them. A layer's numbers lie with the examples innermost,
(width, n), n the batch filled up to whole registers; the products for the weights' gradients also want them with the
width innermost, (n, width), filled up as well. All of it is one array `work`.
"""

import numpy as np
from numba import njit

from kdutils.training.kernels import FILL
from kdutils.training.kernels.arithmetic import adam, add_bias, product, sum_rows, through_relu, turn
from kdutils.training.kernels.lanes import LANES, ONE, ZERO, inner, load, move, store
from kdutils.training.kernels.losses import loss_and_gradient
from kdutils.training.kernels.twins import CONTRASTIVE

F = np.float32


@njit(nogil=True)
def train(first, last, widths, inputs, labels, images, positions, teacher, teacher_row, kind, sizes, knobs, rates, done,
          parameters, mean, square, losses):
    """Take the members first .. last - 1 through len(rates) steps of Adam, after `done` earlier ones.

    inputs (N, width filled up), teacher (K, N, C; empty without one), parameters and both means (M, size) are flat;
    labels (1 or M, N), images (M, n) and positions (steps, M, batch) as in a Task; teacher_row (M,): the row of the
    teachers' where a member's begins; knobs (M, 7). The loss of every step is added to losses (M,).
    """
    steps, batch, layers = len(rates), positions.shape[2], len(widths) - 1
    n, side, classes, size = filled(batch), filled(widths[0]), widths[-1], len(parameters) // len(losses)
    active, slopes, rows, space = places(widths, n)
    work, gradient = np.zeros(space, F), np.zeros(size, F)
    z = work[active[layers]:active[layers] + classes * n]
    g = work[slopes[layers]:slopes[layers] + classes * n]
    a, b, d, e, t = (np.zeros(classes * n, F), np.zeros(classes * n, F), np.zeros(classes * n, F),
                     np.zeros(classes * n, F), np.zeros(classes * n, F))
    y, weight, pairs = np.zeros(n, F), np.zeros(n, F), np.zeros(n * n if kind == CONTRASTIVE else 0, F)
    weight[:batch] = F(1 / batch)
    for m in range(first, last):
        seen = labels[min(m, len(labels) - 1)]
        for step in range(steps):
            for example in range(batch):
                image = images[m, positions[step, m, example]]
                y[example] = seen[image]
                for j in range(0, side, LANES):
                    store(work, rows[0] + example * side + j, load(inputs, image * side + j))
                if len(teacher):
                    for c in range(classes):
                        move(t, c * n + example, teacher, (teacher_row[m] + image) * classes + c)
            forward(parameters, m * size, widths, work, active, rows, n)
            losses[m] += loss_and_gradient(kind, z, t, y, weight, g, knobs[m], sizes, classes, batch, n, a, b, d, e,
                                           pairs)
            backward(parameters, m * size, widths, work, active, slopes, rows, gradient, batch, n)
            adam(parameters, mean, square, m * size, gradient, size, done + step + 1, rates[step])


@inner
def filled(n):
    """n up to whole registers."""
    return (n + FILL - 1) // FILL * FILL


@inner
def places(widths, n):
    """Where each layer's numbers begin in `work`, their gradients, the numbers row by row; and how long `work` is."""
    begin, end = np.zeros((3, len(widths)), np.int64), 0
    for part in range(3):
        for layer in range(len(widths)):
            begin[part, layer] = end
            end += filled(widths[layer]) * n
    # At the end room for a gradient of weights whose rows are filled up.
    return begin[0], begin[1], begin[2], end + filled(widths.max()) * widths.max()


@inner
def forward(parameters, p, widths, work, active, rows, n):
    """From the inputs, row by row, to the logits; p is where the network's parameters begin."""
    turn(work, rows[0], n, filled(widths[0]), work, active[0], n)
    for layer in range(len(widths) - 1):
        fan, out = widths[layer], widths[layer + 1]
        product(parameters, p, fan, ONE, work, active[layer], work, active[layer + 1], out, fan, n)
        add_bias(work, active[layer + 1], parameters, p + out * fan, out, n, layer < len(widths) - 2)
        p += out * fan + out


@inner
def backward(parameters, p, widths, work, active, slopes, rows, gradient, batch, n):
    """From the gradient of the logits to that of the parameters, which begin at p; the gradient begins at 0."""
    end = ZERO
    for layer in range(len(widths) - 1):
        end += widths[layer + 1] * (widths[layer] + 1)
    for layer in range(len(widths) - 2, -1, -1):
        fan, out = widths[layer], widths[layer + 1]
        side, begin = filled(fan), end - out * (fan + 1)
        if layer:
            turn(work, active[layer], side, n, work, rows[layer], side)
        if side == fan:
            product(work, slopes[layer + 1], n, ONE, work, rows[layer], gradient, begin, out, batch, side)
        else:
            wide = len(work) - out * side
            product(work, slopes[layer + 1], n, ONE, work, rows[layer], work, wide, out, batch, side)
            for r in range(out):
                for i in range(fan):
                    move(gradient, begin + r * fan + i, work, wide + r * side + i)
        sum_rows(work, slopes[layer + 1], out, n, gradient, begin + out * fan)
        if layer:
            product(parameters, p + begin, ONE, fan, work, slopes[layer + 1], work, slopes[layer], fan, out, n)
            through_relu(work, slopes[layer], active[layer], fan * n)
        end = begin
