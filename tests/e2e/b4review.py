"""What `b4 review` makes of a thread in an archive; run in a checkout that has the patch on top.

    python b4review.py MASK MESSAGE-ID     prints what it knows of the patches, as JSON

The review branch, the thread's mails and the session are b4's own work; the terminal is left out.
"""

from __future__ import annotations

import argparse
import json
import sys

import b4
import b4.review
from b4.review import _review, tracking


def main(mask: str, msgid: str) -> None:
    settings = {"b4.midmask": mask, "b4.linkmask": mask, "b4.attestation-policy": "off"}
    b4.setup_config(argparse.Namespace(config=settings))
    top = b4.git_get_toplevel()
    b4.git_run_command(top, ["fetch", ".", "HEAD"])
    mails = b4.get_pi_thread_by_msgid(msgid, nocache=True)
    series = b4.review._get_lore_series(mails, wantver=1)
    branch = f"{_review.REVIEW_BRANCH_PREFIX}{series.change_id}"
    _review.create_review_branch(top, branch, "HEAD~1", series, mask % msgid, mask)
    tracking._store_thread_blob(top, series.change_id, mails)
    session = _review._prepare_review_session(argparse.Namespace(branch=branch))
    print(json.dumps(session["patches"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
