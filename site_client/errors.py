"""Refusals of the site client."""

from model_library.errors import SynopticError


class SiteError(SynopticError):
    """Something the site client refuses or cannot do."""


class SettingsError(SiteError):
    """`settings.toml` is missing, malformed or contradicts itself."""


class EnrolmentError(SiteError):
    """The folder has no identity, has one already, or the coordinator is not the one the token names."""


class AlreadyRunning(SiteError):
    """Another daemon holds this folder."""


class CoordinatorUnreachable(SiteError):
    """No answer, or no usable one, within the deadline; trying again later may help."""


class CoordinatorRefused(SiteError):
    """The coordinator answered, and said no; trying the same again does not help."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ReleaseRefused(SiteError):
    """A release does not verify or does not load; what is in service stays."""


class AdaptationRefused(SiteError):
    """A network cannot be adapted here and now; the coordinator is told why."""


class NothingToReturnTo(SiteError):
    """There is no earlier release that could be put back in service."""


class ServiceRefused(SiteError):
    """The daemon cannot be made a service of this computer as asked."""


class NothingToShow(SiteError):
    """A picture that was asked for cannot be made."""


class SourceMissing(SiteError):
    """The file of an accepted frame is gone, or cannot be read any more."""


class SourceChanged(SiteError):
    """The file of an accepted frame no longer has the digest that it was accepted with."""
