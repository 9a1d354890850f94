"""Fleets of real daemons on this machine, over links that are narrow and get cut."""
