"""Slow computations: in threads of their own, few at a time, and not too many that wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import gevent
import pytest

from api.elsewhere import MOST_THREADS, MOST_WAITING, Elsewhere
from lambdaqueue.errors import TooManyRequests


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    made = Elsewhere()
    yield made
    made.close()


def test_it_s_another_thread(elsewhere: Elsewhere) -> None:
    assert elsewhere(threading.get_ident) != threading.get_ident()


def test_errors_come_back(elsewhere: Elsewhere) -> None:
    with pytest.raises(ZeroDivisionError):
        elsewhere(lambda: 1 // 0)
    assert elsewhere(lambda: 5) == 5


def test_few_at_a_time_and_others_go_on(elsewhere: Elsewhere) -> None:
    """B105: who comes when too many wait is told to come again, at once."""
    go, lock, at_once, most = threading.Event(), threading.Lock(), 0, 0

    def compute() -> int:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        assert go.wait(20)
        with lock:
            at_once -= 1
        return 1

    waiting = [gevent.spawn(elsewhere, compute) for _ in range(MOST_WAITING)]
    gevent.sleep(0)  # let them all begin
    with pytest.raises(TooManyRequests) as caught:
        elsewhere(compute)
    assert caught.value.after == 3
    with gevent.Timeout(20):
        while most < MOST_THREADS:
            gevent.sleep(0.01)
    go.set()
    assert [each.get(timeout=20) for each in waiting] == [1] * MOST_WAITING
    assert most == MOST_THREADS
    assert elsewhere(lambda: 2) == 2


def test_it_can_be_closed_and_used_again() -> None:
    made = Elsewhere()
    made.close()
    assert made(lambda: 1) == 1
    made.close()
    assert made(lambda: 1) == 1
    made.close()
