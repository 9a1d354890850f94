"""Whether each frame is one network's, wholly: by the ledger, by provenance, and by computing it again."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from model_library.images.readers import read_frame, read_provenance
from model_library.wire.base import Message
from model_library.wire.methods import NetworkRef
from simulations.replay.accounts import Entry, Losses, losses, read_results
from simulations.replay.report import Machine, machine
from simulations.replay.swaps import Battered

_FAR = 10.0
_DTYPE_MOST = 65_535


@dataclass(frozen=True, slots=True)
class Told:
    """A result: release and network of its provenance, and how far its pixels are from each network's own.

    `errors` are the largest over the image, in grey values, by network id.
    """

    sha256: str
    release_id: str
    network_id: str
    weights_sha256: str
    errors: Mapping[str, float]

    @property
    def is_of_another(self) -> bool:
        """Whether the pixels are not clearly those of the network that is named."""
        own = self.errors[self.network_id]
        return any(own * _FAR >= error for name, error in self.errors.items() if name != self.network_id)


class SwapReport(Message):
    """What `synoptic benchmark swaps --json` writes.

    Attributes
    ----------
    kills, kills_in_mid_swap
        kill -9 of the daemon; those before the newest release was in service.
    releases, releases_that_worked
        Published, and those that reconstructed a frame.
    losses
        Frames without a result, accepted or done twice, or in part.
    misnamed
        Frames whose ledger, provenance and release do not name the same network.
    of_another_network
        Frames whose pixels are not those of the network that their provenance names.
    frames_by_network
        By that name.
    largest_own_error, least_other_error
        Grey values between a result and what the named network, or any other, makes of the frame, in
        torch; the largest of each image.
    """

    kills: int = Field(ge=0)
    kills_in_mid_swap: int = Field(ge=0)
    frames: int = Field(ge=0)
    releases: int
    releases_that_worked: int
    losses: Losses
    misnamed: int = Field(ge=0)
    of_another_network: int = Field(ge=0)
    frames_by_network: dict[str, int]
    largest_own_error: float
    least_other_error: float
    swaps_s: float
    machine: Machine

    @property
    def is_clean(self) -> bool:
        """Whether every frame was done once, by the network that it names."""
        return not (self.losses.any or self.misnamed or self.of_another_network)


def account(left: Battered, kills: int) -> SwapReport:
    """Hold what was written against ledger, provenance and pixels; computes every frame with each network."""
    entries = [
        Entry(row["sha256"], row["state"], row["arrived_at"], row["finished_at"], row["busy_s"])
        for row in left.rows
    ]
    told = tellings(left)
    return SwapReport(
        kills=kills,
        kills_in_mid_swap=left.mid_swap,
        frames=len(left.written),
        releases=len(left.published),
        releases_that_worked=len({row["release_id"] for row in left.rows}),
        losses=losses(left.written, entries, read_results(left.results)),
        misnamed=misnamed(left, told),
        of_another_network=sum(each.is_of_another for each in told.values()),
        frames_by_network=dict(Counter(each.network_id for each in told.values())),
        largest_own_error=max(each.errors[each.network_id] for each in told.values()),
        least_other_error=min(
            error for each in told.values() for name, error in each.errors.items() if name != each.network_id
        ),
        swaps_s=left.seconds,
        machine=machine(left.load_before),
    )


def tellings(left: Battered) -> dict[str, Told]:
    """Read every result, and compute its frame with each network in torch; by the frame's digest."""
    from model_library.inference.engine import NetworkMethod, load_network
    from model_library.zoo.registry import Library

    shelf = Library(left.library)
    methods = {
        name: NetworkMethod(load_network(shelf.path(name)), tile_px=1024, threads=1)
        for name in sorted({ref.id for ref in left.published.values()})
    }
    sources = {frame.sha256: left.acquisitions / frame.name for frame in left.written}
    found = {}
    for path in sorted(left.results.rglob("*.ome.tif")):
        provenance, pixels = read_provenance(path), read_frame(path).grey
        sha256 = provenance["source"]["sha256"]
        source = read_frame(sources[sha256]).grey
        found[sha256] = Told(
            sha256=sha256,
            release_id=provenance["release_id"],
            network_id=provenance["method"]["id"],
            weights_sha256=provenance["method"]["weights_sha256"],
            errors={
                name: float(np.abs(method(source).clip(0, _DTYPE_MOST) - pixels).max())
                for name, method in methods.items()
            },
        )
    return found


def misnamed(left: Battered, told: Mapping[str, Told]) -> int:
    """Count the ledger's frames whose result names another release or network than ledger and release do."""
    return sum(_is_misnamed(row, told.get(row["sha256"]), left.published) for row in left.rows)


def _is_misnamed(row: Mapping[str, str], told: Told | None, published: Mapping[str, NetworkRef]) -> bool:
    if told is None or row["release_id"] != told.release_id:
        return True
    network = published[told.release_id]
    return (told.network_id, told.weights_sha256) != (
        network.id,
        network.weights_sha256,
    ) or NetworkRef.model_validate_json(row["method"]) != network


def write_report(report: SwapReport, file: Path) -> None:
    """Write every figure as JSON."""
    from model_library.images.durable import write_durably

    write_durably(file, (report.model_dump_json(indent=2) + "\n").encode())
