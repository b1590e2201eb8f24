"""lorelint reviews kernel patch series from the mailing lists and proves what it says."""

__version__ = "0.1.0"
