"""Whole lives of jobs, schedules and queues, as calls that both sides are asked for."""

from __future__ import annotations

import json
import random

from tests.sdk.testing.sides import TARGET, Say

__all__ = ["FOLLOW_UP", "ITEM", "RETRY", "SCENARIOS", "SCHEDULE", "walk"]

RETRY = json.dumps({"type": "constant", "delay": 600_000, "retries": 1, "jitter": 0})


ITEM = {"payload": {"n": 1}, "target": TARGET}

FOLLOW_UP = {"queue": "ends", "target": TARGET}


def keys(say: Say) -> None:
    say.push(key="a", delay="600000")
    say.push(body={"n": 2}, key="a", priority="1")
    say.push(body={"n": 3}, key="a", **{"if-exists": "keep"})
    say("GET", "/queues/mail/items/byKey/a")
    say("PATCH", "/queues/mail/items/byKey/a", {"delay": 60_000, "payload": "x"})
    say("PATCH", "/queues/mail/items/byKey/a", {"key": "b"})
    say("PATCH", "/queues/mail/items/byKey/a", {"delay": 1, "on": "2026-01-01T00:00:00Z"})
    say("PATCH", "/queues/mail/items/byKey/a", {"payloadEncoding": "base64"})
    say("DELETE", "/queues/mail/items/byKey/a")
    say("DELETE", "/queues/mail/items/byKey/a")
    say("GET", "/queues/mail/items/byKey/a")
    say.push(key="a/b c")
    say("GET", "/queues/mail/items/byKey/a/b%20c")
    say("GET", "/queues/mail")


def lives(say: Say) -> None:
    item = say.push(key="a", retry=RETRY)
    path = f"/items/{item['id']}"
    say.attend(500, b"oh")
    say("GET", path)
    say("GET", "/queues/mail")
    say("POST", f"{path}/run")
    say.attend(200, b'{"done":true}', content_type="application/json")
    say("GET", path)
    say("POST", f"{path}/run")
    say("PATCH", path, {"delay": 1})
    say("DELETE", path)
    say("GET", "/queues/mail/history")
    say("GET", "/queues/mail/items/byKey/a")
    say("GET", "/queues/mail")
    say("GET", "/queues")


def endings(say: Say) -> None:
    once = json.dumps({"type": "constant", "delay": 60_000, "retries": 1, "jitter": 0})
    say.push(retry=once)
    say.attend(410)
    say.push(retry=once)
    say.attend(500, x_lq_retry="never")
    say.push(retry=once)
    say.attend(503, retry_after="120")
    say("GET", "/queues/mail/items")
    say.push("other", retry=once, **{"max-age": "1000"})
    say.attend(502)
    say.push("third", body=b"\xff", retry=once)
    say.attend(302)
    say("GET", "/queues/third/items?state=RETRY")
    for queue in ("mail", "other"):
        say("GET", f"/queues/{queue}/history")
        say("GET", f"/queues/{queue}/history?state=FAILED&limit=1")
        say("GET", f"/queues/{queue}/history?state=COMPLETED")
        say("GET", f"/queues/{queue}")
    say("POST", "/queues/third/purge", {"state": "RETRY"})
    say("POST", "/queues/mail/purge", {"state": "FAILED"})
    say("POST", "/queues/mail/purge", {"state": "RUNNING"})
    say("POST", "/queues/mail/purge")
    say("GET", "/queues/mail")


def replays(say: Say) -> None:
    say.push(key="a", priority="2", **{"flow-key": "f"})
    say.attend(410)
    say.push(body={"n": 2})
    say.attend()
    (failed,) = say("GET", "/queues/mail/history?state=FAILED")["entries"]
    (fine,) = say("GET", "/queues/mail/history?state=COMPLETED")["entries"]
    say("POST", f"/queues/mail/history/{failed['entry']}/replay")
    say("POST", f"/queues/mail/history/{failed['entry']}/replay", {"target": "ftp://x"})
    say("POST", f"/queues/mail/history/{fine['entry']}/replay")
    say("POST", "/queues/mail/history/replay", {"state": "COMPLETED", "limit": 0})
    say("POST", "/queues/mail/history/replay", {"rate": {"limit": 1, "period": 1, "burst": 1}})
    say("POST", "/queues/mail/history/replay", {"target": "ftp://x", "cursor": "x", "key": 1})
    far = {"cursor": "999999999999999-0-f.999999999999999"}
    say("POST", "/queues/mail/history/replay", {**far, "rate": {"limit": 1, "period": 1_000}})
    say("POST", "/queues/mail/history/replay", far)
    say("GET", "/queues/mail/items")


