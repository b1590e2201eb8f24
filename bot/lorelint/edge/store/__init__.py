"""Messages, series, findings, letters and verdicts in one database; the only place that knows SQLAlchemy and Alembic.

`database.py` opens it and gives transactions, `schema.py` has the tables, `migrations/` how they came to be, and each
other module one of the parts of `lorelint.model.store.Session`.
"""
