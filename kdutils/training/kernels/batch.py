"""What kernels of all networks do around the network: a batch's labels and teacher, and scratch for its loss."""

import numpy as np

from kdutils.training.kernels.lanes import inner, move

F = np.float32


@inner
def scratch(work, at, classes, batch, n):
    """From `at` of work on: t, a, b, d, e (classes * n,), y, weight (n,), pairs (n * n,); and where they end.

    As `layout.scratch` counts them. weight is 1 / batch for an example, 0 for the filling.
    """
    size, small = classes * n, at + 5 * classes * n
    weight = work[small + n:small + 2 * n]
    weight[:batch] = F(1 / batch)
    end = small + 2 * n + n * n
    return (work[at:at + size], work[at + size:at + 2 * size], work[at + 2 * size:at + 3 * size],
            work[at + 3 * size:at + 4 * size], work[at + 4 * size:small], work[small:small + n], weight,
            work[small + 2 * n:end], end)


@inner
def read(m, step, labels, images, positions, teacher, teacher_row, classes, n, y, t):
    """Labels y (n,) and the teacher's logits t (classes, n) of a member's batch; no teacher: t stays as it is."""
    seen = min(m, len(labels) - 1)
    for example in range(positions.shape[2]):
        image = images[m, positions[step, m, example]]
        y[example] = labels[seen, image]
        if len(teacher):
            for c in range(classes):
                move(t, c * n + example, teacher, (teacher_row[m] + image) * classes + c)
