"""Which words stand in which files, packed: the pages of an index.

A posting is one 64-bit number: 40 bits of the word's hash, 16 of the file's number within its batch, 8 of the word's
roles there. A batch's postings are sorted and cut into pages by the first bits of the hash, so a word is looked up by
reading one page of each batch. A page is kept by columns of bytes, which compress to about four bytes a posting
(20 million of them in linux 6.12).

Two words may share a hash: one look-up in 200,000 may name a file too many. Who asks reads the file anyway.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import repeat

FILES = 1 << 16  # in one batch
_PIECE = 1 << 17  # bytes of text split at once
_PER_PAGE = 512  # postings, about
_MAX_BITS = 12
_DEALT = 10  # bits
_WORDS = bytes(code if (chr(code).isalnum() and code < 128) or code == 0x5F else 0x20 for code in range(256))
_LETTER = 0x3A  # words that begin with a smaller byte begin with a digit


def words(raw: bytes) -> set[bytes]:
    """All identifiers of a text, also those in comments: what `git grep -w` finds."""
    found: set[bytes] = set()
    at = 0
    while at < len(raw):  # in pieces: the list of all words of a large header would take hundreds of MB
        end = raw.find(b"\n", at + _PIECE)
        end = len(raw) if end < 0 else end
        found.update(raw[at:end].translate(_WORDS).split())
        at = end
    return {word for word in found if word[0] >= _LETTER}


def hashed(word: bytes) -> int:
    """40 bits of a word: two checksums that have nothing to do with each other."""
    return zlib.crc32(word) << 8 | zlib.adler32(word) & 0xFF


def postings(number: int, inside: set[bytes], roles: Mapping[bytes, int]) -> array[int]:
    """Of one file: its number in the batch, its words, and the roles of some of them."""
    words = tuple(inside.union(roles))
    count = len(words)
    raw = bytearray(8 * count)  # by columns, as a page is: nothing is done word by word but in C
    raw[0::8] = bytes(map(roles.get, words, repeat(0)))
    raw[1::8] = bytes((number & 0xFF,)) * count
    raw[2::8] = bytes((number >> 8,)) * count
    raw[3::8] = _little(array("I", map(zlib.adler32, words))).tobytes()[::4]
    hashes = _little(array("I", map(zlib.crc32, words))).tobytes()
    for at in range(4):
        raw[4 + at :: 8] = hashes[at::4]
    return _little(array("Q", bytes(raw)))


def in_order(numbers: array[int]) -> array[int]:
    """Postings sorted: dealt by the first bits of their hash, which are even, then each hand."""
    hands: list[list[int]] = [[] for _ in range(1 << _DEALT)]
    for posting in numbers:
        hands[posting >> 64 - _DEALT].append(posting)
    found = array("Q")
    for hand in hands:
        hand.sort()
        found.extend(hand)
    return found


def bits(count: int) -> int:
    """How many bits of the hash name the page, for so many postings."""
    return min(_MAX_BITS, max(0, (count // _PER_PAGE).bit_length()))


def paged(sorted_postings: array[int], width: int) -> Iterator[tuple[int, bytes]]:
    """(page, its bytes) of every page that is not empty."""
    start = 0
    while start < len(sorted_postings):
        page = sorted_postings[start] >> 64 - width if width else 0
        end = bisect_left(sorted_postings, (page + 1) << 64 - width) if page + 1 < 1 << width else len(sorted_postings)
        yield page, pack(sorted_postings[start:end])
        start = end


def page_of(word_hash: int, width: int) -> int:
    return word_hash >> 40 - width


def pack(numbers: array[int]) -> bytes:
    """One page as bytes, by columns."""
    raw = _little(numbers).tobytes()
    return zlib.compress(b"".join(raw[at::8] for at in range(8)), 1)


def _columns(data: bytes) -> tuple[bytes, int]:
    """The columns of a page behind one another, and how long each is. Raises ValueError."""
    try:
        columns = zlib.decompress(data)
    except zlib.error as error:
        raise ValueError(f"damaged page: {error}") from error
    count, left = divmod(len(columns), 8)
    if left:
        raise ValueError("damaged page: not of 64-bit numbers")
    return columns, count


def unpack(data: bytes) -> array[int]:
    """The postings of a page. Raises ValueError for bytes that are damaged."""
    columns, count = _columns(data)
    raw = bytearray(len(columns))
    for at in range(8):
        raw[at::8] = columns[at * count : (at + 1) * count]
    return _little(array("Q", bytes(raw)))


def _little(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers = array("Q", numbers)
        numbers.byteswap()
    return numbers


def matching(data: bytes, word_hash: int) -> Iterator[tuple[int, int]]:
    """(file number in the batch, roles) of every posting of a word in a page. Raises ValueError as `unpack`.

    Column by column from the first byte of the hash: in sorted postings those that agree so far lie together.
    """
    columns, count = _columns(data)
    low, high = 0, count
    for at in range(4, -1, -1):
        start, byte = (3 + at) * count, word_hash >> 8 * at & 0xFF
        first = columns.find(byte, start + low, start + high)
        if first < 0:
            return
        low, high = first - start, columns.rfind(byte, start + low, start + high) + 1 - start
    for row in range(low, high):
        yield columns[count + row] | columns[2 * count + row] << 8, columns[row]
