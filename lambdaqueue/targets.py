"""Which URLs may be a target. Parsed strictly and refused, never repaired.

A URL is split by one regular expression that leaves no two readings, then scheme, host and port
are judged each by itself. What a name resolves to isn't seen here: whoever dials asks
`AddressRules` again, on every attempt.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from lambdaqueue.addresses import PUBLIC_ONLY, AddressRules
from lambdaqueue.errors import InvalidRequest

__all__ = ["LOOPBACK_HOSTS", "MAX_BYTES", "Destination", "TargetRules", "without_query"]

MAX_BYTES = 2_048
LOOPBACK_HOSTS = ("127.0.0.1", "[::1]", "localhost")
LOOPBACK_ADDRESSES = {
    "127.0.0.1": ("127.0.0.1",),
    "[::1]": ("::1",),
    # RFC 6761, section 6.3: never asked of a name server.
    "localhost": ("127.0.0.1", "::1"),
}
PORTS = (443, 8_443)
MAX_PORT = 65_535
DEFAULT_PORTS = {"https": 443, "http": 80}
KNOWN_URLS = 1_024
"""How many URLs are remembered with what they say; 5 MB when each has the longest query."""

# Never public: RFC 6761, 6762 (local), 7686 (onion), 8375 (home.arpa), ICANN's internal of 2024,
# and what routers (lan), resolvers (localdomain) and Kubernetes (svc) use among themselves.
RESERVED_NAMES = (
    *("localhost", "local", "localdomain", "lan", "internal"),
    *("home.arpa", "test", "invalid", "onion", "svc"),
)

# RFC 3986: a host is an address in brackets or a reg-name (3.2.2); the characters of a path
# (3.3); a query may have "?" besides (3.4). No host begins or goes on with anything else, so
# nothing but "/" or "?" ends the authority.
REG_NAME = r"A-Za-z0-9\-._~!$&'()*+,;=%"
HOST = rf"(?:\[[{REG_NAME}:]*\]|[{REG_NAME}]*)"
PATH = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]++|%[0-9A-Fa-f]{2})*+"
QUERY = PATH.replace("@/", "@/?")
AUTHORITY_END = r"(?=[/?#]|\Z)"

URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{HOST})(?::(?P<port>[0-9]+))?"
    rf"(?P<path>/{PATH})?(?:\?{QUERY})?"
)

URL_SIGNS = tuple(
    (code, re.compile(pattern))
    for code, pattern in (
        ("not_ascii", r"[^\x00-\x7f]"),
        ("whitespace", r"[ \t-\r]"),
        ("control_character", r"[\x00-\x1f\x7f]"),
        ("backslash", r"\\"),
        ("scheme_not_allowed", r"\A(?!https?://)"),
        ("fragment", r"#"),
        ("userinfo", r"\A[a-z]+://[^/?]*@"),
        ("ip_not_canonical", rf"\A[a-z]+://[0-9A-Fa-f.]*(?::[0-9A-Fa-f.]*){{2,}}{AUTHORITY_END}"),
        ("malformed_host", rf"\A[a-z]+://(?!{HOST}(?::[^\[\]/?]*)?{AUTHORITY_END})"),
        ("port_not_allowed", rf"\A[a-z]+://{HOST}:(?![0-9]+{AUTHORITY_END})"),
    )
)
"""Signs of a broken rule in what isn't a `URL`, in the order in which they are told."""

# In brackets, or with a last label that getaddrinfo or a browser reads as a number in some base
# (https://url.spec.whatwg.org/#ends-in-a-number-checker): an address or nothing.
IP_LITERAL = re.compile(r"\[.*|(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")

# RFC 1123, section 2.1.
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"

NAME_SIGNS = tuple(
    (code, re.compile(pattern))
    for code, pattern in (
        ("underscore", r"_"),
        ("trailing_dot", r"\.\Z"),
        ("malformed_host", rf"\A(?!(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})*+\Z)"),
        (
            "reserved_name",
            rf"(?i:(?:\A|\.)(?:{'|'.join(map(re.escape, RESERVED_NAMES))})\Z)",
        ),
        ("single_label", r"\A[^.]*\Z"),
    )
)
"""Signs of a broken rule in a host name, in the order in which they are told."""

