"""Runs from submission to their stored end: queued, given a slot, trained in a worker process."""