def repeats(say: Say) -> None:
    for body in ({"n": 1}, {"n": 1}, {"n": 2}):
        named = {"x-lq-target": TARGET, "idempotency-key": "a"}
        say("POST", "/queues/mail/items", body, **named)
    say("POST", "/queues/mail/items/batch", {"items": [ITEM]}, idempotency_key="b")
    say("POST", "/queues/mail/items/batch", {"items": [ITEM]}, idempotency_key="b")
    say("POST", "/queues/mail/items/batch", {"items": [ITEM]}, idempotency_key="\u00e9")


def settings(say: Say) -> None:
    say("PATCH", "/queues/mail", {"target": TARGET, "timeout": 5_000, "ordered": True})
    say("PATCH", "/queues/mail", {"retry": {"type": "list", "delays": [1]}, "timeout": None})
    say("PATCH", "/queues/mail", {"rate": {"limit": 1}, "flow": {"x": 1}, "breaker": {}})
    say("PATCH", "/queues/mail", {"successStatus": "x", "historyDays": 31, "resultBytes": True})
    say("PATCH", "/queues/mail", {"onFailure": {"queue": "items", "target": "x", "format": 1}})
    say("PATCH", "/queues/mail", {"concurrency": 2, "rate": {"limit": 9, "period": 1_000}})
    say("POST", "/queues/mail/items", {"n": 1})
    say("POST", "/queues/mail/pause")
    say("GET", "/queues/mail")
    say("DELETE", "/queues/mail")
    say("POST", "/queues/mail/resume")
    say("PUT", "/queues/mail", {"validation": "none", "historyLimit": 1})
    say("GET", "/queues/mail/items")
    say("POST", "/queues/mail/purge")
    say("DELETE", "/queues/mail")
    say("GET", "/queues/mail")
    say("GET", "/queues/mail/secret")


def follow_ups(say: Say) -> None:
    follow = {"queue": "ends", "target": TARGET}
    say("PATCH", "/queues/mail", {"onSuccess": follow, "onFailure": {**follow, "format": "slack"}})
    say.push(key="a")
    say.attend()
    say("GET", "/queues/ends/history")
    say.push()
    say.attend(410)
    say("GET", "/queues/ends")
    say("GET", "/queues/mail/history?limit=1")


def own_follow_ups(say: Say) -> None:
    slack = {**FOLLOW_UP, "format": "slack"}
    say("PATCH", "/queues/mail", {"onSuccess": {**FOLLOW_UP, "queue": "all"}})
    item = say.push(delay="600000", **{"on-success": "none", "on-failure": json.dumps(FOLLOW_UP)})
    say("PATCH", f"/items/{item['id']}", {"priority": 1})
    say("PATCH", f"/items/{item['id']}", {"onFailure": None})
    say("PATCH", f"/items/{item['id']}", {"onSuccess": "all", "onFailure": 1})
    say("PATCH", f"/items/{item['id']}", {"onFailure": slack})
    say("POST", f"/items/{item['id']}/run")
    say.attend(410)
    say("GET", "/queues/ends/history")
    (entry,) = say("GET", "/queues/mail/history")["entries"]
    say("POST", f"/queues/mail/history/{entry['entry']}/replay")
    say.attend(200)
    say("GET", "/queues/all")
    say("POST", "/queues/mail/items/batch", {"items": [{**ITEM, "onSuccess": slack}, ITEM]})
    say.attend(200)
    for queue in ("all", "ends", "mail"):
        say("GET", f"/queues/{queue}")