RULES = {
    "too_long": f"must have at most {MAX_BYTES} bytes",
    "not_ascii": "must be ASCII; encode other characters",
    "whitespace": "must not contain whitespace",
    "control_character": "must not contain control characters",
    "backslash": "must not contain backslashes",
    "scheme_not_allowed": "must begin with https://",
    "fragment": "must not have a fragment",
    "userinfo": "must not carry a user name or password",
    "port_not_allowed": "must have port 443 or 8443, in plain digits, or none",
    "underscore": "must not have an underscore in its host name",
    "single_label": "must have a host name of two labels at least, like example.org",
    "trailing_dot": "must not have a dot at the end of its host name",
    "ip_not_canonical": "must have an IP address in its usual form only, IPv6 as in RFC 5952",
    "ip_not_public": "must not have an IP address that isn't public",
    "reserved_name": f"must not have a host name that is or ends in {', '.join(RESERVED_NAMES)}",
    "malformed_host": "must have a host name of letters, digits, hyphens and dots, as in RFC 1123",
    "malformed": "must have only the characters of RFC 3986 in path and query",
}

_SPELT = f"{', '.join(LOOPBACK_HOSTS)}, spelt exactly so"
LOOPBACK_RULES = {
    "scheme_not_allowed": f"must begin with https://, or http:// before {_SPELT}",
    "port_not_allowed": f"must have port 443 or 8443, in plain digits, or none; "
    f"any from 1 to {MAX_PORT} after {_SPELT}",
}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a target's URL leads.

    `host` is lower-case, an IPv6 address without brackets. `addresses` are those to dial without
    a look-up; none when the name must be looked up. `loopback` tells that the rules for development
    let it through. `endpoint` is the URL without its query, in one spelling for all; what a
    validation is remembered for is the spelling that was given.
    """

    host: str
    port: int
    addresses: tuple[str, ...]
    loopback: bool
    endpoint: str


@dataclass(frozen=True, slots=True)
class TargetRules:
    """What a target's URL must be like. `loopback` allows the machine itself, for development."""

    addresses: AddressRules = PUBLIC_ONLY
    loopback: bool = False
    _known: Callable[[str], Destination] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A cache for each object: a shared one would have to hash all opened ranges every time.
        object.__setattr__(self, "_known", lru_cache(KNOWN_URLS)(self._read))

    def check(self, url: str) -> str:
        """Return `url` unchanged if it may be called.

        Raises:
            InvalidRequest: for the field `target`, with the rule that is broken.
        """
        self._known(url)
        return url

    def destination(self, url: str) -> Destination:
        """Return where `url` leads; raises what `check` raises. Remembered, so asking is cheap."""
        return self._known(url)

    def _read(self, url: str) -> Destination:
        if len(url) > MAX_BYTES:
            raise self._refusal("too_long")
        found = URL.fullmatch(url)
        if found is None:
            raise self._refusal(_first(URL_SIGNS, url) or "malformed")
        scheme, host = found["scheme"], found["host"]
        loopback = self.loopback and host in LOOPBACK_HOSTS
        if scheme != "https" and not loopback:
            raise self._refusal("scheme_not_allowed")
        addresses = LOOPBACK_ADDRESSES[host] if loopback else self._addresses(host)
        port = self._port(found["port"], DEFAULT_PORTS[scheme], loopback)
        host = host.lower()
        endpoint = f"{scheme}://{host}:{port}{found['path'] or '/'}"
        return Destination(host.strip("[]"), port, addresses, loopback, endpoint)

    def _addresses(self, host: str) -> tuple[str, ...]:
        if IP_LITERAL.fullmatch(host):
            address = _canonical(host)
            if address is None:
                raise self._refusal("ip_not_canonical")
            if not self.addresses.permits(address):
                raise self._refusal("ip_not_public")
            return (address,)
        code = _first(NAME_SIGNS, host)
        if code is not None:
            raise self._refusal(code)
        return ()

    def _port(self, digits: str | None, default: int, loopback: bool) -> int:
        if digits is None:
            return default
        port = 0 if digits.startswith("0") else int(digits)
        if not (1 <= port <= MAX_PORT if loopback else port in PORTS):
            raise self._refusal("port_not_allowed")
        return port

    def _refusal(self, code: str) -> InvalidRequest:
        rules = RULES | LOOPBACK_RULES if self.loopback else RULES
        return InvalidRequest.of("target", code, rules[code])


def without_query(url: str) -> str:
    """Return `url` up to its query: the part that a validation request is bound to."""
    return url.partition("?")[0]


def _first(signs: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> str | None:
    return next((code for code, sign in signs if sign.search(text)), None)


def _canonical(host: str) -> str | None:
    """Return the address that `host` is, None unless it's written in its one usual form."""
    text = host[1:-1] if host.startswith("[") else host
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # A zone is for this machine only; a mapped address is IPv4, spelt in another way.
        usual = host == f"[{address}]" and not address.scope_id and not address.ipv4_mapped
    else:
        usual = host == str(address)
    return text if usual else None
