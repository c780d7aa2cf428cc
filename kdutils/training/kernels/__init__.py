"""A second engine behind `training.train`: kernels compiled by numba, which take a network through a whole step.

A step of a small population in torch is two hundred calls, each of which costs more than its arithmetic, and at larger
sizes every intermediate goes through memory. Here a member's step is one call, and what it needs stays in the
processor's cache. The loop in torch is the reference, and does all that the kernels do not know (`run`): other
networks, devices and objectives, and everything where numba is not installed.

run       the generator; when kernels may train
compiled  one compile per machine, beside the training, kept on disk;  build  that compile, in a process of its own
layout    where a kernel's numbers lie in memory
twins     which objectives have a kernel: the one place to add more

Written for numba, and imported by `build` alone:
losses    these kernels;  mlp, convnet  the networks;  batch  what surrounds them;  arithmetic  products, sums, Adam
lanes     several numbers at a time;  functions  their exponentials and logarithms
"""

FILL = 16  # numbers in the widest register there is: whatever is read in whole registers is filled up to it
