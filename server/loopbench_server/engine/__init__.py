"""Training, evaluation and diagnosis inside a worker process, independent of gRPC, Prometheus and SQL."""
