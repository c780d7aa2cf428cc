"""Made-up results, as curves and as a sweep."""


import pandas as pd
import pytest
from made_results import GAINS, SCATTER, SEEDS, SIZES, TEMPERATURES

from kdutils.results import Results


@pytest.fixture
def curves() -> Results:
    """Hard-label students end at 80 + noise, distilled ones 3 points and once the noise higher."""
    rows = [{"method": "teacher", "step": 20, "seed": seed, "accuracy": 95 + seed} for seed in SEEDS]
    for seed in SEEDS:
        for step, hard, gain in ((10, 60, -5), (20, 80, 3)):
            noise = SCATTER[seed]
            rows.append({"method": "hard labels", "step": step, "seed": seed, "accuracy": hard + noise})
            rows.append({"method": "distilled", "step": step, "seed": seed, "accuracy": hard + gain + 2 * noise})
    return Results(pd.DataFrame(rows).sample(frac=1, random_state=0).sort_values("step", kind="stable"))


@pytest.fixture
def sweep() -> Results:
    rows = []

    def arms(part, n, gains, **more):
        for seed in SEEDS:
            same = {"part": part, "transfer": n, "seed": seed}
            rows.append(same | {"method": "hard labels", "temperature": None, "accuracy": 80 + 3 * SCATTER[seed]})
            rows.extend(same | {"method": "distilled", "temperature": t, "accuracy": 80 + 4 * SCATTER[seed] + gain}
                        for t, gain in gains.items())

    for n in SIZES:
        arms("sweep", n, {t: GAINS[n, t] for t in TEMPERATURES})
    arms("same labels", 50, {4.0: 0.0})
    arms("same labels", 70, {4.0: 1.0})          # no sweep of this size: it cannot be compared
    for seed in SEEDS:
        for t, plain, corrected in ((None, 0, 30), (1.0, 5, 60), (8.0, 40, 90)):
            rows.append({"part": "omitted", "transfer": 1080, "seed": seed, "temperature": t,
                         "method": "distilled" if t else "hard labels", "recall": plain + max(0, SCATTER[seed]),
                         "corrected_recall": corrected + SCATTER[seed]})
    return Results(pd.DataFrame(rows), {"omitted": 7})
