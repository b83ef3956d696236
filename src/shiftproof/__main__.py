"""`python -m shiftproof` is the command line."""

from shiftproof.cli import main

if __name__ == "__main__":
    main()
