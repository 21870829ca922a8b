"""Databases behind the ports of `app`."""
