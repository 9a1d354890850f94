"""Refusals of the ground floor: each message says what was expected, what was found and what to do."""


class SynopticError(Exception):
    """Something Synoptic refuses or cannot do, told in words for the person who reads it."""


class ImageError(SynopticError):
    """A file or an array is not an image that Synoptic can use."""


class EmptyImage(ImageError):
    """The file holds no bytes."""


class NotAnImage(ImageError):
    """The bytes are not those of an image format that Synoptic reads."""


class TruncatedImage(ImageError):
    """The image ends before its own directory says it should."""


class UnsupportedImage(ImageError):
    """The image is whole, but of a kind (colour, axes, depth, size) that Synoptic does not process."""


class NonFinitePixels(ImageError):
    """The image holds NaN or infinite grey values."""


class MissingReader(ImageError):
    """The image is of a format whose library is an optional extra that is not installed."""


class UnfitPixelSize(ImageError):
    """The image's pixels are too far from the size that a network was made for."""


class UnknownTask(SynopticError):
    """Words name no task."""


class RecipeError(SynopticError):
    """A degradation or training recipe contradicts itself or the images it is used on."""


class CardError(SynopticError):
    """A model card is missing, malformed or contradicts its weights."""


class WeightsError(SynopticError):
    """Weights do not have the digest, the keys, the shapes or the finite values that their card promises."""


class CheckpointError(SynopticError):
    """The checkpoint of a training is damaged, or that of another training."""


class CannotFold(SynopticError):
    """The normalisation of a network cannot be merged into its convolutions."""


class UnknownNetwork(SynopticError):
    """No network of this id is in the library."""


class LibraryError(SynopticError):
    """A library cannot be changed in this way."""


class ExchangeError(SynopticError):
    """A package for exchange cannot be made, or is not one that Synoptic takes in."""


class CodingError(SynopticError):
    """A change of weights cannot be packed, or what came is not a packed one."""


class SignatureError(SynopticError):
    """A signature, key or certificate does not verify."""


class ProcessFailed(SynopticError):
    """A process that was started has ended, or did not do what it was started for."""


class AnnotationError(SynopticError):
    """A file of annotations is malformed, or does not fit the images that it names."""


class ChildDied(SynopticError):
    """A child process ended, or was killed at its deadline, before it answered."""


class ChildRefused(SynopticError):
    """A child process answered with a refusal; `code` is the name of the refusal's class."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
