"""Which first images the campaigns of an instrument ask for."""

from itertools import pairwise

from coordinator.store.values import Instrument, Opening
from coordinator.workplace import Workplace
from model_library.wire.images import ImagePurpose
from model_library.wire.orders import ImageRequest

MOST_IMAGES = 200
_MOST_REQUESTS = 64


def requests_of(place: Workplace, instrument: Instrument) -> tuple[ImageRequest, ...]:
    """List what the campaigns of an instrument ask for, oldest first; of very many the latest 64.

    A refused image leaves a gap and is made up for by a later frame.
    """
    openings: tuple[Opening | None, ...] = (*place.campaigns.openings(instrument.id), None)
    requests = []
    for opening, following in pairwise(openings):
        assert opening is not None
        first, end = opening.from_sequence, None if following is None else following.from_sequence
        refused = place.uploads.refused(instrument.id, ImagePurpose.FIRST, first, end)
        count = min(place.settings.first_images + refused, MOST_IMAGES)
        requests.append(ImageRequest(campaign=opening.number, from_sequence=first, count=count))
    return tuple(requests[-_MOST_REQUESTS:])
