"""What can be taken out of a correct function: operators named by what they remove, each for the rule that must speak.

An operator knows text and the lists of APIs, and asks no rule where to cut: so the share of cuts that a rule speaks of
is a measure of it. A check that another one beside it makes superfluous is cut as well, and counts as missed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from lorelint.code.ir import Function
from lorelint.code.lex import mask
from lorelint.jobs.measure.cutting import LEAVE, Span, alone, closed, conjuncts, guards, loops
from lorelint.model.knowledge import Knowledge
from lorelint.model.regex import regex

Names = Callable[[str], frozenset[bytes]]  # the names of a list, as bytes
Find = Callable[[bytes, Names], Iterator[tuple[Span, bytes]]]  # masked text, lists -> spans and what they become


class Operator(Struct, frozen=True):
    """One kind of check.

    name    what it removes
    rule    which must speak without it
    lists   of APIs: a function must name one of each
    words   and each of these patterns
    find    the places, and what they become; a function is cut where there is one place alone
    left    patterns that must still stand there when it is cut: without them there is nothing to check
    """

    name: str
    rule: str
    find: Find
    lists: tuple[str, ...] = ()
    words: tuple[bytes, ...] = ()
    left: tuple[bytes, ...] = ()

    def admits(self, text: bytes, names: Names) -> bool:
        """Whether all that it asks for stands in a text."""
        if not all(re.search(each, text) for each in self.words):
            return False
        return all(any(name in text for name in names(each)) for each in self.lists)

    def cuts(self, fn: Function, names: Names) -> Iterator[tuple[Span, bytes]]:
        """The places of a function's text where it can be cut, with what stands there instead."""
        if self.admits(fn.text, names):
            code = mask(fn.text)
            said = frozenset(re.findall(rb"\b[A-Za-z_]\w*", code))
            if all(said & names(each) for each in self.lists):
                for (start, end), instead in self.find(code, names):
                    rest = code[:start] + instead + code[end:]
                    if all(re.search(each, rest) for each in self.left):
                        yield (start, end), instead


def lists_of(know: Knowledge) -> Names:
    """The lists of a kernel version, as operators ask for them."""
    known: dict[str, frozenset[bytes]] = {}

    def names(name: str) -> frozenset[bytes]:
        if name not in known:
            known[name] = frozenset(each.encode() for each in know.names(name))
        return known[name]

    return names


# -- retry loops -------------------------------------------------------------------------------

_ERRNO = rb"\(*\s*\w+\s*==\s*-\s*E(?:AGAIN|BUSY|INTR|WOULDBLOCK)\s*\)*"
_AGAIN = regex(_ERRNO + rb"(?:\s*\|\|\s*" + _ERRNO + rb")*")
_WORTH = rb"[!=]=\s*-\s*E(?:AGAIN|BUSY|INTR|WOULDBLOCK)\b"
_COUNT = regex(rb"\(*\s*!?\s*(?:--\w+|\w+--|\+\+\w+|\w+\+\+)\s*(?:[<>]=?\s*\w+|[!=]=\s*\w+)?\s*\)*")
_COMPARED = regex(rb"\(*\s*(\w+)\s*[<>]=?\s*(\w+)\s*\)*")
_CLOCK = regex(
    rb"\(*\s*!?\s*(?:time_(?:before|after)(?:_eq)?|time_is_\w+|ktime_(?:before|after))"
    rb"\s*\([^()]*(?:\([^()]*\)[^()]*)*\)\s*\)*"
)
_OF_ITS_OWN = regex(
    rb"^[ \t]*if\s*\(\s*(?:!?\s*(?:--\w+|\w+--)(?:\s*[<=]=?\s*0)?|(?:\+\+\w+|\w+\+\+)\s*>=?\s*\w+|"
    rb"time_after(?:_eq)?\(jiffies,[^;{}]*\))\s*\)\s*(?:\{[^{}]*" + LEAVE + rb"\s*\}|" + LEAVE + rb")[ \t]*$",
    re.M,
)
_YIELD = regex(rb"^[ \t]*(?:cond_resched|msleep|usleep_range|fsleep|ssleep|schedule)\([^;{}]*\);[ \t]*$", re.M)
_SIGNAL = regex(
    rb"^[ \t]*if\s*\((?:unlikely\()?(?:fatal_)?signal_pending\(current\)\)?\)\s*(?:\{[^{}]*"
    + LEAVE
    + rb"\s*\}|"
    + LEAVE
    + rb")[ \t]*$",
    re.M,
)
#: A loop that counts or looks at a clock in its head, and leaves on everything but one errno.
_HEAD = regex(rb"\b(?:for\s*\([^;{}]*;([^;{}]*);([^{};]*)\)|while\s*\(([^{};]*)\))\s*\{")
_UNLESS = regex(rb"\bif\s*\(\s*\w+\s*!=\s*-\s*E(?:AGAIN|BUSY|INTR|WOULDBLOCK)\s*\)\s*\{?\s*" + LEAVE)


