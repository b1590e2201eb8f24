"""One process at a time, on either kind of store."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from lorelint.edge.store.database import Database
from lorelint.edge.store.holding import held
from lorelint.model.errors import LorelintError


def test_only_one_at_a_time(store: Database, url: str, tmp_path: object) -> None:
    other = Database(url, tmp_path)  # type: ignore[arg-type]
    with held(store, "listen", "follows the lists"):
        with (
            pytest.raises(LorelintError, match="another process follows the lists"),
            held(other, "listen", "follows the lists"),
        ):
            pass
        with held(other, "send", "sends"), other.begin() as session:
            session.notes.set("a", "b")
    with held(other, "listen", "follows the lists"):
        pass
    other.close()


def test_who_fails_lets_go(store: Database) -> None:
    with pytest.raises(ZeroDivisionError), held(store, "listen", "follows the lists"):
        raise ZeroDivisionError
    with held(store, "listen", "follows the lists"):
        pass


def test_it_is_given_back_before_the_connection_closes(store: Database, url: str, tmp_path: object) -> None:
    """The server notices a closed connection when it comes to it: whoever is next must not meet a lock nobody holds."""
    if store.engine.dialect.name != "postgresql":
        return  # a file's lock ends with the file
    other = Database(url, tmp_path)  # type: ignore[arg-type]
    taken: list[bool] = []

    def at_the_end(*_: object) -> None:
        with held(other, "listen", "follows the lists"):
            taken.append(True)

    sa.event.listen(store.engine, "invalidate", at_the_end)
    with held(store, "listen", "follows the lists"):
        pass
    assert taken
    other.close()
