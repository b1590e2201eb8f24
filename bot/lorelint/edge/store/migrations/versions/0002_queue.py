"""The queue, what persons did with findings, and the source around these.

Revision ID: 0002
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text

revision = "0002"
down_revision = "0001"

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str, *, default: str | None = "", index: bool = False) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default, index=index)


def _int(name: str, *, index: bool = False) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0", index=index)


def _of(table: str) -> ForeignKey:
    return ForeignKey(f"{table}.id")


for _known in ("series", "reviews", "findings"):
    Table(_known, METADATA, Column("id", Integer, primary_key=True))
NEW = (
    Table(
        "exhibits",
        METADATA,
        Column("review", Integer, _of("reviews"), primary_key=True, autoincrement=False),
        Column("fingerprint", Text, primary_key=True),
        Column("shown", LargeBinary, nullable=False),
    ),
    Table(
        "queue",
        METADATA,
        Column("series", Integer, _of("series"), primary_key=True, autoincrement=False),
        _text("at"),
        _int("rank"),
        _int("waits"),
        _int("findings"),
        _int("newest"),
        _text("words"),
        _text("told", default="{}"),
    ),
    Table(
        "tags",
        METADATA,
        Column("series", Integer, _of("series"), primary_key=True, autoincrement=False),
        Column("kind", Text, primary_key=True),
        Column("value", Text, primary_key=True),
        _text("at"),
        _int("rank"),
        Index("ix_tags_kind_value_at_series", "kind", "value", "at", "series"),
        Index("ix_tags_kind_value_rank_at_series", "kind", "value", "rank", "at", "series"),
    ),
    Table(
        "tallies",
        METADATA,
        Column("kind", Text, primary_key=True),
        Column("value", Text, primary_key=True),
        _int("waits"),
        _int("every"),
    ),
    Table(
        "changes",
        METADATA,
        Column("id", Integer, primary_key=True),
        _int("batch", index=True),
        Column("finding", Integer, _of("findings"), nullable=False, index=True),
        Column("series", Integer, _of("series"), nullable=False, index=True),
        _text("fingerprint"),
        _text("at"),
        _text("who", index=True),
        _text("move"),
        _text("reason"),
        _text("was", default="{}"),
        _text("became", default="{}"),
        _text("letters", default="[]"),
        _text("verdicts", default="[]"),
        _text("undone"),
    ),
    Table(
        "views",
        METADATA,
        Column("who", Text, primary_key=True),
        Column("name", Text, primary_key=True),
        _text("query"),
    ),
)


def upgrade() -> None:
    op.add_column("reviews", _text("subsystems", default="[]"))
    op.create_index("ix_findings_rule_state", "findings", ["rule", "state"])
    op.create_index("ix_findings_state_snoozed_until", "findings", ["state", "snoozed_until"])
    METADATA.create_all(op.get_bind(), tables=NEW, checkfirst=False)


def downgrade() -> None:
    METADATA.drop_all(op.get_bind(), tables=NEW, checkfirst=False)
    op.drop_index("ix_findings_state_snoozed_until", "findings")
    op.drop_index("ix_findings_rule_state", "findings")
    op.drop_column("reviews", "subsystems")
