"""Starting one network from the weights of another."""

from collections.abc import Mapping

from torch import Tensor, nn

from model_library.errors import WeightsError


def transfer(
    state: Mapping[str, Tensor], module: nn.Module, *, fresh: tuple[str, ...] = ("tail.", "upsample.")
) -> tuple[str, ...]:
    """Put weights into a module that differs in its last layers only.

    So EDSR x3 and x4 begin with the body of x2 (Lim et al. 2017, section 3.2), with the same
    arrays as in the reference code: all that agree in key and shape.

    Parameters
    ----------
    state
        Of the network to start from.
    module
        Changed in place.
    fresh
        Prefixes of the keys that may stay as they were initialised.

    Returns
    -------
    The keys that did, sorted.

    Raises
    ------
    WeightsError
        Elsewhere, a key is missing or has another shape.
    """
    own = module.state_dict()
    taken = {
        key: state[key] for key, tensor in own.items() if key in state and state[key].shape == tensor.shape
    }
    left = tuple(sorted(own.keys() - taken.keys()))
    strange = [key for key in left if not key.startswith(fresh)]
    if strange:
        raise WeightsError(
            f"expected weights that differ in {', '.join(fresh)} only, found {len(strange)} others missing "
            f"or of another shape {strange[:3]}; start from a network of the same blocks and width"
        )
    module.load_state_dict({**own, **taken}, strict=True)
    return left
