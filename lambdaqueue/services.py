"""The use cases around the definitions of service jobs: put, look, search, delete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lambdaqueue.commands import Page
from lambdaqueue.connection import Redis
from lambdaqueue.errors import NotFound
from lambdaqueue.schedules import ScheduleChanged, ScheduleStore
from lambdaqueue.service_job import ServiceJob

__all__ = ["JobFilter", "ServiceJobs"]

CHUNK = 500
"""Definitions, or ids, that are read with one call."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which service jobs to list: those of any of the scopes and with any of the guids.

    A scope is a service, or `service/job`; None restricts nothing.
    """

    scopes: tuple[str, ...] | None = None
    guids: tuple[str, ...] | None = None


class ServiceJobs:
    """Definitions, which are schedules of a collection of their own. `now` (Unix ms) replaces
    Redis' clock."""

    def __init__(self, client: Redis, now: int | None = None) -> None:
        self._schedules = ScheduleStore(client, now, collection="services")

    def put(self, environment: str, wanted: ServiceJob) -> ServiceJob:
        """Make a service job, or make the one of these names what is wanted.

        Unfinished executions go on as they are. Only another expression, or being enabled again,
        moves the next run.

        Raises:
            InvalidRequest: it has no run in the future.
        """
        while True:
            known = self._schedules.read(environment, wanted.id)
            schedule = wanted.scheduled(environment, known, self._schedules.clock())
            if schedule == known:
                return wanted
            try:
                self._schedules.put(schedule, known.revision if known else 0)
            except ScheduleChanged:
                continue
            return wanted

    def job(self, environment: str, service: str, job: str) -> ServiceJob:
        """Return a service job; raises NotFound."""
        known = self._schedules.read(environment, f"{service}/{job}")
        if known is None:
            raise NotFound("there is no such service job")
        return ServiceJob.of(known)

    def jobs_of(self, environment: str, service: str) -> list[ServiceJob]:
        """Return the jobs of a service by name."""
        return self._read(environment, list(self._ids_within(environment, service)))

    def search(self, environment: str, where: JobFilter) -> list[ServiceJob]:
        """Return the service jobs that match, by name."""
        if where.guids is not None:
            ids = self._schedules.ids_of(environment, where.guids)
            return self._read(environment, [each for each in ids if _is_within(each, where.scopes)])
        scopes = ("",) if where.scopes is None else where.scopes
        found = {each for scope in scopes for each in self._ids_within(environment, scope)}
        return self._read(environment, sorted(found))

    def page(self, environment: str, limit: int, cursor: str | None) -> Page[ServiceJob]:
        """List service jobs by name."""
        ids = self._schedules.ids_with(environment, "", cursor or "", limit + 1)
        rows = self._schedules.read_many(environment, ids[:limit])
        return Page(tuple(map(ServiceJob.of, rows)), ids[limit - 1] if len(ids) > limit else None)

    def drop(self, environment: str, service: str, job: str) -> None:
        """Forget a service job; executions that are unfinished go on. Raises NotFound."""
        self._schedules.drop(environment, self.job(environment, service, job).id)

    def _read(self, environment: str, ids: Sequence[str]) -> list[ServiceJob]:
        """Return those that there are, in order."""
        chunks = (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))
        found = (self._schedules.read_many(environment, chunk) for chunk in chunks)
        return [ServiceJob.of(each) for rows in found for each in rows]

    def _ids_within(self, environment: str, scope: str) -> Iterator[str]:
        """Yield ids of a scope by name: of all services, of one, or one job, be it there or not."""
        if "/" in scope:
            yield scope
            return
        prefix, after = f"{scope}/" if scope else "", ""
        while ids := self._schedules.ids_with(environment, prefix, after, CHUNK):
            yield from ids
            after = ids[-1]


def _is_within(service_job: str, scopes: Sequence[str] | None) -> bool:
    if scopes is None:
        return True
    return any(service_job == scope or service_job.startswith(f"{scope}/") for scope in scopes)
