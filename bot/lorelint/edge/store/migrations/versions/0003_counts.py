"""Which series have a tag as bits, and whom MAINTAINERS names for the files of a series.

Revision ID: 0003
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer, LargeBinary, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("reviews", Column("people", Text, nullable=False, server_default="[]"))
    op.create_table(
        "tag_bits",
        Column("kind", Text, primary_key=True),
        Column("value", Text, primary_key=True),
        Column("block", Integer, primary_key=True, autoincrement=False),
        Column("bits", LargeBinary, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("tag_bits")
    op.drop_column("reviews", "people")
