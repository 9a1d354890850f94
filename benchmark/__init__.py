"""Assessing networks: splits, cases, metrics, baselines, comparison, selection and the gate."""
