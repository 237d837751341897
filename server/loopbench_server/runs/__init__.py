"""The life of a run: queued, given a slot, trained in a process of its own, stored."""
