"""Whole fleets of instruments, simulated: Flower's engine, this project's rounds, virtual time."""
