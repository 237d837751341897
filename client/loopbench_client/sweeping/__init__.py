"""Sweeps: the specs of a plan under its seeds, each trained by a separate process, here or in a cluster."""
