"""Worker processes: start, tasks, messages and limits."""
