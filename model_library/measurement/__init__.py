"""Figures that a segmented image gives: how many objects, how large, how much of the area."""
