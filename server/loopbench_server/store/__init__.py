"""Runs, epochs and weights in a SQL database."""
