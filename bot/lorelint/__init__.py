"""lorelint reviews kernel patch series from the mailing lists and proves what it says."""
