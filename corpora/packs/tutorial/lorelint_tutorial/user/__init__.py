"""What user space is handed, and hands in."""