def follow_ups_of_schedules(say: Say) -> None:
    say("PUT", "/schedules/byKey/a", {**SCHEDULE, "onFailure": FOLLOW_UP, "onSuccess": "none"})
    say("PATCH", "/schedules/byKey/a", {"onSuccess": None})
    say("POST", "/schedules/byKey/a/run")
    say("PATCH", "/schedules/byKey/a", {"onFailure": None})
    say("PATCH", "/schedules/byKey/a", {"onFailure": "all"})
    say.attend(410)
    say("GET", "/schedules/byKey/a/history")
    say("GET", "/queues/ends")
    named = {"x-lq-queue": "reports", "x-lq-target": TARGET, "x-lq-schedule": "every(1h)"}
    say("POST", "/schedules", {"n": 1}, **named, **{"x-lq-on-failure": "none"})
    say("POST", "/schedules", {"n": 1}, **named, **{"x-lq-on-success": "all"})


def callbacks_said_again(say: Say) -> None:
    """What ended an attempt is known also when others have begun, and when they have ended."""
    twice = json.dumps({"type": "constant", "delay": 600_000, "retries": 2, "jitter": 0})
    item = say.push(**{"async": "600000", "retry": twice})
    said: list[tuple[str, dict[str, str]]] = []
    for summary in ("first", "second"):
        callback = say.attend(202)
        said.append((callback, {"status": "fail", "summary": summary}))
        say("POST", *said[-1])
        say("POST", f"/items/{item['id']}/run")
    lost = say.attend(500)
    said.append((lost, {"status": "success"}))
    for callback, body in said:
        say("POST", callback, body)
        say("POST", callback, {**body, "summary": "other"})
        say("POST", callback, {"status": "processing"})
    for callback, body in said:
        say("POST", callback, body)
    say("GET", f"/items/{item['id']}")


def async_items(say: Say) -> None:
    terms = {"async": "600000", "heartbeat": "10000", "retry": RETRY}
    item = say.push(**terms)
    callback = say.attend(202)
    say("GET", f"/items/{item['id']}")
    say("POST", callback, {"status": "processing", "progress": 40, "extend_seconds": 60})
    say("POST", callback, {"status": "processing", "extend_seconds": 601})
    say("POST", callback, {"status": "processing", "summary": "x"})
    say("POST", callback, {"status": "gone"})
    say("POST", callback, b"x", content_type="text/plain")
    say("GET", f"/executions/{item['id']}")
    say("POST", callback, {"status": "fail", "error": {"message": "closed", "code": 7}})
    say("POST", callback, {"status": "fail", "error": {"message": "closed", "code": 7}})
    say("POST", callback, {"status": "success"})
    say("GET", f"/items/{item['id']}")
    say("POST", f"/items/{item['id']}/run")
    newer = say.attend(202)
    say("POST", callback, {"status": "processing"})
    say("POST", newer, {"status": "success", "summary": "done", "state": {"n": [1]}})
    say("POST", newer, {"status": "success", "summary": "done", "state": {"n": [1]}})
    say("POST", newer, {"status": "processing"})
    say("GET", f"/items/{item['id']}")
    say("GET", f"/executions/{item['id']}")
    say("POST", f"/executions/{item['id']}/cancel")
    other = say.push(**terms)
    say.attend(202)
    say("POST", f"/executions/{other['id']}/cancel")
    say("POST", "/callback/none", {"status": "processing"})


def late_callbacks(say: Say) -> None:
    for status, ends in ((500, "success"), (500, "fail"), (410, "success")):
        item = say.push(**{"async": "600000", "retry": RETRY})
        callback = say.attend(status)
        say("GET", f"/items/{item['id']}")
        say("POST", callback, {"status": "processing", "progress": 1})
        say("GET", f"/items/{item['id']}")
        say("POST", callback, {"status": ends})
        say("POST", callback, {"status": ends})
        say("GET", f"/items/{item['id']}")


SCHEDULE = {
    "queue": "reports",
    "schedule": "cron(0 9 1 1 ? 2099)",
    "target": TARGET,
    "payload": {"r": 1},
}


