"""`python -m laurels.cli`."""

from . import main

main()
