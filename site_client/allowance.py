"""How many images may leave: the owner's limits, kept here, whatever the coordinator orders."""

from collections.abc import Callable

from pydantic import Field, TypeAdapter, ValidationError

from model_library.wire.base import Message
from model_library.wire.images import ImagePurpose
from site_client.journal import Journal
from site_client.settings import SiteSettings

DAY_S = 86_400.0
_FACT = "images_begun"


class Begun(Message):
    """An image of which bytes may have left: id in the outbox, purpose, when it began (s since the epoch)."""

    item: int = Field(ge=1)
    purpose: ImagePurpose
    at: float


_BEGUN: TypeAdapter[tuple[Begun, ...]] = TypeAdapter(tuple[Begun, ...])


class ImageAllowance:
    """Says which images may leave now, and keeps account of those that began to.

    What counts is that sending began: a coordinator that takes an image and then says that it did not
    want it has it all the same.

    Parameters
    ----------
    journal
        Of the site's database.
    settings
        The owner's limits.
    clock
        Seconds since the epoch.
    """

    def __init__(self, journal: Journal, settings: SiteSettings, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._clock = clock
        self._limits = {
            ImagePurpose.FIRST: settings.most_first_images_per_day,
            ImagePurpose.BENCHMARK: settings.most_benchmark_images_per_day,
        }

    def never(self) -> frozenset[ImagePurpose]:
        """Purposes for which no image leaves at all."""
        return frozenset(purpose for purpose, most in self._limits.items() if most == 0)

    def held(self) -> frozenset[ImagePurpose]:
        """Purposes for which no further image may begin to leave now."""
        begun = self._lately()
        return frozenset(
            purpose
            for purpose, most in self._limits.items()
            if most is not None and sum(each.purpose is purpose for each in begun) >= most
        )

    def resumable(self) -> frozenset[int]:
        """Images (ids in the outbox) that began within a day and are counted already."""
        never = self.never()
        return frozenset(each.item for each in self._lately() if each.purpose not in never)

    def begin(self, item: int, purpose: ImagePurpose) -> None:
        """Account an image, durably, before its first byte leaves; counted once within a day."""
        begun = self._lately()
        if self._limits[purpose] is None or any(each.item == item for each in begun):
            return
        entry = Begun(item=item, purpose=purpose, at=self._clock())
        self._journal.remember(_FACT, _BEGUN.dump_json((*begun, entry)).decode())

    def _lately(self) -> tuple[Begun, ...]:
        fact, now = self._journal.fact(_FACT), self._clock()
        try:
            begun = () if fact is None else _BEGUN.validate_json(fact)
        except ValidationError:  # written by another version of this program
            return ()
        # A clock that was set back must not free what was counted.
        return tuple(each for each in begun if each.at > now - DAY_S)
