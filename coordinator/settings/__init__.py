"""What can be set about a coordinator: one tree, read once."""

from coordinator.settings.campaign import AssessmentSettings, DriftSettings, TuningSettings
from coordinator.settings.federation import FederationSettings
from coordinator.settings.tree import ACCESS_KEY, Settings, read_settings, settings_text

__all__ = [
    "ACCESS_KEY",
    "AssessmentSettings",
    "DriftSettings",
    "FederationSettings",
    "Settings",
    "TuningSettings",
    "read_settings",
    "settings_text",
]
