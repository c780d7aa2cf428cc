"""Each test, with torch's loop and with the kernels."""


import pytest


@pytest.fixture(autouse=True, params=["torch", "kernels"])
def engine(request, monkeypatch):
    """Both engines keep every promise of the loop; what the kernels do not know is torch's under either name."""
    if request.param == "kernels":
        pytest.importorskip("numba", reason="the kernels need numba")
    monkeypatch.setenv("KDUTILS_ENGINE", request.param)
    return request.param
