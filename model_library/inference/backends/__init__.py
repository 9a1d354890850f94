"""Libraries that compute a network, behind one port; which one serves is a matter of calibration."""
