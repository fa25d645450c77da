"""What services do that were invoked: they say that they live, end their work, or fall silent."""

from __future__ import annotations

from collections.abc import Mapping

from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.endings import end
from lambdaqueue.errors import ExecutionOver, InvalidRequest, NotFound, TooManyRequests
from lambdaqueue.execution import Final
from lambdaqueue.history import HistoryStore
from lambdaqueue.ids import environment_of
from lambdaqueue.job import Job
from tests.store.model.crew import Crew
from tests.store.model.stage import Actor

__all__ = ["Endpoints"]

FINALS = (
    Final("success", summary="done", state={"page": 7}),
    Final("success", state="'é]]"),
    Final("fail", summary="no"),
    Final("fail", error={"message": "out of paper"}),
)
REFUSED: Mapping[type[Exception], bytes] = {
    TooManyRequests: b"too_many", InvalidRequest: b"too_long",
    ExecutionOver: b"unknown", NotFound: b"unknown",
}  # fmt: skip
MOST = 500
"""Executions that the scheduler ends in one step."""


class Endpoints(Crew):
    """Services at random, with tokens that count, that did, and that never were."""

    def invoke(self) -> str:
        actors = [actor for actor in (*self.workers, *self.stock) if not actor.frozen]
        if self.chance.random() < 0.1:
            actors += [Actor(store, 1, claims) for store, claims in self.ghosts]
        waiting = [
            (actor, claim)
            for actor in actors
            for claim in actor.claims
            if claim.spec.terms is not None and claim.token not in self.invoked
        ]
        if not waiting:
            return "nothing"
        return self._invoke(*self.chance.choice(waiting))

    def heartbeat(self) -> str:
        token = self._any_token()
        if token is None:
            return "nobody"
        told = []
        for _ in range(12 if self.chance.random() < 0.05 else 1):
            told.append(self._heartbeat(token))
        return f"{token.execution}: {told}"

    def _heartbeat(self, token: CallbackToken) -> str:
        extend = self.chance.choice((None, None, None, 500, 60_000, 10_000_000))
        progress = self.chance.choice((None, 0, 12.5, 100))
        try:
            self.callbacks.heartbeat(token.text, progress, extend)
        except tuple(REFUSED) as error:
            self._refused(token, error)
            return repr(error)
        assert self.wire.heard == b"heard"
        return f"{progress} {extend}"

    def finish(self) -> str:
        token = self._any_token()
        return "nobody" if token is None else self._finish(token, self._any_final(token))

    def _finish(self, token: CallbackToken, final: Final) -> str:
        taken = self._counts(token) or self._said(token) == final.digest
        try:
            self.callbacks.finish(token.text, final)
        except (ExecutionOver, NotFound) as error:
            self._not_taken(token, error, taken)
            return f"{token.execution}: {error!r}"
        assert taken, f"{token.execution} took {final}"
        return f"{token.execution}: {final}"

    def _refused(self, token: CallbackToken, error: Exception) -> None:
        assert REFUSED[type(error)] == self.wire.heard, repr(error)
        if self.wire.heard == b"unknown":
            self._is_over(token, error)

    def _not_taken(self, token: CallbackToken, error: Exception, taken: bool) -> None:
        # Its first answer was lost, and its entry is gone: then nobody knows it any more.
        forgotten = isinstance(error, NotFound) and self._ended(token) is None
        assert forgotten or not taken, f"{token.execution}: {error!r}"
        self._is_over(token, error)

    def race(self) -> str:
        """A final callback that takes its time between reading and writing."""
        if self.finals and self.chance.random() < 0.5:
            ending, token = self.finals.pop(self.chance.randrange(len(self.finals)))
            return f"{token.execution}: {self.executions.end([ending], token.digest)}"
        speaker = self._any_token()
        if speaker is None or not self._counts(speaker):
            return "nobody"
        underway = self.executions.read(speaker.execution)
        assert underway is not None
        assert underway.token == speaker.digest
        self.finals.append((end(underway, self._any_final(speaker), self.now, 0.0), speaker))
        return speaker.execution

    # The scheduler

    def look(self) -> str:
        """See whose time is over; what follows is written at once, or later."""
        due = self.executions.due(MOST)
        overdue = [end(each, why, due.now, 0.0) for each, why in due.executions]
        if overdue and self.chance.random() < 0.4:
            self.overdue.append(overdue)
            return f"{len(overdue)} seen"
        ended = self.executions.end(overdue)
        self.nobody_is_overdue()
        return str([each.underway.job.id for each, so in zip(overdue, ended, strict=True) if so])

    def end_overdue(self) -> str:
        if not self.overdue:
            return "nothing"
        overdue = self.overdue.pop(self.chance.randrange(len(self.overdue)))
        ended = self.executions.end(overdue)
        return str([each.underway.job.id for each, so in zip(overdue, ended, strict=True) if so])

    def nobody_is_overdue(self) -> None:
        """What is overdue was found: an end at once, silence within one tick of the lease clock."""
        for job in self.model.jobs.values():
            if job.course.awaiting is None or job.course.astray:
                continue
            late = job.course.overdue(self.now, self.model.lease - 1_000)
            assert late is None, f"{job.id} is overdue: {late}"

    # Tokens

    def _any_token(self) -> CallbackToken | None:
        if not self.tokens:
            return None
        dice = self.chance.random()
        if dice < 0.05:
            return CallbackToken.mint(self.chance.choice(self.tokens).execution)
        if dice < 0.75:
            alive = [token for token in self.tokens if self._counts(token)]
            if dice < 0.4:
                alive = [token for token in alive if self._is_late(token)] or alive
            if alive:
                return self.chance.choice(alive)
        return self.chance.choice(self.tokens[-20:])

    def _is_late(self, token: CallbackToken) -> bool:
        """Its time was seen to be over, or a worker is about to make the next attempt."""
        job = self.model.jobs[token.execution]
        overdue = any(each.underway.job.id == job.id for seen in self.overdue for each in seen)
        return overdue or (job.token is not None and job.token not in self.invoked)

    def _any_final(self, token: CallbackToken) -> Final:
        said = [final for final in FINALS if final.digest == self._said(token)]
        return self.chance.choice(said if said and self.chance.random() < 0.5 else FINALS)

    def _counts(self, token: CallbackToken) -> bool:
        job = self.model.jobs.get(token.execution)
        return job is not None and job.course.callback == token.digest

    def _said(self, token: CallbackToken) -> str | None:
        """The digest of the final callback by which this token ended its attempt."""
        ended, job = self._ended(token), self.model.jobs.get(token.execution)
        if ended is not None and ended.final and _is_newest(token, ended.tokens):
            return ended.final.digest
        closed = {} if job is None else job.course.closed
        return closed.get(token.digest) or (ended.tokens.get(token.digest) if ended else None)

    def _ended(self, token: CallbackToken) -> Job | None:
        return HistoryStore(self.client).newest(environment_of(token.execution), token.execution)

    def _is_over(self, token: CallbackToken, error: Exception) -> None:
        job, ended = self.model.jobs.get(token.execution), self._ended(token)
        known = {**(job.course.closed if job else {}), **(ended.tokens if ended else {})}
        if token.digest not in known:
            assert isinstance(error, NotFound), repr(error)
            return
        status = "REPLACED"
        if ended is not None and _is_newest(token, ended.tokens):
            status = ended.execution_status.upper()
        elif job is not None and _is_newest(token, job.course.closed):
            status = "TIMEOUT" if job.course.closed[token.digest] == "-" else "FAIL"
        assert str(error).endswith(f" {status}"), f"{error!r}, not {status}"


def _is_newest(token: CallbackToken, known: Mapping[str, str]) -> bool:
    return list(known)[-1:] == [token.digest]
