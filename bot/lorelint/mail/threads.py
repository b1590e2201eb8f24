"""Which mails belong together: threads by reference, and within a thread the postings that must not be mixed.

b4 keeps one series per revision number of a mailbox. Two second versions in one mailbox, or an
alternative patch in the thread of a series, would be merged into one. So mails are first parted into
lanes; within one, a revision number stands for one posting, and b4 does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

MAX_CLIMB = 50  # answers upon answers that are followed from a patch to what it was posted under
MAX_POSTINGS = 300  # of one thread that are looked at, those nearest to its root
_DAY = 86_400


class Node(Struct, frozen=True):
    """What threading must know about one mail; numbers as b4 reads them from the subject."""

    msgid: str
    parent: str  # In-Reply-To, "" for none
    references: tuple[str, ...]
    author: str  # address of the sender; "local" for patch files that were never mailed
    time: float  # seconds since the epoch, 0 where unknown
    posted: bool  # a patch or a cover letter, and no reply
    reply: bool = False
    version: int = 1
    counter: int = 1
    expected: int = 1
    unversioned: bool = True
    unnumbered: bool = True
    resend: bool = False


class _Cluster(Struct):
    """Mails that were posted together."""

    key: tuple[object, ...]
    nodes: list[Node]
    parent: _Cluster | None
    lane: _Lane | None = None
    counters: set[int] = field(default_factory=set)


class _Lane(Struct):
    versions: set[int] = field(default_factory=set)
    clusters: list[_Cluster] = field(default_factory=list)


def acyclic_parents(nodes: Sequence[Node]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The parent of each mail, "" for none, and the mails whose parent was dropped because it made a loop."""
    parent = {node.msgid: node.parent for node in nodes}
    broken: list[str] = []
    safe: set[str] = set()
    for node in nodes:
        path: list[str] = []
        on_path: set[str] = set()
        at = node.msgid
        while at in parent and at not in safe:
            if at in on_path:
                parent[path[-1]] = ""
                broken.append(path[-1])
                break
            path.append(at)
            on_path.add(at)
            at = parent[at]
        safe |= on_path
    return parent, tuple(broken)


def part_threads(nodes: Sequence[Node]) -> tuple[tuple[Node, ...], ...]:
    """Strict threads: mails connected by In-Reply-To or References, also through mails that are not here.

    Patches that were posted without threading (``git format-patch`` files, ``--no-thread``) and say
    by sender, version and count that they are one series are put together. Order is that of `nodes`.
    """
    root: dict[str, str] = {}

    def find(name: str) -> str:
        root.setdefault(name, name)
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for node in nodes:
        find(node.msgid)
        for other in (node.parent, *node.references):
            if other:
                root[find(other)] = find(node.msgid)
    for one, other in _unthreaded(nodes):
        root[find(other)] = find(one)
    groups: dict[str, list[Node]] = {}
    for node in nodes:
        groups.setdefault(find(node.msgid), []).append(node)
    return tuple(tuple(group) for group in groups.values())


def _unthreaded(nodes: Sequence[Node]) -> Iterable[tuple[str, str]]:
    """Pairs of mails that are one series although nothing refers from one to the other."""
    taken: dict[str, set[int]] = {}  # counters by message-id of a thread's first patch
    for node in nodes:
        if node.posted and node.parent:
            taken.setdefault(node.parent, set()).add(node.counter)
    open_groups: dict[tuple[object, ...], list[tuple[Node, set[int]]]] = {}
    for node in nodes:
        if not node.posted or node.parent or node.references or node.unnumbered:
            continue
        mine = {node.counter} | taken.get(node.msgid, set())
        groups = open_groups.setdefault((node.version, node.expected, node.author), [])
        for first, counters in groups:
            near = node.author == "local" or abs(first.time - node.time) <= _DAY
            if near and not counters & mine:
                counters |= mine
                yield first.msgid, node.msgid
                break
        else:
            groups.append((node, mine))


def part_lanes(nodes: Sequence[Node], parent: Mapping[str, str]) -> tuple[tuple[Node, ...], ...]:
    """The lanes of one thread, that of the earliest posting nearest to the root first.

    A lane holds postings, the replies to them and what they were posted under. No mail that was
    posted is in two lanes; of more than MAX_POSTINGS postings some are in none.
    """
    by_id = {node.msgid: node for node in nodes}
    above = _posted_above(nodes, parent, by_id)
    clusters = _clusters(nodes, parent, above, by_id)
    lanes: list[_Lane] = []
    for cluster in clusters[:MAX_POSTINGS]:
        _place(cluster, lanes)
    return tuple(_members(lane, nodes, parent, above, by_id) for lane in lanes)


