"""Of a check of a Patchwork: what it tells of, whether a person has to look first, what was last said and when.

Revision ID: 0004
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer, Text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("checks", Column("fingerprints", Text, nullable=False, server_default="[]"))
    op.add_column("checks", Column("held", Integer, nullable=False, server_default="0"))
    op.add_column("checks", Column("said", Text, nullable=False, server_default=""))
    op.add_column("checks", Column("told_at", Text, nullable=False, server_default=""))
    op.execute("UPDATE checks SET said = description WHERE posted = state")
    op.create_index("ix_checks_told_at", "checks", ["told_at"])


def downgrade() -> None:
    op.drop_index("ix_checks_told_at", "checks")
    op.drop_column("checks", "told_at")
    op.drop_column("checks", "said")
    op.drop_column("checks", "held")
    op.drop_column("checks", "fingerprints")
