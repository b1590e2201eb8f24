"""Mail text to meaning and back, pure: nothing here opens a file, a socket or a program."""
