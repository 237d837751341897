"""The training itself: what a run does inside its own process. Knows nothing of gRPC, Prometheus or SQL."""
