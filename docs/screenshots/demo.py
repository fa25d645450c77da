"""What the pictures show: a shop's work, pushed, scheduled and managed by the public API alone."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from docs.screenshots.server import CannotTakePictures, Server
from docs.screenshots.shop import STRANGER, Shop
from lambdaqueue import Entry, LambdaQueue, Push
from lambdaqueue.sdk.options import Retry
from lambdaqueue.sdk.queue_settings import QueueSettings
from lambdaqueue.signing import Secret

__all__ = ["ACCOUNT", "PASSWORD", "fill"]

ACCOUNT, PASSWORD = "jan", "a shop of pens and paper"

LOAD_SECONDS = 60.0
"""How long work comes, at rates that vary: the charts have bars of five minutes, so there are one
or two of them, which is what an hour looks like that has just begun."""

SOON: Retry = {"type": "list", "delays": [1, 2, 4], "retries": 3, "jitter": 0}
"""Fails for good within the demo."""

QUEUES: Mapping[str, tuple[str, QueueSettings]] = {
    "mail": ("/mail", {}),
    "invoices": ("/invoices", {"result_bytes": 2_048}),
    "thumbnails": ("/thumbnails", {"concurrency": 4, "retry": SOON}),
    "webhooks/acme": ("/hooks/acme", {}),
    "webhooks/globex": (
        "/hooks/globex",
        {"breaker": {"ratio": 0.5, "window": 30}, "history_days": 14},
    ),
    "webhooks/initech": ("/hooks/initech", {}),
    "search-index": ("/search", {"retry": SOON}),
    "payments": (
        "/payments",
        {
            "rate": {"limit": 30, "period": 60},
            "flow": {"concurrency": 1, "ordered": True},
            "timeout": 10,
        },
    ),
    "stock-sync": ("/stock", {"retry": SOON}),
    "orders/export": ("/orders", {}),
    "exports": ("/exports", {"timeout": 600}),
    "newsletter": ("/mail", {}),
    "partner-feed": (STRANGER, {}),
    "periodic": ("/ping", {}),
}

NAMES = ("ada", "zoe", "björn", "maría", "li", "tomasz", "amélie", "jun", "eva", "kofi")


def fill(lq: LambdaQueue, server: Server, shop: Shop, say: Callable[[str], None]) -> dict[str, str]:
    """Fill an empty LambdaQueue; return the ids that pages are about, by what they are."""
    say("queues, schedules, timers, service jobs, tokens ...")
    _configure(lq, shop)
    ids = _schedules(lq, shop) | _services(lq, shop)
    _timers(lq)
    _manage(lq, server, shop)
    say(f"work for {LOAD_SECONDS:g} s ...")
    _load(lq)
    say("what is left at the end ...")
    return ids | _last(lq, shop)


def _configure(lq: LambdaQueue, shop: Shop) -> None:
    for name, (path, settings) in QUEUES.items():
        whole: QueueSettings = {**settings, "target": shop.url(path)}
        lq.queue(name).configure(**whole)
    lq.queue("newsletter").pause()


def _schedules(lq: LambdaQueue, shop: Shop) -> dict[str, str]:
    plans = (
        ("mail", "0 9 * * MON-FRI", "morning-digest", "Europe/Warsaw"),
        ("invoices", "0 2 1 * *", "monthly-invoices", "Europe/Prague"),
        ("orders/export", "*/15 * * * *", "export-orders", "UTC"),
        ("mail", "cron(0 17 ? * FRI *)", "weekly-summary", "America/New_York"),
        ("search-index", "rate(6 hours)", "reindex", "UTC"),
        ("newsletter", "30 10 * * TUE", "newsletter", "Asia/Tokyo"),
    )
    for queue, when, key, zone in plans:
        lq.queue(queue).schedule({"task": key}, when, key=key, tz=zone)
    lq.schedules.pause(key="weekly-summary")
    pulse = lq.queue("orders/export").schedule(
        {"task": "carts", "older_than": "30m"}, "every(10s)", key="abandoned-carts", overlap="skip"
    )
    return {"schedule": pulse.id}


def _services(lq: LambdaQueue, shop: Shop) -> dict[str, str]:
    jobs = (
        ("shop", "stock-import", "cron(0 4 * * ? *)", 3_600, '{"warehouse": "prague-2"}'),
        (
            "shop",
            "sales-report",
            "rate(1 hour)",
            900,
            '{"format": "pdf", "to": "sales@shop.example"}',
        ),
        ("billing", "statements", "cron(0 6 1 * ? *)", 7_200, '{"currency": "EUR"}'),
    )
    for service, job, when, ttl, payload in jobs:
        lq.services.set(
            service,
            job,
            target=shop.url(f"/jobs/{job}"),
            schedule=when,
            ttl=ttl,
            heartbeat=30,
            exclusive=job == "stock-import",
            payload=payload,
        )
    for _ in range(3):
        lq.services.run("shop", "sales-report")
    lq.services.run("billing", "statements")
    running = lq.services.run("shop", "stock-import")
    lq.services.run("shop", "stock-import")
    return {"service": "shop", "job": "sales-report", "execution": running}


def _timers(lq: LambdaQueue) -> None:
    lq.periodic.set("prices", {"task": "refresh prices"}, every="20s")
    lq.periodic.set("ledger", {"task": "close the hour"}, minute_of_hour=5)
    lq.timers.set("cart-8812", {"task": "remind", "cart": 8812}, delay="4h")
    lq.timers.set("trial-ends-c-1042", {"customer": "c-1042"}, delay="3d")


def _manage(lq: LambdaQueue, server: Server, shop: Shop) -> None:
    """Leave traces in settings and audit, as people and deployments do."""
    server.command("env", "create", "staging")
    server.command("admin", "create", "eva", "--role", "viewer", given=f"{PASSWORD}\n")
    manage = lq.administration
    manage.issue_token("shop-web", ["push", "read"])
    manage.issue_token("ci", ["push"], expires=datetime.now(UTC) + timedelta(days=90))
    old = manage.issue_token("laptop-of-max", ["push", "read", "manage"])
    manage.revoke_token(str(old["id"]))
    shop.secrets.append(Secret.parse(str(manage.rotate_secret()["secret"])))


def _load(lq: LambdaQueue) -> None:
    began = time.monotonic()
    count = 0
    while (passed := time.monotonic() - began) < LOAD_SECONDS:
        # Waves of twenty seconds, so that something waits at times.
        wave = 1 + 5 * (int(passed) % 20 < 6)
        for queue, pushes in _batch(wave, count):
            lq.queue(queue).push_many(pushes)
        count += wave
        time.sleep(1.0)


def _batch(wave: int, count: int) -> Iterable[tuple[str, list[Push]]]:
    """Return what comes in a second, by queue."""
    people = random.choices(NAMES, k=wave)
    yield "mail", [Push({"to": f"{who}@shop.example", "template": "order"}) for who in people]
    yield "invoices", [Push({"order": 8_000 + count, "customer": people[0]})]
    yield (
        "thumbnails",
        [Push({"image": f"products/{count + n}.jpg"}, priority=n % 3) for n in range(wave)],
    )
    yield "webhooks/acme", [Push({"event": "order.paid"}, event_type="order.paid")]
    if count % 3 == 0:
        yield "payments", [Push({"order": 8_000 + count, "cents": 4_590}, flow_key=people[0])]
        yield "webhooks/globex", [Push({"event": "order.paid", "order": 8_000 + count})] * 2
        yield "search-index", [Push({"product": count}, key=f"product-{count}")]
    if count % 11 == 0:
        yield "stock-sync", [Push({"sku": f"BK-{count}"}, key=f"BK-{count}")]


def _last(lq: LambdaQueue, shop: Shop) -> dict[str, str]:
    """Push what is to be seen in the middle of something."""
    later = [Push({"to": f"{who}@shop.example"}, delay="2h") for who in NAMES[:4]]
    lq.queue("mail").push_many(later)
    lq.queue("newsletter").push_many([Push({"issue": 48, "to": who}) for who in NAMES])
    lq.queue("partner-feed").push({"product": 17, "price": "38.00"}, key="product-17")
    lq.queue("webhooks/initech").push({"event": "order.paid"}, key="order-8001")
    lq.send_message(shop.url("/ping"), {"order": 7}, event_type="order.paid")
    lq.send_message(shop.url("/stock"), {"order": 8}, event_type="order.paid")
    exports = [
        lq.queue("exports").push({"region": region, "format": "csv"}, key=f"export-{region}")
        for region in ("eu", "us")
    ]
    waiting = lq.queue("mail").push(
        {"to": "amélie@shop.example", "template": "invoice-reminder", "order": 8_017},
        key="reminder-8017",
        delay="36h",
        headers={"x-shop-tenant": "cz"},
        priority=5,
        event_type="invoice.reminder",
    )
    retrying = lq.queue("stock-sync").push(
        {"sku": "BK-104", "warehouse": "prague-2", "quantity": 120},
        key="BK-104",
        retry={"type": "exponential", "delay": "20s", "factor": 3, "retries": 8, "jitter": 0},
    )
    _until(lambda: lq.get(retrying.id).attempt > 0, "the first retry")
    _until(lambda: _failed(lq) is not None, "a job that failed for good")
    failed = _failed(lq)
    assert failed is not None
    return {
        "waiting": waiting.id,
        "retrying": retrying.id,
        "entry": failed.entry_id,
        "export": exports[0].id,
    }


def _failed(lq: LambdaQueue) -> Entry | None:
    """Return the newest job of `stock-sync` that had more than one attempt and failed."""
    return next(iter(lq.queue("stock-sync").history("FAILED")), None)


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise CannotTakePictures(f"not within a minute: {what}. Try it on a machine at rest.")
        time.sleep(0.2)
