"""What a notebook runs in: a page that a reader can act on, or a program that only wants the finished page."""

import os

from kdutils.errors import ParameterError


def headless() -> bool:
    """True if nobody can press a button: papermill, nbconvert, nbval, a plain script.

    KDUTILS_HEADLESS=1 or 0 decides if it is set: runners set 1, also because a runner started from a notebook inherits
    that notebook's variables; 0 is for hosts that we cannot recognise. Otherwise JupyterLab tells its kernels the
    notebook's name (JPY_SESSION_NAME) and Voila names itself (SERVER_SOFTWARE); the runners do neither.

    Errors: ParameterError if KDUTILS_HEADLESS is anything but 1, 0 or empty.
    """
    wish = os.environ.get("KDUTILS_HEADLESS", "")
    if wish:
        if wish not in ("0", "1"):
            raise ParameterError(f"KDUTILS_HEADLESS must be 1 or 0, got {wish!r}.")
        return wish == "1"
    live = "JPY_SESSION_NAME" in os.environ or os.environ.get("SERVER_SOFTWARE", "").startswith("voila")
    return not live
