"""Unit tests train with torch, unless they ask for the kernels: a run must not depend on when these are ready."""

import pytest

from kdutils.training.kernels import compiled


@pytest.fixture(scope="session", autouse=True)
def torchs_loop():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDUTILS_ENGINE", "torch")
        yield


@pytest.fixture(scope="module")
def quick_engine():
    """The kernels, waited for, where numba is there: for the few runs at full length, three times as fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDUTILS_ENGINE", "kernels" if compiled.installed() else "torch")
        yield
