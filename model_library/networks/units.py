"""In which units a network wants an image."""

from typing import Any

from numpy.typing import NDArray

from model_library.images.intensity import Scaling
from model_library.networks.config import NetworkConfig
from model_library.networks.graph_config import ByConstants, ByMoments, ByPercentiles, GraphConfig


def scaling_for(config: NetworkConfig, pixels: NDArray[Any]) -> Scaling:
    """Give the map between counts and the units of a network.

    Parameters
    ----------
    config
        Of the network: our own take percentiles, networks from elsewhere what they were trained with.
    pixels
        The whole image [..., Y, X], counts; never a tile.

    Raises
    ------
    NonFinitePixels
        The image holds NaN or infinity.
    """
    if not isinstance(config, GraphConfig):
        return Scaling.of(pixels)
    match config.units:
        case ByPercentiles():
            return Scaling.of(pixels, (config.units.low, config.units.high))
        case ByMoments():
            return Scaling.standard(pixels)
        case ByConstants():
            return Scaling(config.units.offset, config.units.gain)
