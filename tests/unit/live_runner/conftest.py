"""No thread of a runner is left, and its errors are reported."""


import pytest
from helpers import ours, until


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert until(lambda: not ours()), ours()
