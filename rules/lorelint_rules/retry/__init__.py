"""Loops that go round because a callee said "try again"."""
