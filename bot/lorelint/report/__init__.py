"""Report -> text, pure: no file is read, no clock looked at, no environment asked."""
