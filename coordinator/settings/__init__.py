"""What can be set about a coordinator: one tree, read once."""

from coordinator.settings.campaign import Assessment, DriftSettings, Tuning
from coordinator.settings.federation import Federation
from coordinator.settings.tree import ACCESS_KEY, Settings, read_settings, settings_text

__all__ = [
    "ACCESS_KEY",
    "Assessment",
    "DriftSettings",
    "Federation",
    "Settings",
    "Tuning",
    "read_settings",
    "settings_text",
]
