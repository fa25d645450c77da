"""What a queue's owner may set, and how it's stored beside the queue."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from lambdaqueue.rate import Breaker, FlowLimits, Rate
from lambdaqueue.retry import DEFAULT_POLICY, RetryPolicy
from lambdaqueue.spec import FollowUp
from lambdaqueue.statuses import SUCCESS, StatusRange

__all__ = ["DEFAULT_TIMEOUT", "FollowUp", "Policies", "QueueSettings"]

DEFAULT_TIMEOUT = 30_000
"""ms for one attempt, where neither item nor queue says otherwise."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What a queue's owner may set; None means the environment's default.

    `timeout` is ms, `result_bytes` how much of an answer's body history keeps. `validation` is
    "none" for targets that can't prove that they know a secret; the operator must allow it.
    `concurrency` is how many attempts may be out at once over all workers; `ordered` means one at a
    time, in order, and a failed job before those behind it.
    """

    target: str | None = None
    retry: RetryPolicy | None = None
    timeout: int | None = None
    success_status: StatusRange = SUCCESS
    history_limit: int = 10_000
    failed_limit: int = 10_000
    history_days: int = 30
    result_bytes: int = 4_096
    validation: Literal["required", "none"] = "required"
    concurrency: int | None = None
    rate: Rate | None = None
    flow: FlowLimits | None = None
    ordered: bool = False
    on_success: FollowUp | None = None
    on_failure: FollowUp | None = None
    breaker: Breaker | None = None

    def pack(self) -> str:
        """Return the stored form: JSON of what differs from the defaults, "" when nothing does."""
        stored: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if value != each.default:
                stored[each.name] = _plain(value)
        return json.dumps(stored, separators=(",", ":")) if stored else ""

    @classmethod
    def unpack(cls, stored: bytes | str) -> QueueSettings:
        """Rebuild what `pack` wrote."""
        if not stored:
            return cls()
        values = json.loads(stored)
        if "retry" in values:
            values["retry"] = RetryPolicy.from_json(values["retry"])
        if "success_status" in values:
            values["success_status"] = StatusRange.parse(values["success_status"])
        if "rate" in values:
            values["rate"] = Rate.from_json(values["rate"])
        if "flow" in values:
            values["flow"] = FlowLimits.from_json(values["flow"])
        if "breaker" in values:
            values["breaker"] = Breaker(**values["breaker"])
        for name in ("on_success", "on_failure"):
            if name in values:
                values[name] = FollowUp(**values[name])
        # What newer code has stored beside, this one doesn't know.
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


@dataclass(frozen=True, slots=True)
class Policies:
    """What holds for the items of one queue: its settings, then its environment's."""

    settings: QueueSettings = field(default_factory=QueueSettings)
    environment: RetryPolicy | None = None

    @classmethod
    def unpack(cls, settings: bytes, environment: bytes) -> Policies:
        """Read both from their stored forms."""
        retry = RetryPolicy.from_json(json.loads(environment)) if environment else None
        return cls(QueueSettings.unpack(settings), retry)

    def retry(self, own: RetryPolicy | None) -> RetryPolicy:
        """Return the policy that holds: the item's, the queue's, the environment's, the default."""
        return own or self.settings.retry or self.environment or DEFAULT_POLICY


def _plain(value: object) -> object:
    if isinstance(value, RetryPolicy | Rate | FlowLimits | FollowUp | Breaker):
        return value.to_json()
    if isinstance(value, StatusRange):
        return str(value)
    return value
