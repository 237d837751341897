"""The gRPC server: ports, servicer, interceptors and the mapping of errors to statuses."""
