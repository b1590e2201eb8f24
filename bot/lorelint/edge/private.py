"""Whether a file with secrets is kept from others."""

from __future__ import annotations

import os
import stat


def others_may_read(there: os.stat_result) -> bool:
    """Whether more than its owner may read a file, or change it.

    One of root's may be read by a group: so an administrator gives it to the one who needs it, and so systemd hands
    over credentials, whose list of readers shows as rights of the group.
    """
    mode = stat.S_IMODE(there.st_mode)
    return bool(mode & (0o037 if there.st_uid == 0 else 0o077))
