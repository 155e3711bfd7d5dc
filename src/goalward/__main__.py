"""`python -m goalward`."""

from goalward.cli import main

main()