def _is_bound(part: bytes, body: bytes) -> bool:
    if _COUNT.fullmatch(part) or _CLOCK.fullmatch(part):
        return True
    compared = _COMPARED.fullmatch(part)
    if compared is None:
        return False
    changed = [
        re.search(rb"(?:\+\+|--)" + name + rb"\b|\b" + name + rb"\s*(?:\+\+|--|[-+]=)", body)
        for name in compared.groups()
    ]
    return any(changed)


def _bound_in_the_head(code: bytes, names: Names) -> Iterator[tuple[Span, bytes]]:
    for found in _HEAD.finditer(code):
        body = code[found.end() : closed(code, found.end() - 1)]
        test = found[1] if found[3] is None else found[3]
        step = found[2] or b""
        if _UNLESS.search(body) and b"continue" not in body and _is_bound(test.strip(), body + step):
            yield found.span(), b"for (;;) {"


def _split(code: bytes, low: int, high: int) -> tuple[list[Span], list[Span]]:
    """The operands of a condition that ask for an errno, and the others."""
    parts = conjuncts(code, low, high)
    retried = [part for part in parts if _AGAIN.fullmatch(code[part[0] : part[1]].strip())]
    return retried, [part for part in parts if part not in retried]


def _bound_beside_the_errno(code: bytes, names: Names) -> Iterator[tuple[Span, bytes]]:
    for start, end, low, high in loops(code):
        retried, others = _split(code, low, high)
        if retried and len(others) == 1 and _is_bound(code[others[0][0] : others[0][1]].strip(), code[start:end]):
            yield (low, high), b"&&".join(code[a:b] for a, b in retried).strip()


def _within_retry(pattern: re.Pattern[bytes]) -> Find:
    """The one place of a pattern inside a loop that goes round on an errno alone."""

    def find(code: bytes, names: Names) -> Iterator[tuple[Span, bytes]]:
        for start, end, low, high in loops(code):
            retried, others = _split(code, low, high)
            found = list(pattern.finditer(code, start, end))
            if retried and not others and len(found) == 1:
                yield found[0].span(), b""

    return find


# -- calls and guards --------------------------------------------------------------------------


def _call(*lists: str, names_too: tuple[bytes, ...] = ()) -> Find:
    """The only call in the function of these APIs, listed or named, where it stands alone."""

    def find(code: bytes, names: Names) -> Iterator[tuple[Span, bytes]]:
        wanted = frozenset(names_too).union(*(names(each) for each in lists))
        said = [word for word in re.findall(rb"\b(\w+)\s*\(", code) if word in wanted]
        if len(said) == 1:
            yield from ((span, b"") for span, _ in alone(code, wanted))

    return find


def _named(*wanted: bytes) -> Find:
    return _call(names_too=wanted)


