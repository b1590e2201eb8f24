"""The outside: one foreign library or program per file."""
