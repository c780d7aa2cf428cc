"""A Chromium for the tests of this folder: one that is there, else Playwright's own, else Debian's.

    python tests/browser/get_browser.py

`make test` calls this before anything runs, so that it cannot be green with no widget tried. BROWSER=none goes on
without one. It ends with one sentence and status 1 if none can be had.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

from kdutils.course.doctor import find_browser

PATIENCE = 900  # seconds for one download


def main() -> None:
    """Get a browser, unless the caller wants none."""
    if os.environ.get("BROWSER") == "none" or find_browser():
        return
    for said, commands in ways():
        print(f"No Chromium starts here; trying {said}.", flush=True)
        if all(map(worked, commands)) and find_browser():
            return
    raise SystemExit("No Chromium starts here and none could be got: install Chromium or Chrome, name one in "
                     "KDUTILS_BROWSER, or leave the browser tests out with `make test BROWSER=none`.")


def ways() -> Iterator[tuple[str, list[list[str]]]]:
    """Ways to get one, the gentlest first: what to say, and its commands."""
    yield "Playwright's own", [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get") and (rights := administrator()) is not None:
        apt = [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
        yield "Debian's package", [[*apt, "update", "-q"],
                                   [*apt, "install", "-qy", "--no-install-recommends", "chromium"]]


def administrator() -> list[str] | None:
    """What to put before a command of root's: nothing for root, sudo if it asks no password; None if neither."""
    if os.geteuid() == 0:
        return []
    return ["sudo", "-n"] if shutil.which("sudo") and worked(["sudo", "-n", "true"]) else None


def worked(command: list[str]) -> bool:
    """Run a command; what it says goes to the terminal."""
    try:
        return subprocess.run(command, check=False, timeout=PATIENCE).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


if __name__ == "__main__":
    main()
