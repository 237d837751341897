"""TLS, tokens and roles."""
