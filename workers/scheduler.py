"""The scheduler: a few duties, each asked when its time has come. Any number may run at once."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any, Protocol

from lambdaqueue.alerts import AlertStore
from lambdaqueue.config import Settings
from lambdaqueue.connection import Redis, connect, translated
from lambdaqueue.errors import StorageUnavailable
from lambdaqueue.executions import ExecutionStore
from lambdaqueue.logs import Log, configure_logging
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.upkeep import ALARM, Upkeep
from workers.alerting import Alerting
from workers.expiring import Expiring
from workers.firing import Firing
from workers.housekeeping import Housekeeping
from workers.reclaiming import Reclaiming
from workers.sweeping import Sweeping
from workers.waking import LONGEST_SLEEP, Waking

__all__ = ["Alarm", "Duty", "Scheduler", "main"]

log = Log("lambdaqueue.scheduler")

AWAY_PAUSE = 0.5
"""Seconds until the next try while Redis is away."""


class Duty(Protocol):
    """Something that must be done again and again."""

    def poll(self) -> float:
        """Do what is due; return the seconds until it should be asked again."""


class Alarm:
    """Sleeps until a script says that something is due sooner."""

    def __init__(self, client: Redis) -> None:
        self._pubsub: Any = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`, to the tenth of a millisecond, or until the alarm rings."""
        with translated():
            connection = self._pubsub.connection
            if connection is None or connection._sock is None:  # never dialled, or lost
                self._pubsub.subscribe(ALARM)
            # Not get_message(timeout): it waits in poll(), which rounds up to milliseconds.
            readable, _, _ = select.select([self._pubsub.connection._sock], [], [], seconds)
            while readable and self._pubsub.get_message(timeout=0):
                continue

    def close(self) -> None:
        """Unsubscribe."""
        self._pubsub.close()


class Scheduler:
    """Asks each duty in its time, and goes on whatever Redis does."""

    def __init__(self, duties: Sequence[Duty], alarm: Alarm) -> None:
        self._duties = duties
        self._alarm = alarm
        self._due = dict.fromkeys(duties, 0.0)
        self._stopping = False

    def run(self) -> None:
        """Work until `stop`."""
        while not self._stopping:
            try:
                self._alarm.wait(self._poll())
            except StorageUnavailable as error:
                log.warning("storage_unavailable", reason=error, then="trying again")
                time.sleep(AWAY_PAUSE)

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """End `run` within the longest sleep; fit to be a signal handler."""
        self._stopping = True

    def _poll(self) -> float:
        for duty, due in self._due.items():
            if due <= time.monotonic():
                self._due[duty] = time.monotonic() + duty.poll()
        # The alarm rings for the waking only, so that is asked after every sleep.
        self._due[self._duties[0]], soonest = 0.0, self._due[self._duties[0]]
        others = [due for duty, due in self._due.items() if duty is not self._duties[0]]
        return max(0.0, min(soonest, *others) - time.monotonic())


def main() -> int:
    """Run a scheduler as the Procfile does."""
    settings = Settings.from_env(os.environ)
    configure_logging(settings)
    client = connect(settings)
    upkeep = Upkeep(client)
    alarm = Alarm(connect(settings, answer_within=LONGEST_SLEEP + 5))
    duties: list[Duty] = [
        Waking(upkeep),
        Firing(ScheduleStore(client)),
        Expiring(ExecutionStore(client)),
        Reclaiming(upkeep),
        Sweeping(upkeep),
        Alerting(AlertStore(client), upkeep, settings),
    ]
    scheduler = Scheduler(duties, alarm)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, scheduler.stop)
    housekeeping = Housekeeping(settings)
    housekeeping.start()
    log.info("scheduler_started")
    scheduler.run()
    housekeeping.stop()
    alarm.close()
    log.info("scheduler_stopped")
    return 0
