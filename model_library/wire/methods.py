"""Which method turns an acquired image into a result: a network, or a classical algorithm."""

from typing import Annotated, Literal

from pydantic import Field

from model_library.wire.base import Message

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class NetworkRef(Message):
    """One version of one network, pinned by the digest of its weights file."""

    kind: Literal["network"] = "network"
    id: str
    version: str
    weights_sha256: Sha256


class ClassicalRef(Message):
    """A classical algorithm with the parameters that were tuned for the instrument."""

    kind: Literal["classical"] = "classical"
    id: str
    version: str = "1"
    parameters: dict[str, float] = Field(default_factory=dict)


MethodRef = Annotated[NetworkRef | ClassicalRef, Field(discriminator="kind")]
