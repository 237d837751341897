"""Periodic work on the store: leases, expired runs, cancellation requests, retention, ended runs."""
