"""How often the gate errs: `python -m benchmark.gate_error --json FILE`.

Candidates whose worth is known come before the gate, several times over on the same fields. Scores of
equally good networks are drawn with the spread that re-trainings have, or are those of real re-trainings;
candidates that sharpen noise are real methods on simulated images.
"""
