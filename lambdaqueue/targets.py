"""Which URLs may be a target. Parsed strictly and refused, never repaired.

For now these are loopback ones; the rules for public ones belong here, too.
"""

from __future__ import annotations

import re

from lambdaqueue.errors import InvalidRequest

__all__ = ["LOOPBACK_HOSTS", "MAX_BYTES", "check_target"]

MAX_BYTES = 2_048
LOOPBACK_HOSTS = ("127.0.0.1", "[::1]", "localhost")
MAX_PORT = 65_535

# RFC 3986, sections 3.3 and 3.4: the characters of a path; a query may have "?" besides.
PATH = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]++|%[0-9A-Fa-f]{2})*+"
QUERY = PATH.replace("@/", "@/?")
AUTHORITY_END = r"(?=[/?#]|$)"
PORT = r"[1-9][0-9]{0,4}"
HOST = "|".join(re.escape(host) for host in LOOPBACK_HOSTS)

LOOPBACK_URL = re.compile(rf"https?://(?:{HOST})(?::(?P<port>{PORT}))?(?:/{PATH})?(?:\?{QUERY})?")

BREACHES = tuple(
    (code, re.compile(pattern), rule)
    for code, pattern, rule in (
        ("not_ascii", r"[^\x00-\x7f]", "must be ASCII; encode other characters"),
        ("whitespace", r"[ \t-\r]", "must not contain whitespace"),
        ("control_character", r"[\x00-\x1f\x7f]", "must not contain control characters"),
        ("backslash", r"\\", "must not contain backslashes"),
        ("scheme_not_allowed", r"^(?!https?://)", "must begin with http:// or https://"),
        ("fragment", r"#", "must not have a fragment"),
        ("userinfo", r"^[a-z]+://[^/?]*@", "must not carry a user name or password"),
        (
            "host_not_allowed",
            rf"^[a-z]+://(?!(?:{HOST})(?::|{AUTHORITY_END}))",
            f"must have one of the hosts {', '.join(LOOPBACK_HOSTS)}, spelt exactly so",
        ),
        (
            "port_not_allowed",
            rf"^[a-z]+://(?:{HOST}):(?!{PORT}{AUTHORITY_END})",
            f"must have a port from 1 to {MAX_PORT}, in plain digits",
        ),
    )
)
"""Signs of a broken rule, in the order in which they are told."""


def check_target(url: str) -> str:
    """Return `url` unchanged if it may be called.

    Raises:
        InvalidRequest: for the field `target`, with the rule that is broken.
    """
    if len(url) > MAX_BYTES:
        raise _invalid("too_long", f"must have at most {MAX_BYTES} bytes")
    found = LOOPBACK_URL.fullmatch(url)
    if found is None:
        raise _why_refused(url)
    if int(found["port"] or 0) > MAX_PORT:
        raise _invalid("port_not_allowed", f"must have a port from 1 to {MAX_PORT}")
    return url


def _why_refused(url: str) -> InvalidRequest:
    for code, sign, rule in BREACHES:
        if sign.search(url):
            return _invalid(code, rule)
    return _invalid("malformed", "must have only the characters of RFC 3986 in path and query")


def _invalid(code: str, rule: str) -> InvalidRequest:
    return InvalidRequest.of("target", code, rule)
