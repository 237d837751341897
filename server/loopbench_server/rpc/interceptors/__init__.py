"""Interceptors that every call passes."""
