"""Batch normalisation merged into the convolutions before it, as networks are released."""

import copy

import torch
from torch import nn

from model_library.errors import CannotFold
from model_library.networks.build import build, config_of
from model_library.networks.config import NetworkConfig, PSSRUNetConfig, UNetConfig
from model_library.networks.normalisation import folded_state


def fold(module: nn.Module) -> tuple[nn.Module, NetworkConfig]:
    """Make a network free of normalisation that computes the same in inference.

    Running statistics stand for those of the batch (Jacob et al. 2018, section 3.2), so outputs are
    those of `module.eval()` to float rounding, sooner and with less memory.

    Parameters
    ----------
    module
        A network as `build` makes it; left as it is.

    Returns
    -------
    tuple
        A module in inference mode, and the configuration that builds its like. A network without
        normalisation comes back as a copy.

    Raises
    ------
    CannotFold
        The network normalises over space.
    """
    config = config_of(module)
    match config:
        case UNetConfig(normalisation="batch") | PSSRUNetConfig(normalisation="batch"):
            plain = config.model_copy(update={"normalisation": "none"})
            with torch.device("meta"):
                free = build(plain)
            state = {key: value.detach().clone() for key, value in folded_state(module).items()}
            free.load_state_dict(state, strict=True, assign=True)
            return free.eval(), plain
        case (
            UNetConfig(normalisation="instance" | "group")
            | PSSRUNetConfig(normalisation="instance" | "group")
        ):
            raise CannotFold(
                f"expected batch normalisation or none, found {config.normalisation} normalisation, whose "
                "statistics are each image's own; release the network as it is, or train one with batch "
                "normalisation"
            )
        case _:
            return copy.deepcopy(module).eval(), config
