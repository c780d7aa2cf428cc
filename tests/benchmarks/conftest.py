"""Files named bench_*.py hold the benchmarks: collected when this folder is asked for, never by `make test`."""

import pytest


def pytest_collect_file(file_path, parent):
    named = file_path.name.startswith("bench_") and file_path.suffix == ".py"
    if named and not parent.session.isinitpath(file_path):  # pytest collects what is named on the command line itself
        return pytest.Module.from_parent(parent, path=file_path)
