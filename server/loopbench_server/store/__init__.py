"""Runs, epochs and weights in SQL."""
