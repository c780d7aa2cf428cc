"""Multi-layer perceptrons: a network goes through a whole step, and then the next one, while it lies in the cache.

widths are those of the layers, inputs and classes among them. A layer's numbers lie with the examples innermost,
(width, n), n the batch filled up to whole registers; the products for the weights' gradients also want them with the
width innermost, (n, width), filled up as well. All of it is one array `work`; `layout.mlp` says what lies where.
"""

from kdutils.training.kernels.arithmetic import adam, add_bias, filled, product, through_relu, turn, weight_slopes
from kdutils.training.kernels.batch import read, scratch
from kdutils.training.kernels.lanes import LANES, ONE, ZERO, inner, load, store
from kdutils.training.kernels.losses import loss_and_gradient


@inner
def train(first, last, widths, places, inputs, labels, images, positions, teacher, teacher_row, kind, sizes, knobs,
          rates, roots, parameters, mean, square, losses, work):
    """Take the members first .. last - 1 through len(rates) steps of Adam, with its `rates` and `roots` (steps,).

    inputs (N, width filled up), teacher (K, N, C; empty without one), parameters and both means (M, size) are flat;
    labels (1 or M, N), images (M, n) and positions (steps, M, batch) as in a Task; teacher_row (M,): the row of the
    teachers' where a member's begins; knobs (M, 7). The loss of every step is added to losses (M,).
    """
    steps, batch, layers = len(rates), positions.shape[2], len(widths) - 1
    n, side, classes, size = filled(batch), filled(widths[0]), widths[-1], len(parameters) // len(losses)
    active, slopes, rows = places[0], places[1], places[2]
    z = work[active[layers]:active[layers] + classes * n]
    g = work[slopes[layers]:slopes[layers] + classes * n]
    t, a, b, d, e, y, weight, pairs, end = scratch(work, places[3, layers], classes, batch, n)
    gradient = work[end:end + size]
    for m in range(first, last):
        for step in range(steps):
            read(m, step, labels, images, positions, teacher, teacher_row, classes, n, y, t)
            for example in range(batch):
                image = images[m, positions[step, m, example]]
                for j in range(0, side, LANES):
                    store(work, rows[0] + example * side + j, load(inputs, image * side + j))
            forward(parameters, m * size, widths, work, active, rows, n)
            losses[m] += loss_and_gradient(kind, z, t, y, weight, g, knobs[m], sizes, classes, batch, n, a, b, d, e,
                                           pairs)
            backward(parameters, m * size, widths, work, active, slopes, rows, gradient, batch, n)
            adam(parameters, mean, square, m * size, gradient, size, rates[step], roots[step])


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
    end, wide = ZERO, rows[-1] + filled(widths[-1]) * n
    for layer in range(len(widths) - 1):
        end += widths[layer + 1] * (widths[layer] + 1)
    for layer in range(len(widths) - 2, -1, -1):
        fan, out = widths[layer], widths[layer + 1]
        begin = end - out * (fan + 1)
        weight_slopes(slopes[layer + 1], active[layer] if layer else -ONE, fan, out, work, rows[layer], wide, gradient,
                      begin, batch, n)
        if layer:
            product(parameters, p + begin, ONE, fan, work, slopes[layer + 1], work, slopes[layer], fan, out, n)
            through_relu(work, slopes[layer], active[layer], fan * n)
        end = begin
