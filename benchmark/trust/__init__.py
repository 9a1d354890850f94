"""Whether a result can be trusted, whatever its score: checks without truth, each with a stated limit."""
