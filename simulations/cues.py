"""When someone at a microscope or at the coordinator does something: pure decisions from a look."""

from model_library.wire.images import ImagePurpose
from model_library.wire.tasks import Segment
from simulations.observation import Look, SiteLook

LATE_SHARE = 0.75
"""By this share of the allowed time a last session begins, final release or not."""
LATE_CHANGE_SHARE = 0.55
"""The same where the instrument changes: what follows takes longer."""


def buttons_due(seen: Look, share: float) -> frozenset[str]:
    """Choose the sites whose last session may begin.

    Where nothing changes, as soon as the first campaign has ended and its release is in use. Where
    the instrument changes, not before the federation of its cohort is over as well, so that the
    drift is told apart from it.

    Parameters
    ----------
    seen
        Where the run stands.
    share
        Of the allowed time that has passed.
    """
    return frozenset(site.name for site in seen.sites if _begins(seen, site, share))


def _begins(seen: Look, site: SiteLook, share: float) -> bool:
    if share > (LATE_CHANGE_SHARE if site.changes else LATE_SHARE):
        return True
    return site.settled and (not site.changes or seen.federation_over(site))


def annotations_due(seen: Look, first_images: int) -> tuple[SiteLook, ...]:
    """Choose the sites whose first images can be labelled: all of them are with the coordinator."""
    return tuple(
        site
        for site in seen.sites
        if isinstance(site.task, Segment)
        and site.campaign is not None
        and not site.campaign.ended
        and len(first_image_names(site)) >= first_images
    )


def first_image_names(site: SiteLook) -> tuple[str, ...]:
    """Name the files of the first images that the coordinator has, in the order of acquisition."""
    first = [each for each in site.images if each.purpose == ImagePurpose.FIRST]
    return tuple(each.file_name for each in sorted(first, key=lambda each: each.sequence))
