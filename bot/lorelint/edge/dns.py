"""Text records by name: what DKIM keeps its keys in. The only place that asks the DNS."""

from __future__ import annotations

import time

import dns.exception
import dns.resolver

from lorelint.model.errors import LorelintError

LIFETIME = 5.0  # seconds for one question, tries and servers together
MAX_RECORD = 8 << 10  # bytes of one record
RESTING = 600.0  # seconds in which a name that did not answer is not asked again
MAX_RESTING = 1_000


class NoAnswer(Exception):
    """Nobody answered: there may be such a record, and another try may have it."""


class TextRecords:
    """Asks the machine's resolvers, or the one that is named: ``192.0.2.1``, ``192.0.2.1:5353``, ``[2001:db8::1]:53``.

    Raises LorelintError for an address that is none.
    """

    def __init__(self, server: str = "", lifetime: float = LIFETIME) -> None:
        self._lifetime = lifetime
        self._resolver = _resolver(server)
        self._resting: dict[str, float] = {}

    def text(self, name: str) -> bytes | None:
        """The first text record of a name, None where there is none. Raises NoAnswer."""
        now = time.monotonic()
        if now < self._resting.get(name, 0.0):
            raise NoAnswer(name)
        try:
            answer = self._resolver.resolve(name, "TXT", lifetime=self._lifetime, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.YXDOMAIN):
            return None
        except (dns.resolver.NoNameservers, dns.exception.Timeout, OSError) as error:
            if len(self._resting) < MAX_RESTING:
                self._resting[name] = now + RESTING
            raise NoAnswer(name) from error
        except (dns.exception.DNSException, ValueError):
            return None  # a name that can be none
        record = b"".join(next(iter(answer)).strings)
        return record if len(record) <= MAX_RECORD else None


def _resolver(server: str) -> dns.resolver.Resolver:
    if not server:
        try:
            return dns.resolver.Resolver()
        except dns.exception.DNSException:
            return dns.resolver.Resolver(configure=False)  # a machine without resolvers: nobody will answer
    host, port = server, "53"
    if server.startswith("["):
        host, _, port = server[1:].partition("]")
        port = port.removeprefix(":") or "53"
    elif server.count(":") == 1:
        host, _, port = server.partition(":")
    resolver = dns.resolver.Resolver(configure=False)
    try:
        resolver.port = int(port)
        resolver.nameservers = [host]
    except ValueError as error:
        remedy = "write an address like 127.0.0.1 or 127.0.0.1:5353"
        raise LorelintError(f"no address of a resolver: {server!a}", where="answers.dns", remedy=remedy) from error
    return resolver
