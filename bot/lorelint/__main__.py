"""``python -m lorelint``."""

from lorelint.cli import main

if __name__ == "__main__":
    main()
