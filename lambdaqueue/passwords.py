"""Passwords: what may be one, and what is kept of it.

Kept is scrypt (RFC 7914) with N = 2^15, r = 8, p = 3: by OWASP as good as N = 2^17 and p = 1, with
32 MiB at a time in place of 128, which small machines don't have to spare. It takes 0.2 to 0.4 s.

    scrypt$15$8$3$<salt>$<hash>     (log2 of N, r, p; 16 and 32 bytes, base64url without padding)

The parameters stand beside the hash, so that stronger ones can come and old ones still be checked.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

from lambdaqueue.errors import InvalidRequest

__all__ = ["LONGEST", "NOBODYS", "SHORTEST", "check_length", "check_new", "hashed", "matches"]

SHORTEST = 10
LONGEST = 128
"""Bytes of UTF-8. A longer one is refused before anything is computed from it."""

LOG_N, R, P = 15, 8, 3
SALT = 16
SIZE = 32

STORED = re.compile(
    r"scrypt\$(?P<log_n>[0-9]{1,2})\$(?P<r>[0-9]{1,2})\$(?P<p>[0-9]{1,2})"
    r"\$(?P<salt>[\w-]+)\$(?P<hash>[\w-]+)"
)

NOBODYS = f"scrypt${LOG_N}${R}${P}${'A' * 22}${'A' * 43}"
"""No password is known to match. Who has no account is checked against it, to take as long."""


def check_new(password: str) -> str:
    """Return `password` if an account may have it.

    Raises:
        InvalidRequest: for the field `password`.
    """
    check_length(password)
    try:
        size = len(password.encode())
    except UnicodeEncodeError as error:  # bytes of a pipe that no browser could send
        raise InvalidRequest.of("password", "bad_unicode", "must be UTF-8") from error
    if size < SHORTEST:
        raise InvalidRequest.of("password", "too_short", f"must have at least {SHORTEST} bytes")
    return password


def check_length(password: str) -> str:
    """Return `password` if it's not too long to be one; raises InvalidRequest."""
    if len(password.encode("utf-8", "surrogatepass")) > LONGEST:
        raise InvalidRequest.of("password", "too_long", f"must have at most {LONGEST} bytes")
    return password


def hashed(password: str) -> str:
    """Return what is kept of a password. Slow on purpose."""
    salt = secrets.token_bytes(SALT)
    made = _scrypt(password, salt, LOG_N, R, P)
    return f"scrypt${LOG_N}${R}${P}${_text(salt)}${_text(made)}"


def matches(password: str, stored: str) -> bool:
    """Tell whether `password` is the one of which `stored` was kept. Slow on purpose."""
    found = STORED.fullmatch(stored)
    if found is None:
        raise ValueError("what is stored is no hash of a password")
    parameters = (int(found[name]) for name in ("log_n", "r", "p"))
    made = _scrypt(password, _bytes(found["salt"]), *parameters)
    return hmac.compare_digest(made, _bytes(found["hash"]))


def _scrypt(password: str, salt: bytes, *parameters: int) -> bytes:
    log_n, r, p = parameters
    # OpenSSL wants to be told that more than 32 MiB are meant.
    room = 128 * r * (2**log_n + p + 2)
    given = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(given, salt=salt, n=2**log_n, r=r, p=p, maxmem=room, dklen=SIZE)


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
