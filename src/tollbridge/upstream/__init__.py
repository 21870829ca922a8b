"""Servers that run models: the HTTP client and the built-in model."""
