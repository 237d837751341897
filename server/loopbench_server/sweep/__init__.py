"""An index of a sweep, trained by a process of its own without the server."""
