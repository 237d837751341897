"""The benchmark service: a gRPC server that trains each run in its own process."""
