"""Who may talk to the server, and as whom."""
