"""How soon a drift is told, and how often one that is none: `python -m benchmark.drift_error --json FILE`.

Drawn series have normal, heavy-tailed and skewed scatter. Resampled ones are features of acquisitions,
simulated and real, measured as the coordinator measures them; there a method's score comes with the scatter
that other fields of view and other specimens give it.
"""
