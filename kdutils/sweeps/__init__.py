"""One experiment at many parameter values, on this machine's cores or on a cluster."""

from kdutils.sweeps.points import changed, names, parameters
from kdutils.sweeps.run import SweepError, sweep

__all__ = ["SweepError", "changed", "names", "parameters", "sweep"]
