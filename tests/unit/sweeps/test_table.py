"""The table of a sweep is that of its single runs, whoever computes it."""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pandas as pd
import torch
from made_up import NAME, SIZES, TINY, expected, same

from kdutils.lessons.start_here import experiment as start_here
from kdutils.results import Results
from kdutils.sweeps import sweep
from kdutils.sweeps.run import one_table


def test_a_sweep_is_the_table_of_its_single_runs(tmp_path, fast_teachers):
    """Catches points that lose a parameter, mix up their values or come in another order."""
    results = sweep("start_here", {"temperature": [2, 8.0], "transfer": (20, 30)}, base=TINY, workers=1)
    tables = []
    for temperature in (2, 8.0):
        for transfer in (20, 30):
            start_here.run(replace(TINY, temperature=temperature, transfer=transfer)).save(tmp_path / "one.json")
            table = Results.load(tmp_path / "one.json").table
            table.insert(0, "swept_temperature", temperature)
            table.insert(1, "transfer", transfer)
            tables.append(table)
    pd.testing.assert_frame_equal(results.table, pd.concat(tables, ignore_index=True), check_dtype=False)
    assert results.complete and results.params["grid"] == {"temperature": [2, 8.0], "transfer": [20, 30]}
    assert results.params["experiment"] == "start_here" and results.params["steps"] == 20
    assert {"code", "device", "threads", "torch", "date", "seconds"} <= set(results.provenance)
    assert results.where(swept_temperature=8.0, transfer=30, method="distilled", step=20)["seed"].tolist() == [0, 1]


def test_seeds_spread_over_points_give_the_table_of_one_run(tmp_path, fast_teachers):
    """Catches rows in the order of the workers, and seeds that change because they run in other company."""
    base = replace(TINY, seeds=5, steps=30)
    start_here.run(base).save(tmp_path / "one.json")
    whole = Results.load(tmp_path / "one.json").table
    same(sweep("start_here", {}, base=base, seeds_each=2, workers=1), whole)
    same(sweep("start_here", {"seed": range(5)}, base=replace(base, seeds=1), workers=1), whole)


def test_rows_of_one_run_keep_their_order_when_seeds_are_put_together():
    rows = [(part, seed) for part in "xyz" for seed in range(5)]
    whole = pd.DataFrame(rows, columns=["part", "seed"])
    parts = [whole[whole["seed"].isin(seeds)] for seeds in ((0, 1), (4,), (2, 3))]
    pd.testing.assert_frame_equal(one_table(parts), whole)


def test_values_of_several_parts_and_parameters_of_one_value(made_up):
    results = sweep(NAME, {"shape": [[3], [4, 5]], "size": [2]}, base=made_up, workers=1)
    assert results.table["shape"].unique().tolist() == ["[3]", "[4, 5]"] and set(results.table["size"]) == {2}
    assert results.params["grid"]["shape"] == [(3,), (4, 5)]


def test_any_executor_will_do_and_workers_have_one_thread_unless_asked(made_up, monkeypatch):
    seen = []
    module = sys.modules[NAME]
    plain = module.run
    monkeypatch.setattr(module, "run", lambda *given: seen.append(torch.get_num_threads()) or plain(*given))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(2) as pool:
            same(sweep(NAME, {"size": SIZES}, pool, base=made_up), expected(made_up))
        sweep(NAME, {"size": [1.0]}, base=made_up, threads=3)
        assert seen == [1] * 4 + [3]
        torch.set_num_threads(2)
        sweep(NAME, {"size": [1.0]}, base=made_up)
        assert torch.get_num_threads() == 2, "a sweep in this process gives the threads back"
    finally:
        torch.set_num_threads(before)
