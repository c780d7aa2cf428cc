"""One experiment at many parameter values, on this machine's cores or on a cluster."""

from kdutils.sweeps.run import SweepError, changed, names, parameters, sweep

__all__ = ["SweepError", "changed", "names", "parameters", "sweep"]
