"""docs/recipes.md: each recipe is run, its clock moved, and what its handlers did is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lambdaqueue.sdk.delivery import Delivery, Reply
from tests.markdown import blocks
from tests.sdk.reading import Reading

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
BEGIN, *RECIPES = blocks(PAGE, "python")

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def reminders(read: Reading) -> None:
    sent: list[tuple[str, str]] = []
    visit = SimpleNamespace(id=7, at=NOON + timedelta(days=10), mail="al@example.com")
    read.names["send_mail"] = lambda to, text: sent.append((to, text))
    read.names["appointments"] = {7: visit}

    read["booked"](visit)
    read.memory.clock.advance("8d")
    visit.at += timedelta(days=5, hours=1)
    read["booked"](visit)
    read.memory.clock.advance("5d")
    assert sent == []
    read.memory.clock.advance("1d1h")
    assert sent == [("al@example.com", "Until tomorrow, 13:00!")]
    read["called_off"](visit)

    read["booked"](visit)
    read["called_off"](visit)
    read.memory.clock.advance("30d")
    assert len(sent) == 1
    states = [entry.state for entry in read["reminders"].history()]
    assert states == ["CANCELLED", "COMPLETED"]


def delayed_delete(read: Reading) -> None:
    accounts = read.names["accounts"] = {n: {"closed": False} for n in (1, 2, 3)}
    read["close_account"](1)
    read["close_account"](2)
    read.memory.clock.advance("10d")
    read["open_again"](2)
    read["close_account"](1)
    read.memory.clock.advance("20d")
    assert accounts == {2: {"closed": False}, 3: {"closed": False}}

    # Opened again so late that the job runs already.
    read["close_account"](3)
    accounts[3]["closed"] = False
    read.memory.clock.advance("30d")
    read["open_again"](3)
    assert 3 in accounts


def monthly_invoices(read: Reading) -> None:
    made: list[tuple[int, str, datetime]] = []
    down = [True]

    def send_invoice(customer: Any, month: str) -> str:
        if customer.id == 2 and down:
            down.pop()
            raise ConnectionError("the printer is away")
        made.append((customer.id, month, read.memory.clock.now))
        return "sent"

    zones = {1: "Europe/Warsaw", 2: "America/New_York", 3: "Pacific/Kiritimati"}
    customers = {n: SimpleNamespace(id=n, zone=zone) for n, zone in zones.items()}
    read.names |= {"customers": customers, "ledger": {}, "send_invoice": send_invoice}
    for customer in customers.values():
        read["signed_up"](customer)
        read["signed_up"](customer)
    read.memory.clock.advance("20d")
    told = {n: (month, at) for n, month, at in made}
    assert len(made) == 3
    for n, late in {1: 0, 2: 10, 3: 0}.items():
        nine = datetime(2026, 12, 1, 9, late, tzinfo=ZoneInfo(zones[n]))
        assert told[n] == ("2026-11", nine)

    read["left"](customers[3])
    read.memory.clock.advance("180d")
    assert sorted({month for _, month, _ in made}) == [
        "2026-11", "2026-12", "2027-01", "2027-02", "2027-03", "2027-04", "2027-05",
    ]  # fmt: skip
    assert len(made) == 3 + 2 * 6
    assert {at.astimezone(ZoneInfo(zones[n])).hour for n, _, at in made} == {9}


def clean_up(read: Reading) -> None:
    expired = [2_300]

    def delete(limit: int) -> int:
        deleted = min(limit, expired[0])
        expired[0] -= deleted
        return deleted

    read.names["delete_expired_sessions"] = delete
    read["at_start"]()
    read["at_start"]()
    read.memory.clock.advance("1d")
    assert expired == [0]
    results = [entry.result.value for entry in read["cleanup"].history()]
    assert results == [{"deleted": 300}, {"deleted": 1000}, {"deleted": 1000}]


def debounce(read: Reading) -> None:
    indexed: list[tuple[int, datetime]] = []
    read.names["update_index"] = lambda n: indexed.append((n, read.memory.clock.now))
    for _ in range(20):
        read["changed"](5)
        read.memory.clock.advance(5)
    last = read.memory.clock.now
    read.memory.clock.advance("1m")
    assert indexed == [(5, last + timedelta(seconds=5))]


def webhook_fan_out(read: Reading) -> None:
    read["at_start"]()
    assert read["hooks"].secret().startswith("whsec_")
    got: dict[str, list[Any]] = {}
    ready = [False]

    def take(delivery: Delivery) -> Reply:
        if delivery.headers["host"].startswith("n7.") and not ready[0]:
            return Reply(500)
        got.setdefault(delivery.headers["host"], []).append(delivery)
        return Reply(200)

    who = [SimpleNamespace(id=f"c{n}", url=f"https://n{n}.example/in") for n in range(1_001)]
    for each in who:
        read.memory.answer(each.url, take)
    read.names["subscribers_of"] = lambda kind: who if kind == "order.paid" else []
    # The handler fails after the first thousand, and its next attempt keeps what waits of these.
    read["hooks"].pause()
    who[1_000].url = "ftp://n1000.example/in"
    read["paid"](SimpleNamespace(id=99))
    read.memory.run_due()
    assert read["hooks"].info().waiting == 1_000
    who[1_000].url = "https://n1000.example/in"
    read.memory.clock.advance("10s")
    assert read["hooks"].info().waiting == 1_001
    assert {item.version for item in read["hooks"].items()} == {1}
    read["hooks"].resume()
    read.memory.run_due()
    assert len(got) == 1_000
    [delivery] = got["n1000.example"]
    assert delivery.payload()["order"] == 99
    assert delivery.headers["x-lq-event-type"] == "order.paid"
    ready[0] = True
    read.memory.clock.advance("8s")
    assert len(got) == 1_001
    assert {len(each) for each in got.values()} == {1}


def long_job(read: Reading) -> None:
    parts: list[tuple[int, int]] = []
    read.names["encode_part"] = lambda video, number: parts.append((video, number))
    read.memory.run_due()
    _join(read["item"].id)
    ended = read["lq"].get(read["item"].id)
    assert ended.succeeded
    assert ended.entry.callback.state == {"video": 7, "parts": 10}
    assert ended.entry.callback.summary == "10 parts"
    assert parts == [(7, number) for number in range(1, 11)]

    begun: list[int] = []

    def write_report(since: int) -> int:
        begun.append(since)
        return since + 10

    read.names["write_report"] = write_report
    read["at_start"]()
    for _ in range(2):
        name = read["lq"].services.run("shop", "nightly-report")
        read.memory.run_due()
        _join(name)
        assert read["lq"].services.execution(name).status == "success"
    assert begun == [0, 10]


def _join(name: str) -> None:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(10)


CHECKS: Mapping[str, Callable[[Reading], None]] = {
    "Reminders": reminders,
    "Delayed delete": delayed_delete,
    "Monthly invoices": monthly_invoices,
    "Clean-up": clean_up,
    "Debounce": debounce,
    "Webhook fan-out": webhook_fan_out,
    "Long job with heartbeats": long_job,
}


@pytest.mark.parametrize("recipe", CHECKS)
def test_it_does_what_it_says(recipe: str) -> None:
    with Reading(PAGE, start=NOON) as read:
        read.run([BEGIN, *(block for block in RECIPES if block.section == recipe)])
        CHECKS[recipe](read)


def test_none_is_left_out() -> None:
    assert list(CHECKS) == list(dict.fromkeys(block.section for block in RECIPES))
