"""The data plane's edge: HTTP/1.1, routes, credentials, streaming, problems."""
