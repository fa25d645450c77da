"""Tell the operator what is wrong, once, and once more when it's over."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lambdaqueue import keys
from lambdaqueue.alerts import NEARLY_FULL, QUEUE, ROOM_AGAIN, AlertStore, Condition, conditions_of
from lambdaqueue.config import Settings
from lambdaqueue.errors import StorageFull
from lambdaqueue.logs import Log
from lambdaqueue.spec import Spec
from lambdaqueue.upkeep import Upkeep

__all__ = ["Alerting"]

log = Log("lambdaqueue.scheduler")

EVERY = 10.0

NO_WORKER = "no_worker"
REDIS_FULL = "redis_full"


class Alerting:
    """Looks every few seconds; what it finds is a job for the operator's endpoint."""

    def __init__(self, store: AlertStore, upkeep: Upkeep, settings: Settings) -> None:
        self._store = store
        self._upkeep = upkeep
        self._settings = settings
        self._was_alone = False

    def poll(self) -> float:
        """Tell what is new, and what is over."""
        if not self._settings.alert_target:
            return EVERY
        known = self._store.known()
        found = {each.name: each for each in self._conditions(known)}
        try:
            for name in sorted(found.keys() - known):
                log.error("alert", condition=name, text=found[name].text)
                self._store.tell(name, self._spec(found[name].text, over=False), over=False)
            for name in sorted(known - found.keys()):
                log.warning("alert_over", condition=name)
                self._store.tell(name, self._spec(name, over=True), over=True)
        except StorageFull as error:  # told when there is room; other duties go on
            log.warning("alerts_wait", reason=error)
        return EVERY

    def _conditions(self, known: set[str]) -> Iterator[Condition]:
        alone = not self._store.workers()
        if alone and (self._was_alone or NO_WORKER in known):
            yield Condition(NO_WORKER, "no worker is alive: nothing is delivered")
        self._was_alone = alone
        limit = ROOM_AGAIN if REDIS_FULL in known else NEARLY_FULL
        if (share := self._store.fullness()) >= limit:
            yield Condition(REDIS_FULL, f"Redis uses {share:.0%} of its memory")
        for state in self._store.queues(list(self._refs())):
            yield from conditions_of(state, self._settings.alert_ratio)

    def _refs(self) -> Iterator[str]:
        for environment in self._upkeep.environments():
            for name in self._upkeep.queues(environment):
                if name != QUEUE:  # that alerts can't be delivered is told by none
                    yield keys.queue_ref(environment, name)

    def _spec(self, text: str, *, over: bool) -> Spec:
        said = f"over: {text}" if over else text
        if self._settings.alert_format == "slack":
            body = {"text": said}
        else:
            body = {"type": "alert.over" if over else "alert", "text": said}
        return Spec(
            payload=json.dumps(body).encode(),
            target=self._settings.alert_target,
            event_type=body.get("type"),
        )