def _posted_above(nodes: Sequence[Node], parent: Mapping[str, str], by_id: Mapping[str, Node]) -> dict[str, str]:
    """For each mail the nearest posted one above it, "" for none."""
    above: dict[str, str] = {}
    for node in nodes:
        path: list[str] = []
        at = node.msgid
        while at in by_id and at not in above:
            path.append(at)
            at = parent[at]
            if at in by_id and by_id[at].posted:
                break
        found = at if at in by_id and by_id[at].posted else above.get(at, "")
        for msgid in path:
            above[msgid] = found
    return above


def _depths(nodes: Sequence[Node], above: Mapping[str, str]) -> dict[str, int]:
    depth: dict[str, int] = {"": -1}
    for node in nodes:
        path: list[str] = []
        at = node.msgid
        while at not in depth:
            path.append(at)
            at = above[at]
        for msgid in reversed(path):
            depth[msgid] = depth[at] + 1
            at = msgid
    return depth


def _clusters(
    nodes: Sequence[Node], parent: Mapping[str, str], above: Mapping[str, str], by_id: Mapping[str, Node]
) -> list[_Cluster]:
    depth = _depths(nodes, above)
    order = {node.msgid: at for at, node in enumerate(nodes)}
    posted = sorted((node for node in nodes if node.posted), key=lambda node: (depth[node.msgid], order[node.msgid]))
    clusters: list[_Cluster] = []
    home: dict[str, _Cluster] = {}
    by_key: dict[tuple[object, ...], list[_Cluster]] = {}
    for node in posted:
        up = by_id.get(above[node.msgid])
        upper = home[up.msgid] if up else None
        if up and upper and _together(up, node):
            key = upper.key
            upper = upper.parent
        else:
            anchor = id(upper) if upper else (parent[node.msgid] if node.author != "local" else "")
            key = (anchor, node.version, node.expected, node.author)
        for cluster in by_key.setdefault(key, []):
            if node.counter not in cluster.counters:
                break
        else:
            cluster = _Cluster(key, [], upper)
            by_key[key].append(cluster)
            clusters.append(cluster)
        cluster.nodes.append(node)
        cluster.counters.add(node.counter)
        home[node.msgid] = cluster
    return clusters


def _together(up: Node, node: Node) -> bool:
    """Whether a mail posted under another belongs to the same posting: nobody else completes a sender's series."""
    if up.author != node.author:
        return False
    same_version = up.version == node.version or (node.unversioned and up.counter in (0, 1))
    return same_version and up.expected == node.expected and not node.unnumbered


def _place(cluster: _Cluster, lanes: list[_Lane]) -> None:
    """Put a posting in a lane where its revision number is free, or in a new one."""
    first = cluster.nodes[0]
    version = first.version
    upper = cluster.parent
    candidates = [upper.lane] if upper and upper.lane else list(lanes) if not upper else []
    for lane in candidates:
        if not upper and lane.clusters[0].nodes[0].author != first.author:
            continue
        if upper and first.unversioned and version not in lane.versions and cluster.counters & upper.counters:
            continue  # b4 would take the revision of the mail above, where the place is taken
        if version in lane.versions:
            if not _renumbered(cluster, lane):
                continue
            version = len(lane.versions) + 1
        cluster.lane = lane
        break
    else:
        cluster.lane = _Lane()
        lanes.append(cluster.lane)
    cluster.lane.versions.add(version)
    cluster.lane.clusters.append(cluster)


def _renumbered(cluster: _Cluster, lane: _Lane) -> bool:
    """Whether b4 will count a lone unnumbered patch as the next version of its author's earlier one."""
    node = cluster.nodes[0]
    if len(cluster.nodes) > 1 or not node.unnumbered or not node.unversioned or node.resend:
        return False
    if lane.versions != set(range(1, len(lane.versions) + 1)):
        return False
    others = [other for each in lane.clusters for other in each.nodes]
    return all(
        other.unnumbered and other.unversioned and other.author == node.author and 0 < other.time < node.time
        for other in others
    )


def _members(
    lane: _Lane,
    nodes: Sequence[Node],
    parent: Mapping[str, str],
    above: Mapping[str, str],
    by_id: Mapping[str, Node],
) -> tuple[Node, ...]:
    wanted = {node.msgid for cluster in lane.clusters for node in cluster.nodes}
    wanted |= {node.msgid for node in nodes if not node.posted and above[node.msgid] in wanted}
    for cluster in lane.clusters:
        for node in cluster.nodes:
            at = parent[node.msgid]
            for _ in range(MAX_CLIMB):
                if at not in by_id or at in wanted or by_id[at].posted:
                    break
                wanted.add(at)
                at = parent[at]
    return tuple(node for node in nodes if node.msgid in wanted)
