"""Periodic work of a server on its store: leases, cancellation requests, retention, runs that ended elsewhere."""
