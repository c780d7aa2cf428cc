"""`python -m kdutils`: the command line, where `kdutils` is not on the PATH."""

from kdutils.cli import app

if __name__ == "__main__":
    app(prog_name="kdutils")
