"""The catalogue of keys, held against what stands in Redis."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.readiness import check, mark_instance
from tests.store.desk import everything
from tests.store.world import World

PARTS = {
    "E": "[0-9a-z]{1,16}",
    "Q": ".+",
    "L": "[s0-9]",
    "S": "[0-9a-z]{1,16}|[a-z0-9-]+/[a-z0-9-]+",
    "P": "[a-z0-9-]+(?:/[a-z0-9-]+)?",
    "C": "schedules|periodic|timers|services",
    "W": "[0-9a-f]{16}",
    "A": "[0-9a-z]{8}",
    "X": "[0-9a-f]{64}",
    "F": "[0-9a-f]{16}",
    "U": "[0-9a-f]{16}",
    "R": r"[\w-]{16}",
    "T": r"[0-9]+\.[0-9]+",
    "D": "[0-9a-f]{32}|[ab]",
    "H": "[0-9a-f]{32}",
    "<address>": ".+",
    "<id>": "[0-9a-z]{14,29}",
    "<id>_<admission>": "[0-9a-z]{14,29}_[0-9]+",
    "c|f": "[cf]",
}
"""What the parts of a name stand for; every other part is itself."""

UNITS = {"s": 1_000, "min": 60_000, "h": 3_600_000}


@dataclass(frozen=True)
class Row:
    """A line of the catalogue in `keys`."""

    name: str
    kind: str
    lives: str

    @property
    def pattern(self) -> re.Pattern[str]:
        parts = self.name.replace("c, :f", "c|f").split(":")
        return re.compile(":".join(f"({PARTS.get(part, re.escape(part))})" for part in parts))

    def may_live(self, left: int) -> bool:
        """Tell whether a key may have `left` ms to live, -1 for ever."""
        told = re.findall(r"([0-9]+) (s|min|h)\b", self.lives)
        longest = max((int(number) * UNITS[unit] for number, unit in told), default=-1)
        for_ever = not told or "+ " in self.lives
        return 0 <= left <= longest or (for_ever and left == -1)


def catalogue() -> Iterator[Row]:
    """Read the tables in the head of `keys`."""
    found: list[list[str]] = []
    for line in (keys.__doc__ or "").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:4]]
        if len(cells) < 3 or cells[1] == "type" or cells[0].startswith("-"):
            continue
        if cells[0]:
            found.append(cells)
        else:  # a row that goes on
            found[-1][2] = f"{found[-1][2]} {cells[2]}".strip()
    yield from (Row(*cells) for cells in found)


def stored(client: Any) -> Iterator[tuple[str, str, int]]:
    """Yield the name, type and ms to live (-1: for ever) of every key."""
    for key in client.scan_iter("*", count=10_000):
        kind, left = client.type(key).decode(), client.pttl(key)
        if left != -2:  # gone meanwhile
            yield key.decode(), kind, left


class TestCatalogue:
    def test_it_is_true(self, world: World) -> None:
        """Every key that stands in Redis at any moment is in it, and the other way round."""
        rows = list(catalogue())
        seen: set[str] = set()
        mark = mark_instance(world.client)
        EnvironmentStore(world.client).check_value(b"v")
        calls = everything(world, world.worker())
        for call in [lambda: check(world.client, mark), *calls]:
            call()
            for name, kind, left in stored(world.client):
                fitting = [row for row in rows if row.pattern.fullmatch(name)]
                assert any(row.kind == kind and row.may_live(left) for row in fitting), (
                    f"{name}, a {kind} for {left} ms, is in no row"
                )
                seen.update(row.name for row in fitting)
        assert {row.name for row in rows} - seen <= {"rq:suspended"}

    @pytest.mark.parametrize(
        ("made", "pattern"),
        [
            (keys.environments, "lq:environments"),
            (keys.names, "lq:names"),
            (keys.all_tokens, "lq:tokens"),
            (keys.vault, "lq:vault"),
            (keys.refused("2001:db8::"), "lq:refused:<address>"),
            (keys.accounts, "lq:accounts"),
            (keys.first_link, "lq:first_link"),
            (keys.account("0ther1d0"), "lq:account:A"),
            (keys.session("0" * 64), "lq:session:X"),
            (keys.sign_in("é\n", "::1"), "lq:sign_in:H"),
            (keys.environment("1"), "lq:E:env"),
            (keys.tokens("1"), "lq:E:tokens"),
            (keys.token_uses("1"), "lq:E:token_uses"),
            (keys.audit("1"), "lq:E:audit"),
            (keys.target("1", "0" * 32), "lq:E:target:D"),
            (keys.validating("1", "0" * 32), "lq:E:validating:D"),
            (keys.idempotent("1", "é"), "lq:E:idempotent:H"),
            *((keys.schedules("1", each), "lq:E:C") for each in keys.COLLECTIONS),
            *((keys.schedule_keys("1", each), "lq:E:C:by_key") for each in keys.COLLECTIONS),
            (keys.schedule("1", "s"), "lq:E:schedule:S"),
            (keys.schedule_runs("1", "s"), "lq:E:schedule_runs:S"),
        ],
    )
    def test_names_are_made_as_it_says(self, made: str, pattern: str) -> None:
        (row,) = (row for row in catalogue() if row.name == pattern)
        assert row.pattern.fullmatch(made)
