"""A claim with made-up values."""


import pandas as pd

from kdutils.results import Results

RUNS = Results(pd.DataFrame([{"arm": arm, "t": t, "seed": seed, "accuracy": 80 + value + seed + 0.1 * (seed % 2) * t}
                             for arm, t, value in (("kd", 4.0, 5), ("kd", 1.0, 2), ("hard", 0.0, 0))
                             for seed in range(4)]))
