"""Time and memory of loopbench compared with other implementations."""
