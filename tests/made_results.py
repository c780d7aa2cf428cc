"""Made-up results with means and intervals by hand."""



SEEDS = range(5)
SCATTER = {seed: value for seed, value in zip(SEEDS, (0.0, 1.5, -1.0, 0.5, -0.5), strict=True)}
QUANTILE = 2.7764451051977987        # Student's t, 4 degrees of freedom, from a printed table
SIZES, TEMPERATURES = (50, 1200), (1.0, 4.0, 16.0)
GAINS = {(50, 1.0): 2.0, (50, 4.0): 8.0, (50, 16.0): 9.0, (1200, 1.0): 0.5, (1200, 4.0): -1.0, (1200, 16.0): -3.0}
