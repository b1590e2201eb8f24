"""One file per thing we do. Jobs take ports and return values."""
