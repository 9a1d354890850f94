"""After the last round: each member's own version of the network, for that member alone."""

from pathlib import Path

from coordinator.federation.accepted_updates import AcceptedUpdates
from coordinator.federation.aggregation import merge
from coordinator.federation.asking import Asking
from coordinator.federation.checkpoint import encode_weights
from coordinator.federation.fleet import Weights
from coordinator.federation.gathering import Gathering
from coordinator.federation.plan import RoundRecord
from model_library.images.durable import write_durably
from model_library.signing.digests import sha256_bytes

_FOLDER = "personal"


def version_file(folder: Path, instrument_id: str) -> Path:
    """Name the file with the weights of a member's own version."""
    return folder / _FOLDER / f"{instrument_id}.safetensors"


def gather_versions(
    asking: Asking, folder: Path, weights: Weights, quarantined: frozenset[str]
) -> RoundRecord:
    """Ask every member that is online for its own version, once, and write down what can be used.

    Versions are examined as updates are. They are joined with nothing, so none is needed: whoever does
    not answer, or whose owner keeps his version, goes on with the common network. After a crash only
    those are asked whose version is missing.

    Parameters
    ----------
    asking
        The way to the members; nobody is at work any more.
    folder
        The federation's; takes a file of weights for each member (`version_file`).
    weights
        The common network, after the last round.
    quarantined
        Members that are not asked.

    Raises
    ------
    Superseded
        Another process was started for the same federation.
    """
    plan, clock = asking.plan, asking.clock
    number = plan.rounds + 1
    updates = AcceptedUpdates(folder, number, sha256_bytes(encode_weights(weights)), asking.claim)
    gathering = Gathering(plan, number, weights, updates, quarantined)
    gathering.recall()
    started_at, began = clock.unix(), clock.monotonic()
    asking.ask_once(gathering, asking.fleet.online() & plan.ids - quarantined)
    gathering.compare()
    for instrument_id, each in gathering.contributions().items():
        version = merge(weights, each.load(), each.shrink)
        with asking.claim.held():
            version_file(folder, instrument_id).parent.mkdir(exist_ok=True)
            write_durably(version_file(folder, instrument_id), encode_weights(version))
    return gathering.record(started_at, clock.monotonic() - began, 1)
