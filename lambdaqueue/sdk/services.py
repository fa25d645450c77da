"""Service jobs: what works longer than a request, and ends by a callback; and their executions."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict, Unpack

from lambdaqueue.sdk.calling import path_of
from lambdaqueue.sdk.connection import Connection
from lambdaqueue.sdk.durations import Duration, milliseconds, moment, unix_ms
from lambdaqueue.sdk.options import Retry, as_json
from lambdaqueue.sdk.places import resolved

__all__ = ["ExecutionInfo", "ServiceJob", "ServiceJobOptions", "Services"]

Json = Mapping[str, Any]


class ServiceJobOptions(TypedDict, total=False):
    """What a service job may have. `ttl` and `heartbeat` are whole seconds in the end.

    `payload` is text that each webhook carries; `exclusive`: one execution at a time.
    """

    heartbeat: Duration
    exclusive: bool
    enabled: bool
    payload: str
    retry: Retry


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceJob:
    """A job by the clock whose executions end by callbacks. Times in seconds."""

    service: str
    job: str
    guid: str
    target: str
    schedule: str
    ttl: int
    heartbeat: int
    exclusive: bool = False
    enabled: bool = True
    payload: str | None = None
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, raw: Json) -> ServiceJob:
        """Read the API's JSON."""
        return cls(
            service=str(raw["service_name"]),
            job=str(raw["job_name"]),
            guid=str(raw.get("guid", "")),
            target=str(raw.get("invocation_target", "")),
            schedule=str(raw.get("schedule", "")),
            ttl=int(raw.get("ttl_seconds", 0)),
            heartbeat=int(raw.get("heartbeat_interval_seconds", 0)),
            exclusive=bool(raw.get("exclusive")),
            enabled=bool(raw.get("enabled", True)),
            payload=raw.get("payload"),
            raw=raw,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionInfo:
    """One run. `status` is invoked, running, success, fail, timeout or cancelled.

    In a search's rows it is None until the end, and so are the fields after `result`.
    """

    name: str
    status: str | None
    event_at: datetime | None
    summary: str | None = None
    state: Any = None
    error: Any = None
    correlation_id: str | None = None
    service: str | None = None
    job: str | None = None
    progress: float | None = None
    attempt: int | None = None
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, raw: Json) -> ExecutionInfo:
        """Read the API's JSON."""
        result = raw.get("result") or {}
        at = (raw.get("event") or {}).get("time")
        return cls(
            name=str(raw["name"]),
            status=raw.get("status") or result.get("status"),
            event_at=moment(at) if at else None,
            summary=result.get("summary"),
            state=result.get("state"),
            error=result.get("error") or raw.get("error"),
            correlation_id=result.get("correlation_id"),
            service=raw.get("service_name"),
            job=raw.get("job_name"),
            progress=raw.get("progress"),
            attempt=raw.get("attempt"),
            raw=raw,
        )

    @property
    def ended(self) -> bool:
        """True when nothing more will come of it."""
        return self.raw.get("result") is not None


@dataclass(frozen=True, slots=True)
class Services:
    """Service jobs, by the names of service and job. Every call raises `ApiError`."""

    connection: Connection

    def set(
        self,
        service: str,
        job: str,
        *,
        target: str,
        schedule: str,
        ttl: Duration,
        **options: Unpack[ServiceJobOptions],
    ) -> ServiceJob:
        """Make or change a job; may be called at every start. `target` is a URL or a path here."""
        given: dict[str, Any] = dict(options)
        body = {
            "async": True,
            "invocation_target": resolved(target, self.connection.settings),
            "schedule": schedule,
            "ttl_seconds": _whole_seconds("ttl", ttl),
        }
        if "heartbeat" in given:
            body["heartbeat_interval_seconds"] = _whole_seconds("heartbeat", given.pop("heartbeat"))
        if "retry" in given:
            body |= as_json({"retry": given.pop("retry")})
        answer = self.connection.api.call("PUT", _path(service, job), json={**body, **given})
        return ServiceJob.read(answer.json)

    def get(self, service: str, job: str) -> ServiceJob:
        """Return one."""
        return ServiceJob.read(self.connection.api.get(_path(service, job)))

    def list(self, service: str) -> builtins.list[ServiceJob]:
        """Return a service's jobs, by name."""
        rows = self.connection.api.get(f"{path_of('services', service)}/jobs")
        return [ServiceJob.read(raw) for raw in rows]

    def delete(self, service: str, job: str) -> None:
        """Delete it; executions under way go on to their end."""
        self.connection.api.call("DELETE", _path(service, job))

    def run(self, service: str, job: str) -> str:
        """Start an execution now; return its name.

        Raises:
            Conflict: the job is disabled.
        """
        return self._started(f"{_path(service, job)}/run")

    def test(self, service: str, job: str) -> str:
        """Validate the target and send one marked webhook; return the name of what it is."""
        return self._started(f"{_path(service, job)}/test")

    def executions(
        self, service: str, job: str | None = None, *, since: datetime | None = None
    ) -> Iterator[ExecutionInfo]:
        """Yield the executions of a service, or of one job, that began at `since` or later."""
        path = path_of("services", service) if job is None else _path(service, job)
        query: dict[str, str | int | None] = {"since": None if since is None else unix_ms(since)}
        while True:
            page = self.connection.api.get(f"{path}/executions", query)
            yield from map(ExecutionInfo.read, page["results"])
            query["more"] = page["paging"].get("more")
            if query["more"] is None:
                return

    def execution(self, name: str) -> ExecutionInfo:
        """Return all that is known of one; an async item's is found by the item's id."""
        return ExecutionInfo.read(self.connection.api.get(path_of("executions", name)))

    def cancel(self, name: str) -> ExecutionInfo:
        """End an execution; its service learns of it by its next callback.

        Raises:
            Conflict: it has ended.
        """
        path = f"{path_of('executions', name)}/cancel"
        return ExecutionInfo.read(self.connection.api.call("POST", path).json)

    def retry(self, name: str) -> str:
        """Run the same again; return the name of the new execution.

        Raises:
            Conflict: it is unfinished, or the job disabled.
        """
        return self._started(f"{path_of('executions', name)}/retry")

    def _started(self, path: str) -> str:
        return str(self.connection.api.call("POST", path, idempotency_key="").json["name"])


def _path(service: str, job: str) -> str:
    return path_of("services", service, "jobs", job)


def _whole_seconds(name: str, duration: Duration) -> int:
    whole, rest = divmod(milliseconds(duration), 1_000)
    if rest:
        raise ValueError(f"{name}: must be whole seconds, not {duration!r}")
    return whole
