"""Who may do what: keys and credentials, pure."""
