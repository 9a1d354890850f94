"""Refusals of the coordinator; each knows the HTTP status and the code by which a site recognises it."""

from model_library.errors import SynopticError


class CoordinatorError(SynopticError):
    """Something that the coordinator refuses."""

    status = 400
    code = "refused"


class NotFounded(CoordinatorError):
    """The data folder holds no coordinator, or already holds one."""

    code = "not_founded"


class AlreadyServing(CoordinatorError):
    """Another process serves from this data folder."""

    code = "already_serving"


class Unauthenticated(CoordinatorError):
    """The request carries no valid credentials, or those of a revoked instrument."""

    status = 401
    code = "unauthenticated"


class Forbidden(CoordinatorError):
    """The credentials are valid, but not for this."""

    status = 403
    code = "forbidden"


class Unknown(CoordinatorError):
    """Nothing of this name is here for the one who asks."""

    status = 404
    code = "not_found"


class Conflict(CoordinatorError):
    """The request contradicts what is already known."""

    status = 409
    code = "conflict"


class Gone(CoordinatorError):
    """The upload has expired or was ended."""

    status = 410
    code = "gone"


class LengthRequired(CoordinatorError):
    """The body comes without its length."""

    status = 411
    code = "length_required"


class PreconditionFailed(CoordinatorError):
    """The client speaks another version of a protocol."""

    status = 412
    code = "version"


class TooLarge(CoordinatorError):
    """The body is larger than the coordinator takes."""

    status = 413
    code = "too_large"


class WrongMediaType(CoordinatorError):
    """The body is declared as something else than the route takes."""

    status = 415
    code = "media_type"


class Unprocessable(CoordinatorError):
    """The request is well-formed, but its content is refused."""

    status = 422
    code = "unprocessable"


class ChecksumMismatch(CoordinatorError):
    """The bytes of a chunk do not have the checksum sent with them (tus 1.0.0, checksum extension)."""

    status = 460
    code = "checksum_mismatch"


class CannotAssess(CoordinatorError):
    """A campaign has not what it needs to come to a verdict."""

    status = 422
    code = "cannot_assess"


class FederationOver(Conflict):
    """A site speaks of a federation that has ended, or in which its frames are no longer wanted."""

    code = "federation_over"


class CannotFederate(CoordinatorError):
    """A federation has not what it needs to begin or to go on."""

    status = 409
    code = "cannot_federate"


class EngineDown(CoordinatorError):
    """Flower's engine does not run, or does not answer in time."""

    status = 503
    code = "engine_down"


class EngineRefused(CoordinatorError):
    """Flower's engine does not do what it was asked."""

    status = 502
    code = "engine_refused"
