"""Networks with named features, as ordinary modules and as populations."""

from kdutils.networks.branched import Branched, Hinted
from kdutils.networks.images import NETWORKS, ImageNetwork, image_network
from kdutils.networks.population import Outputs, Parameters, Population, Specification, features, size
from kdutils.networks.small import MLP, ConvNet

__all__ = ["MLP", "NETWORKS", "Branched", "ConvNet", "Hinted", "ImageNetwork", "Outputs", "Parameters", "Population",
           "Specification", "features", "image_network", "size"]
