"""The revisions of the store's tables, one file each in `versions/`, numbered without a gap. Alembic runs them.

A revision that went out is never changed: it says what the tables were then, and imports nothing of ours.
"""
