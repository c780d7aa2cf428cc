"""What a notebook runs in: a page that a reader can act on, or a program that only wants the finished page."""

import os
import sys
from pathlib import PurePath

from kdutils.errors import ParameterError


def headless() -> bool:
    """True if nobody can press a button: papermill, nbconvert, nbval, a plain script.

    KDUTILS_HEADLESS=1 or 0 decides if it is set: runners set 1, also because a runner started from a notebook inherits
    that notebook's variables; 0 is for hosts that `host` does not recognise.

    Errors: ParameterError if KDUTILS_HEADLESS is anything but 1, 0 or empty.
    """
    wish = os.environ.get("KDUTILS_HEADLESS", "")
    if wish:
        if wish not in ("0", "1"):
            raise ParameterError(f"KDUTILS_HEADLESS must be 1 or 0, got {wish!r}.")
        return wish == "1"
    return not host()


def host() -> str:
    """The front end that shows this notebook to a reader, by the sign that it leaves in the kernel; "" if none does.

    JupyterLab and Notebook 7 tell the kernel the notebook's name, Voila names itself, VS Code puts the notebook's path
    among the names of the notebook (vscode-jupyter, src/kernels/kernel.ts), Colab and Kaggle set variables; a Kaggle
    notebook that is saved runs from top to bottom with nobody there, and says "Batch".
    """
    names = _notebook_names()
    signs = {
        "VS Code": "__vsc_ipynb_file__" in names,
        "Voila": os.environ.get("SERVER_SOFTWARE", "").startswith("voila"),
        "Colab": "COLAB_RELEASE_TAG" in os.environ,
        "Kaggle": os.environ.get("KAGGLE_KERNEL_RUN_TYPE") == "Interactive",
        "Jupyter": "JPY_SESSION_NAME" in os.environ and os.environ.get("KAGGLE_KERNEL_RUN_TYPE") != "Batch",
    }
    return next((name for name, here in signs.items() if here), "")


def page() -> str:
    """The name of the notebook that is open, without its folder and .ipynb, where its front end tells; "" elsewhere."""
    path = os.environ.get("JPY_SESSION_NAME") or _notebook_names().get("__vsc_ipynb_file__") or ""
    return PurePath(str(path).replace("\\", "/")).stem


def _notebook_names() -> dict:
    """The names that the notebook's cells see; none outside IPython, which is not imported for this."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell.user_ns if shell else {}
