"""Sweeps: the specs of a plan under its seeds, each trained by a process of its own, here or in a cluster."""