def schedules(say: Say) -> None:
    made = say("PUT", "/schedules/byKey/daily", {**SCHEDULE, "timezone": "Europe/Warsaw"})
    say("PUT", "/schedules/byKey/daily", {**SCHEDULE, "timezone": "Europe/Warsaw"})
    say("GET", f"/schedules/{made['id']}")
    say("PATCH", "/schedules/byKey/daily", {"schedule": "every(1d)", "misfire": "skip"})
    say("PATCH", "/schedules/byKey/daily", {"target": None})
    say("PATCH", "/schedules/byKey/daily", {"overlap": "skip", "maxRuns": 2, "priority": 4})
    say("POST", "/schedules/byKey/daily/run")
    say("POST", "/schedules/byKey/daily/run")
    say("POST", "/schedules/byKey/daily/pause")
    say("POST", "/schedules/byKey/daily/resume")
    say("GET", "/schedules/byKey/daily/history")
    say.attend()
    say("GET", "/schedules/byKey/daily/history")
    say("GET", "/schedules?limit=1")
    say("DELETE", "/schedules/byKey/daily")
    say("GET", "/schedules/byKey/daily")


def schedules_in_headers(say: Say) -> None:
    named = {"x-lq-queue": "reports", "x-lq-target": TARGET}
    say("POST", "/schedules", b"text", content_type="text/plain", **named)
    say("POST", "/schedules", {"n": 1}, **named, **{"x-lq-schedule": "every(1h)"})
    say("POST", "/schedules", {"n": 1}, **named, **{"x-lq-delay": "1", "x-lq-tz": "UTC"})
    say("POST", "/schedules", {"n": 1}, **{"x-lq-schedule": "every(1h)", "x-lq-queue": "q"})


def timers(say: Say) -> None:
    say("PUT", "/periodic/invoices", {"minuteOfHour": 15, "target": TARGET, "shardId": "s1"})
    say("GET", "/periodic/invoices")
    say("PUT", "/periodic/a%2Fb", {"every": "90x"})
    say("PUT", "/periodic/a", {"minuteOfHour": 60, "every": 1, "x": 1})
    say("DELETE", "/periodic/invoices")
    say("GET", "/periodic/invoices")
    say("PUT", "/timers/once", {"delay": 5_000, "timerCallbackData": None})
    say("PUT", "/timers/once", {"delay": 5_000, "at": "2026-01-01T00:00:00Z"})
    say("PUT", "/timers/once", {})


def messages(say: Say) -> None:
    sent = say("POST", "/messages", {"url": TARGET, "payload": {"o": 7}, "eventType": "paid"})
    say("GET", f"/items/{sent['id']}")
    say.attend(500)
    say("GET", f"/items/{sent['id']}")
    late = say("POST", "/messages", {"url": TARGET, "payload": None, "attempt": 10})
    say.attend(500)
    say("GET", f"/items/{late['id']}")
    say("POST", "/messages", {"url": "x", "attempt": 11})
    fine = say("POST", "/messages", {"url": TARGET, "payload": 1})
    say.attend(302)
    say("GET", f"/items/{fine['id']}")


JOB = {"async": True, "invocation_target": TARGET, "schedule": "rate(1 day)", "ttl_seconds": 1}


def services(say: Say) -> None:
    say("PUT", "/services/shop/jobs/report", {**JOB, "exclusive": True, "payload": "p"})
    say("GET", "/services/shop/jobs/report")
    say("GET", "/services/shop/jobs")
    say("PUT", "/services/shop/jobs/bad", {**JOB, "schedule": "0 9 * * *"})
    say("PUT", "/services/shop/jobs/bad", {"async": False, "ttl_seconds": "1", "x": 1})
    name = say("POST", "/services/shop/jobs/report/run")["name"]
    locked = say("POST", "/services/shop/jobs/report/run")["name"]
    say("GET", f"/executions/{locked}")
    callback = say.attend(202)
    say("GET", f"/executions/{name}")
    say("POST", callback, {"status": "success", "state": 7, "correlation_id": "c"})
    say("GET", f"/executions/{name}")
    again = say("POST", f"/executions/{name}/retry")["name"]
    say("POST", f"/executions/{again}/retry")
    say("POST", say.attend(202), {"status": "fail", "summary": "no"})
    say("GET", f"/executions/{again}")
    say("GET", f"/executions/{name}")
    say("GET", "/services/shop/executions")
    say("GET", "/services/shop/jobs/report/executions?since=1")
    say("GET", "/services/shop/jobs/other/executions?since=x")
    tried = say("POST", "/services/shop/jobs/report/test")["name"]
    say("GET", f"/executions/{tried}")
    say("PUT", "/services/shop/jobs/report", {**JOB, "enabled": False})
    say("POST", "/services/shop/jobs/report/run")
    say("DELETE", "/services/shop/jobs/report")
    say("GET", "/services/shop/jobs/report")


