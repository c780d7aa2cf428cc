"""A second engine behind `training.train`: kernels compiled by numba, which take a network through a whole step.

A step of a small population in torch is two hundred calls, each of which costs more than its arithmetic, and at larger
sizes every intermediate goes through memory. Here a member's step is one call, and what it needs stays in the
processor's cache. The loop in torch is the reference, and does all that the kernels do not know (`run`): other
networks, devices and objectives, and everything where numba is not installed.

run       the generator; when kernels may train
compiled  one compile per machine, in the background, kept on disk
twins     which objectives have a kernel: the one place to add more
losses    these kernels;  mlp  the networks;  arithmetic  products, sums, Adam;  lanes  several numbers at a time
"""

FILL = 16  # numbers in the widest register there is: whatever is read in whole registers is filled up to it
