"""Rules about what user space has been promised: the codes of system calls."""
