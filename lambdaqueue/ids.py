"""Ids of jobs: 9 base-36 digits of Unix ms, 4 of a counter, then the environment's id.

`push.lua` mints them by Redis' clock, so they sort in the order of the pushes. Environments and
accounts have random ids.
"""

from __future__ import annotations

import re
import secrets

__all__ = ["at_random", "clock_part", "created_at", "environment_of", "event_ms", "is_job_id"]

CLOCK, COUNTER = 9, 4
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
RANDOM = 8
"""Characters of a random id: an environment's is a part of every job's, so not more than that."""
JOB_ID = re.compile(r"[0-9a-z]{13}[0-9a-z]{1,16}")


def is_job_id(text: str) -> bool:
    """Tell whether `text` could be the id of a job."""
    return JOB_ID.fullmatch(text) is not None


def environment_of(job_id: str) -> str:
    """Return the id of the environment that `job_id` belongs to."""
    return job_id[CLOCK + COUNTER :]


def created_at(job_id: str) -> int:
    """Return the Unix ms at which `job_id` was minted."""
    return int(job_id[:CLOCK], 36)


def clock_part(at: int) -> str:
    """Return what the ids begin with that are minted at `at` (Unix ms)."""
    digits, at = "", min(at, len(ALPHABET) ** CLOCK - 1)
    for _ in range(CLOCK):
        at, digit = divmod(at, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def event_ms(occurrence: str | None, due: int) -> int:
    """Return the Unix ms of the occurrence that a job was pushed for; without one its `due`."""
    return due if occurrence is None else int(occurrence.rpartition("_")[2])


def at_random() -> str:
    """Make an id for an environment or an account; random, so that one is not used again."""
    return "".join(secrets.choice(ALPHABET) for _ in range(RANDOM))
