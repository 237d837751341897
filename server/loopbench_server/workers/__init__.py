"""Worker processes: forked, asked, limited and read."""
