"""What is remembered of deliveries, and for how long."""

from __future__ import annotations

import threading

from lambdaqueue.sdk.replay_guard import MemoryGuard, ReplayGuard, Seen


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_it_is_a_guard() -> None:
    guard: ReplayGuard = MemoryGuard()
    assert guard.begin("a") is Seen.NEW


def test_what_is_under_way_is_put_off_until_it_ends() -> None:
    guard = MemoryGuard()
    assert [guard.begin("a"), guard.begin("a"), guard.begin("b")] == [
        Seen.NEW, Seen.UNDER_WAY, Seen.NEW
    ]  # fmt: skip
    guard.failed("a")
    assert guard.begin("a") is Seen.NEW
    guard.done("a")
    assert guard.begin("a") is Seen.DONE
    assert guard.begin("b") is Seen.UNDER_WAY


def test_a_failure_is_forgotten_and_done_is_not() -> None:
    guard = MemoryGuard()
    guard.done("a")
    guard.failed("a")
    assert guard.begin("a") is Seen.DONE
    guard.failed("never seen")
    assert guard.begin("never seen") is Seen.NEW


def test_done_is_kept_for_a_time() -> None:
    clock = Clock()
    guard = MemoryGuard(kept=60, clock=clock)
    guard.done("a")
    clock.now += 59
    assert guard.begin("a") is Seen.DONE
    clock.now += 1
    assert guard.begin("a") is Seen.NEW


def test_done_again_is_kept_from_then_on() -> None:
    clock = Clock()
    guard = MemoryGuard(kept=60, clock=clock)
    guard.done("a")
    clock.now += 50
    guard.done("b")
    guard.done("a")
    clock.now += 50
    assert (guard.begin("a"), guard.begin("b")) == (Seen.DONE, Seen.DONE)


def test_the_newest_are_kept_and_what_is_under_way_always() -> None:
    guard = MemoryGuard(most=2)
    assert guard.begin("long") is Seen.NEW
    for key in ("a", "b", "c"):
        guard.begin(key)
        guard.done(key)
    assert [guard.begin(key) for key in ("b", "c", "long", "a")] == [
        Seen.DONE, Seen.DONE, Seen.UNDER_WAY, Seen.NEW
    ]  # fmt: skip


def test_of_many_at_the_same_time_one_is_new() -> None:
    guard = MemoryGuard()
    start = threading.Barrier(16)
    seen: list[Seen] = []

    def ask() -> None:
        start.wait()
        for key in range(200):
            seen.append(guard.begin(str(key)))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen.count(Seen.NEW) == 200
    assert seen.count(Seen.UNDER_WAY) == 15 * 200
