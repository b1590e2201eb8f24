"""How it stands, what may be said to whom, who did what, and which keys there are."""

from __future__ import annotations

from starlette.responses import Response

from lorelint.web.visit import Visit

TRAIL = 200


def show(visit: Visit) -> Response:
    """Lists, trees, series, letters, and what is wrong."""
    found = visit.place.status()
    with visit.look() as session:
        return visit.show(session, "status.html", status=found)


def lists(visit: Visit) -> Response:
    """The policy of each list; read, not changed."""
    policy = visit.outpost.policy()
    with visit.look() as session:
        muted = {one.name: session.verdicts.muted(one.name) for one in policy.lists}
        return visit.show(session, "lists.html", policy=policy, muted=muted)


def trail(visit: Visit) -> Response:
    """Who did what."""
    about = visit.asked.get("about", "")[:300]
    with visit.look() as session:
        return visit.show(session, "trail.html", about=about, steps=session.notes.trail(about, TRAIL))


def help(visit: Visit) -> Response:
    """The keys."""
    with visit.look() as session:
        return visit.show(session, "help.html")
