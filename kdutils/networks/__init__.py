"""Networks with named features, as ordinary modules and as populations."""

from kdutils.networks.population import Outputs, Parameters, Population, Specification, features, size
from kdutils.networks.small import MLP, ConvNet

__all__ = ["MLP", "ConvNet", "Outputs", "Parameters", "Population", "Specification", "features", "size"]
