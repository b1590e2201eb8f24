"""The only place that knows b4 (0.16): series out of mails, what it would take from a reply, its mail server."""
