"""The benchmark service: a gRPC server, and a process of its own for every run."""
