"""Unit tests train with torch, unless they ask for the kernels: a run must not depend on when these are ready."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def torchs_loop():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDUTILS_ENGINE", "torch")
        yield
