"""Who is there to press a button: every front end by its sign, and the runners that have none."""

import sys
from types import SimpleNamespace

import pytest

from kdutils.errors import ParameterError
from kdutils.headless import headless, host

SIGNS = ("KDUTILS_HEADLESS", "JPY_SESSION_NAME", "SERVER_SOFTWARE", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE")
VSC = {"__vsc_ipynb_file__": "/home/reader/00.ipynb"}

# the kernel's environment, the notebook's names, who shows it, whether nobody is there
HOSTS = [
    ({}, {}, "", True),     # papermill, nbconvert, nbval, a script
    ({"JPY_SESSION_NAME": "a.ipynb"}, {}, "Jupyter", False),
    ({"SERVER_SOFTWARE": "voila/0.5.13"}, {}, "Voila", False),
    ({"SERVER_SOFTWARE": "gunicorn"}, {}, "", True),
    ({}, VSC, "VS Code", False),
    ({"COLAB_RELEASE_TAG": "release-colab_20261101"}, {}, "Colab", False),
    ({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, {}, "Kaggle", False),
    ({"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, {}, "", True),        # "Save & Run All": nobody watches
    ({"KAGGLE_KERNEL_RUN_TYPE": "Batch", "JPY_SESSION_NAME": "a.ipynb"}, {}, "", True),
    ({"KDUTILS_HEADLESS": "1", "JPY_SESSION_NAME": "a.ipynb"}, VSC, "VS Code", True),
    ({"KDUTILS_HEADLESS": "0"}, {}, "", False),
    ({"KDUTILS_HEADLESS": ""}, {}, "", True),
]


@pytest.mark.parametrize(("environment", "names", "shown_by", "nobody"), HOSTS)
def test_who_is_there_to_press_a_button(monkeypatch, environment, names, shown_by, nobody):
    for name in SIGNS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shell = SimpleNamespace(user_ns=names)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert (host(), headless()) == (shown_by, nobody)


def test_outside_ipython_there_are_no_names_to_look_at(monkeypatch):
    for name in SIGNS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert headless()
    monkeypatch.delitem(sys.modules, "IPython")
    assert headless() and "IPython" not in sys.modules


def test_a_wish_that_is_neither_yes_nor_no_is_refused(monkeypatch):
    monkeypatch.setenv("KDUTILS_HEADLESS", "yes")
    with pytest.raises(ParameterError, match="KDUTILS_HEADLESS must be 1 or 0, got 'yes'"):
        headless()
