"""The tables of the store; SQLAlchemy Core, the same on SQLite and PostgreSQL.

What is asked for by value has a column, everything else stands in a JSON column or in packed bytes. Times are text
(RFC 3339, UTC). The tables change by the revisions in `migrations/` only; a test holds that both say the same.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, UniqueConstraint
from sqlalchemy import Text as PlainText
from sqlalchemy.types import TypeDecorator


class Text(TypeDecorator[str]):
    """Text out of mails: what no database holds (NUL, halves of surrogate pairs) is spelt out on its way in."""

    impl = PlainText
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


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


# -- mail

CURSORS = Table(
    "cursors",
    METADATA,
    Column("inbox", Text, primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    _text("commit_id"),
    _text("at"),
)
MESSAGES = Table(
    "messages",
    METADATA,
    Column("msgid", Text, primary_key=True),
    _text("root", index=True),
    _text("at", index=True),
    _text("date"),
    _text("name"),
    _text("address", index=True),
    _text("subject"),
    _text("nature"),
    _text("why"),
    _text("parent"),
    _text("refs", default="[]"),  # JSON
    _int("todo"),  # 1: something is to be done about it still
    _int("size"),
    Column("raw", LargeBinary, nullable=False),  # zlib
    Index("ix_messages_nature_todo", "nature", "todo"),
)
SIGHTINGS = Table(
    "sightings",  # which lists a message came over
    METADATA,
    Column("msgid", Text, primary_key=True),
    Column("inbox", Text, primary_key=True),
    _text("blob"),
    _text("at"),
    Index("ix_sightings_inbox", "inbox"),
)
LINKS = Table(
    "links",  # a message speaks of another, which may not have come yet
    METADATA,
    Column("msgid", Text, primary_key=True),
    Column("ref", Text, primary_key=True),
    Index("ix_links_ref", "ref"),
)

# -- series

SERIES = Table(
    "series",
    METADATA,
    Column("id", Integer, primary_key=True),
    _text("root", index=True),
    _text("key", index=True),
    Column("version", Integer, nullable=False),
    _text("subject"),
    _text("name"),
    _text("address", index=True),
    Column("first", Text, nullable=False, unique=True),
    _int("expected"),
    _int("have"),
    _text("life"),
    _text("why"),
    _text("first_at", index=True),
    _text("last_at"),
    _text("due_at"),
    _int("superseded_by"),
    _int("attempts"),
    Index("ix_series_life_due_at", "life", "due_at"),
)
PATCHES = Table(
    "patches",
    METADATA,
    Column("msgid", Text, primary_key=True),
    Column("series", Integer, ForeignKey("series.id"), nullable=False, index=True),
    Column("seq", Integer, nullable=False),
    _text("subject"),
    _text("patch_id", index=True),
    _text("same_as"),
)
REVIEWS = Table(
    "reviews",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("series", Integer, ForeignKey("series.id"), nullable=False, index=True),
    _text("at"),
    _text("version"),
    _text("tree"),
    _text("commit_id"),
    _text("grade"),
    _text("tried", default="[]"),  # JSON
    Column("seconds", Float, nullable=False, server_default="0"),
    _text("failure"),
    Column("report", LargeBinary, nullable=False),  # zlib of JSON
    _text("subsystems", default="[]"),  # JSON
    _text("people", default="[]"),  # JSON
)
EXHIBITS = Table(
    "exhibits",  # source around a finding, as it was reviewed
    METADATA,
    Column("review", Integer, ForeignKey("reviews.id"), primary_key=True, autoincrement=False),
    Column("fingerprint", Text, primary_key=True),
    Column("shown", LargeBinary, nullable=False),  # zlib of JSON
)
FINDINGS = Table(
    "findings",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("review", Integer, ForeignKey("reviews.id"), nullable=False, index=True),
    Column("series", Integer, ForeignKey("series.id"), nullable=False, index=True),
    _text("patch", index=True),
    _text("fingerprint", index=True),
    _text("rule", index=True),
    _text("path"),
    _text("function"),
    _int("line"),
    _text("anchor"),
    _text("message"),
    _text("status"),
    _text("severity"),
    Column("confidence", Float, nullable=False, server_default="0"),
    _text("grade"),
    _int("mailable"),
    _text("state", index=True),
    _int("since"),
    _int("fixed_in"),
    _text("reason"),
    _text("who"),
    _text("changed_at"),
    _text("snoozed_until"),
    Index("ix_findings_rule_state", "rule", "state"),
    Index("ix_findings_state_snoozed_until", "state", "snoozed_until"),
)

# -- the queue: made of series and findings, and made anew with each change of them

QUEUE = Table(
    "queue",  # one row for each series that has findings
    METADATA,
    Column("series", Integer, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    _text("at"),
    _int("rank"),  # of the gravest severity
    _int("waits"),  # findings that wait for a person
    _int("findings"),
    _int("newest"),
    _text("words"),  # what a search looks through
    _text("told", default="{}"),  # JSON: what a row of the page says
)
TAGS = Table(
    "tags",  # what a series can be found by; `at` and `rank` are the queue's, for their order
    METADATA,
    Column("series", Integer, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    _text("at"),
    _int("rank"),
    Index("ix_tags_kind_value_at_series", "kind", "value", "at", "series"),
    Index("ix_tags_kind_value_rank_at_series", "kind", "value", "rank", "at", "series"),
)
TALLIES = Table(
    "tallies",  # how many series have a tag
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    _int("waits"),
    _int("every"),
)
BITS = Table(
    "tag_bits",  # which series have a tag, a block of them in a row: see `bits`
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("bits", LargeBinary, nullable=False),
)
CHANGES = Table(
    "changes",  # what a person did with a finding
    METADATA,
    Column("id", Integer, primary_key=True),
    _int("batch", index=True),
    Column("finding", Integer, ForeignKey("findings.id"), nullable=False, index=True),
    Column("series", Integer, ForeignKey("series.id"), nullable=False, index=True),
    _text("fingerprint"),
    _text("at"),
    _text("who", index=True),
    _text("move"),
    _text("reason"),
    _text("was", default="{}"),  # JSON, as are became, letters and verdicts
    _text("became", default="{}"),
    _text("letters", default="[]"),
    _text("verdicts", default="[]"),
    _text("undone"),
)
VIEWS = Table(
    "views",  # what somebody asks for often; without a name: what is his
    METADATA,
    Column("who", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    _text("query"),
)

# -- letters

LETTERS = Table(
    "letters",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("patch", Text, nullable=False, unique=True),  # no patch is ever answered twice
    Column("series", Integer, ForeignKey("series.id"), nullable=False, index=True),
    Column("msgid", Text, nullable=False, unique=True),
    _text("state", index=True),
    _text("why", default="[]"),  # JSON, as are to, cc, refs, inboxes, fingerprints, rules
    _text("subject"),
    _text("body"),
    _text("to_addresses", default="[]"),
    _text("cc_addresses", default="[]"),
    _text("refs", default="[]"),
    _text("inboxes", default="[]"),
    _int("automatic"),
    _text("not_before"),
    _text("ruleset"),
    _text("fingerprints", default="[]"),
    _text("rules", default="[]"),
    _text("created_at"),
    _text("released_by"),
    _text("released_at"),
    _text("sending_at"),
    _text("sent_at", index=True),
    _int("attempts"),
    _text("error"),
)

# -- what people said, and what we say of ourselves

VERDICTS = Table(
    "verdicts",
    METADATA,
    Column("id", Integer, primary_key=True),
    _text("verdict"),
    _text("rule", index=True),
    _text("fingerprint"),
    _text("series_key", index=True),
    _text("inbox"),
    _text("who"),
    _text("weight"),
    _text("proof"),
    _text("reason"),
    _text("msgid", index=True),
    Column("ordinal", Integer, nullable=False, server_default="0"),  # of the command in its mail
    _text("at"),
    _int("obeyed"),
    _text("why"),
)
MUTES = Table(
    "mutes",
    METADATA,
    Column("inbox", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    _text("who"),
    _text("reason"),
    _text("at"),
)
OPT_OUTS = Table("opt_outs", METADATA, Column("address", Text, primary_key=True), _text("at"), _text("msgid"))
NOTES = Table("notes", METADATA, Column("name", Text, primary_key=True), _text("at"), _int("ok"), _text("text"))
AUDIT = Table(
    "audit",
    METADATA,
    Column("id", Integer, primary_key=True),
    _text("at"),
    _text("who"),
    _text("what"),
    _text("about", index=True),
    _text("details"),
)
SETTINGS = Table("settings", METADATA, Column("key", Text, primary_key=True), _text("value"))
CHECKS = Table(
    "checks",  # of Patchwork: set instead of mail
    METADATA,
    Column("id", Integer, primary_key=True),
    _text("patch"),
    _text("url"),
    _text("context"),
    _text("state"),
    _text("description"),
    _text("posted"),  # what was last posted: pending, success, warning, fail
    _text("at"),
    _text("error"),
    _text("fingerprints", default="[]"),  # JSON
    _int("held"),
    _text("said"),  # the description that was last posted
    _text("told_at", index=True),
    UniqueConstraint("patch", "url", "context"),
)
