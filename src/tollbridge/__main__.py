"""`python -m tollbridge`."""

from tollbridge.cli.main import main

main()
