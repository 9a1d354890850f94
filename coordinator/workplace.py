"""What the work on campaigns and returned images needs, handed in as one frozen value."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from coordinator.releases.repository import ReleaseRepository
from coordinator.settings import Settings
from coordinator.store.annotations import Annotations
from coordinator.store.campaigns import Campaigns
from coordinator.store.federations import Federations
from coordinator.store.identities import Identities
from coordinator.store.images import Images
from coordinator.store.objects import ObjectFolder
from coordinator.store.observations import Observations
from coordinator.store.releases import Releases, Scores
from coordinator.store.returned import Returned
from coordinator.store.uploads import Uploads
from coordinator.turns import Turns

Clock = Callable[[], float]
"""Seconds since 1970 (UTC)."""


class Stopping(BaseException):
    """The process ends; not an `Exception`, so DBOS leaves the step undone and repeats it after a restart."""


@dataclass(frozen=True)
class Workplace:
    """Settings, clock, memory and the right to compute.

    `library` holds the pre-trained networks (None: those that ship). `stopping` is set when the
    process ends. `turns` admits few heavy steps at a time, so that campaigns of several
    instruments take turns stage by stage and each gets its first release soon. `working` holds the
    workflows that are under way in this process.
    """

    settings: Settings
    clock: Clock
    library: Path | None
    identities: Identities
    uploads: Uploads
    images: Images
    annotations: Annotations
    campaigns: Campaigns
    releases: Releases
    scores: Scores
    observations: Observations
    returned: Returned
    federations: Federations
    objects: ObjectFolder
    repository: ReleaseRepository
    stopping: threading.Event = field(default_factory=threading.Event)
    turns: Turns = field(default_factory=Turns)
    working: set[str] = field(default_factory=set)

    def rng(self, *purpose: str) -> np.random.Generator:
        """Chance for one purpose: the same seed and words always give the same numbers."""
        return np.random.default_rng([self.settings.seed, *"/".join(purpose).encode()])

    @contextmanager
    def at_work(self, workflow: str) -> Iterator[None]:
        """Count a workflow as under way."""
        self.working.add(workflow)
        try:
            yield
        finally:
            self.working.discard(workflow)

    def check(self) -> None:
        """Leave the step undone where the process ends; called between pieces of work.

        Raises
        ------
        Stopping
            The process ends.
        """
        if self.stopping.is_set():
            raise Stopping
