"""How the structure that networks are to find looks: what whoever asks can say without drawing it."""

from enum import StrEnum


class Look(StrEnum):
    """Whether a structure is brighter or darker than what lies around it."""

    BRIGHT = "bright"
    DARK = "dark"
