"""The data plane's edge: ASGI routes, credentials, streaming, problems."""