def lists(say: Say) -> None:
    for number in range(3):
        say.push(body={"n": number}, priority=str(number), delay="600000")
        say.push(body={"n": number})
    page = say("GET", "/queues/mail/items?limit=4")
    say("GET", f"/queues/mail/items?cursor={page['nextCursor']}")
    say.attend(200)
    page = say("GET", "/queues/mail/history?limit=2")
    say("GET", f"/queues/mail/history?cursor={page['nextCursor']}")
    say("GET", "/queues/mail/history.jsonl")
    say.push("other")
    page = say("GET", "/queues?limit=1")
    say("GET", f"/queues?cursor={page['nextCursor']}")


def waiting_versions(say: Say) -> None:
    item = say.push(key="a", **{"async": "600000"})
    callback = say.attend(202)
    say.push(body={"n": 2}, key="a", delay="60000")
    say("PATCH", f"/items/{item['id']}", {"payload": {"n": 3}})
    say("GET", f"/items/{item['id']}")
    say("POST", f"/items/{item['id']}/run")
    say("POST", callback, {"status": "fail"})
    say("GET", f"/items/{item['id']}")
    say("GET", "/queues/mail/history")
    say("DELETE", f"/items/{item['id']}")
    dropped = say.push(key="b", **{"async": "600000"})
    callback = say.attend(202)
    say("DELETE", f"/items/{dropped['id']}")
    say.push(body={"n": 2}, key="b")
    say("POST", callback, {"status": "success"})
    say("GET", f"/items/{dropped['id']}")
    say("GET", "/queues/mail/history")


SCENARIOS = [
    *(
        keys,
        lives,
        endings,
        replays,
        repeats,
        settings,
        follow_ups,
        own_follow_ups,
        follow_ups_of_schedules,
        callbacks_said_again,
        async_items,
        late_callbacks,
        schedules,
    ),
    *(schedules_in_headers, timers, messages, services, lists, waiting_versions),
]


STEPS = [
    *("push", "push", "keep", "async", "async", "async", "attend", "attend", "attend", "attend"),
    *("callback", "callback", "callback", "patch", "run", "run", "DELETE", "GET", "pause"),
    *("resume", "resume", "resume", "resume", "resume", "resume"),
]


def walk(say: Say, seed: int, steps: int = 40) -> None:
    """Do what chance wants with two keys of one queue."""
    chance = random.Random(seed)
    callbacks = ["/callback/none"]
    for step in range(steps):
        key = chance.choice("ab")
        path = f"/queues/mail/items/byKey/{key}"
        what = chance.choice(STEPS)
        if what in ("push", "keep", "async"):
            options = {"key": key, "retry": RETRY, "priority": str(chance.randrange(3))}
            options |= {"delay": "60000"} if chance.random() < 0.3 else {}
            options |= {"if-exists": "keep"} if what == "keep" else {}
            # One of them alone: else it's for the ms to say whose callback is the newest.
            options |= {"async": "600000", "key": "a"} if what == "async" else {}
            say.push(body={"step": step}, **options)
        elif what == "attend":
            callbacks.append(say.attend(chance.choice((200, 202, 500, 410))) or callbacks[-1])
        elif what == "patch":
            say("PATCH", path, chance.choice(({"payload": step}, {"delay": 0}, {"priority": 7})))
        elif what == "callback":
            said = chance.choice(("success", "fail", "processing"))
            say("POST", chance.choice((callbacks[-1], *callbacks[-3:])), {"status": said})
        elif what == "run":
            found = say("GET", path)
            if "id" in found:
                say("POST", f"/items/{found['id']}/run")
        elif what in ("pause", "resume"):
            say("POST", f"/queues/mail/{what}")
        else:
            say(what, path)
        say("GET", path)
        say("GET", "/queues/mail")
    for key in "ab":  # which of the two ends first is for the ms to say
        say("GET", f"/queues/mail/history?key={key}")
