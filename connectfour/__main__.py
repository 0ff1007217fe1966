"""``python -m connectfour``."""

from connectfour.cli import main

main()
