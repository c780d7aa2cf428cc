"""One recipe per notebook: a frozen dataclass of parameters, and run(params) -> Results."""

from kdutils.experiments.sweep import SweepError, sweep

__all__ = ["SweepError", "sweep"]
