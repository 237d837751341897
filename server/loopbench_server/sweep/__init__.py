"""Trains one index of a sweep in a process without the server."""