def _guard(pattern: bytes) -> Find:
    """The only guard whose condition holds a pattern."""

    def find(code: bytes, names: Names) -> Iterator[tuple[Span, bytes]]:
        found = [span for span, condition in guards(code) if re.search(pattern, condition)]
        if len(found) == 1:
            yield found[0], b""

    return find


def _word(pattern: bytes) -> Find:
    """The only place of a pattern."""

    def find(code: bytes, names: Names) -> Iterator[tuple[Span, bytes]]:
        found = list(re.finditer(pattern, code))
        if len(found) == 1:
            yield found[0].span(), b""

    return find


def _instead(**others: str) -> Find:
    """The only call of some functions, by the name of another one."""
    other = {name.encode(): instead.encode() for name, instead in others.items()}
    called = regex(rb"\b(" + b"|".join(sorted(other)) + rb")(?=\s*\()")

    def find(code: bytes, names: Names) -> Iterator[tuple[Span, bytes]]:
        found = list(called.finditer(code))
        if len(found) == 1:
            yield found[0].span(), other[found[0][1]]

    return find


_RESULT = regex(rb"\b(\w+)\s*=\s*(\w+)\s*\(")
_SHORT = regex(rb"\A\s*(?:unlikely\s*\()?\s*(\w+)\s*(?:!=|<)\s*[a-z_]\w*")


def _short_pin(code: bytes, names: Names) -> Iterator[tuple[Span, bytes]]:
    """The only guard that compares how many pages were got, or the sum of that, with how many were wanted."""
    taken = names("gup_pin") | names("gup_get")
    told = {name for name, api in _RESULT.findall(code) if api in taken}
    told |= {name for name, by in re.findall(rb"\b(\w+)\s*\+=\s*(\w+)\s*;", code) if by in told}
    found = [span for span, asked in guards(code) if (match := _SHORT.match(asked)) and match[1] in told]
    if len(found) == 1:
        yield found[0], b""


_LOOKUP = regex(rb"\b(\w+)\s*=\s*(?:find_vma|vma_lookup)\s*\([^;{}]*\);")
_UNLOCK = regex(rb"\bmmap_read_unlock\s*\([^;{}]*\);")


def _unlocked_early(code: bytes, names: Names) -> Iterator[tuple[Span, bytes]]:
    """The lock that was taken for the only look-up of a VMA is given back right behind it, and used afterwards."""
    looked, given = list(_LOOKUP.finditer(code)), list(_UNLOCK.finditer(code))
    if len(looked) != 1 or len(given) != 1 or given[0].start() < looked[0].end():
        return
    if re.search(rb"\b" + looked[0][1] + rb"->", code[looked[0].end() : given[0].start()]):
        yield (looked[0].end(), looked[0].end()), b" " + given[0].group()


_PINS = ("gup_pin",)
_INSERT = rb"\b(?:io_)?remap_pfn_range\s*\("
#: What takes a mapping away and does nothing else: a device that is torn down needs the others for more than that.
_UNMAPS = (
    b"unmap_mapping_range",
    b"unmap_mapping_pages",
    b"zap_vma_ptes",
    b"drm_vma_node_unmap",
    b"ttm_bo_unmap_virtual",
    b"rdma_user_mmap_disassociate",
    b"uverbs_user_mmap_disassociate",
)

