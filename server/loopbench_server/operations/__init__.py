"""Evaluation, comparison, diagnosis and verification of runs."""
