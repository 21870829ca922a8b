"""Use cases over ports. Start with `exchange`, the life of a request."""