OPERATORS: Sequence[Operator] = (
    Operator("bound in the head", "unbounded-retry", _bound_in_the_head, words=(_WORTH,)),
    Operator("bound beside the errno", "unbounded-retry", _bound_beside_the_errno, words=(_WORTH,)),
    Operator("bound of its own", "unbounded-retry", _within_retry(_OF_ITS_OWN), words=(_WORTH,)),
    Operator("yield", "retry-no-resched", _within_retry(_YIELD), words=(_WORTH,)),
    Operator("signal check", "retry-no-fatal-signal", _within_retry(_SIGNAL), words=(_WORTH,)),
    Operator(
        "comparison with vm_end",
        "single-vma-check",
        _guard(rb"\bvm_end\b"),
        ("vma_lookup",),
        left=(rb"\bvm_(?:flags|file|ops)\b", rb"\b(?:len|length|size|bytes|n?r?_?pages|end)\b"),
    ),
    Operator(
        "end of the PFN lookup",
        "pfnmap-start-end-balance",
        _named(b"follow_pfnmap_end"),
        words=(rb"\bfollow_pfnmap_start\s*\(",),
    ),
    Operator(
        "question to the notifier", "mmu-notifier-retry-missing", _guard(rb"\bmmu_(?:interval_read|invalidate)_retry")
    ),
    Operator("unmap beside a revoke call", "revoke-without-unmap", _named(*_UNMAPS), ("revoke_marker_calls",)),
    Operator("unmap beside a marker", "revoke-without-unmap", _named(*_UNMAPS), ("revoke_markers_fields",)),
    Operator(
        "marker test of a fault handler",
        "fault-revoked-check",
        _guard(rb"\b(?:revoked|dead|dying|closed|removed|unplugged|disconnected|disassociated)\b"),
        ("fault_inserters",),
        (rb"\bstruct\s+vm_fault\b",),
    ),
    Operator(
        "drm_dev_enter() of a fault handler",
        "fault-revoked-check",
        _guard(rb"!\s*drm_dev_enter\s*\("),
        ("fault_inserters",),
        (rb"\bstruct\s+vm_fault\b",),
    ),
    Operator(
        "bound of an mmap",
        "mmap-range-unchecked",
        _guard(
            rb"\A(?!\s*vma->vm_end\s*<\s*vma->vm_start\s*\Z)[^?]*\b(?:vm_pgoff|vm_end|vma_pages|size|len|length|offset|off|pgoff)\b"
        ),
        words=(_INSERT, rb"\bstruct\s+vm_area_struct\b"),
        left=(rb"\bvm_pgoff\b",),
    ),
    Operator(
        "refusal of private mappings",
        "pfnmap-vma-flags",
        _guard(rb"\b(?:VM_SHARED|VM_MAYSHARE|is_cow_mapping)\b"),
        words=(rb"\bvm_flags(?:_set\s*\(|\s*\|=)[^;]*\bVM_PFNMAP\b",),
    ),
    Operator("release of a pin", "gup-pin-leak", _call("gup_unpin"), _PINS),
    Operator("test for a short pin", "gup-partial-pin", _short_pin, _PINS),
    Operator(
        "unpin, a put instead",
        "gup-put-mismatch",
        _instead(unpin_user_page="put_page", unpin_user_pages="release_pages", unpin_user_folio="folio_put"),
        _PINS,
    ),
    Operator(
        "lock over a VMA",
        "vma-use-after-unlock",
        _unlocked_early,
        words=(rb"\b(?:find_vma|vma_lookup)\s*\(", rb"\bmmap_read_unlock\s*\("),
    ),
    Operator(
        "reservation lock",
        "dmabuf-resv-lock",
        _named(b"dma_resv_lock"),
        words=(rb"\bdma_buf_(?:map_attachment|unmap_attachment|pin|unpin|move_notify)\s*\(",),
    ),
    Operator(
        "FOLL_LONGTERM", "gup-missing-longterm", _word(rb"\s*\|\s*FOLL_LONGTERM\b|\bFOLL_LONGTERM\s*\|\s*"), _PINS
    ),
    Operator("dirtying", "gup-missing-dirty", _named(b"set_page_dirty", b"set_page_dirty_lock"), _PINS),
    Operator(
        "detach",
        "dmabuf-unwind",
        _named(b"dma_buf_detach"),
        words=(rb"\bdma_buf_(?:dynamic_)?attach\s*\(",),
    ),
    Operator(
        "unmap of an attachment",
        "dmabuf-unwind",
        _named(b"dma_buf_unmap_attachment", b"dma_buf_unmap_attachment_unlocked"),
        words=(rb"\bdma_buf_map_attachment(?:_unlocked)?\s*\(",),
    ),
)
