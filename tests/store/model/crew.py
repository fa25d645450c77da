"""What workers do: claim, settle, beat, die, freeze, come back too late."""

from __future__ import annotations

from collections.abc import Mapping

from lambdaqueue.attempt_log import Attempt, extend_log, read_log
from lambdaqueue.attempts import AttemptStore, Kind, Settlement
from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.claims import Claim
from lambdaqueue.errors import WorkerDeclaredDead
from tests.store.model.records import Settled
from tests.store.model.stage import Actor, Stage
from tests.store.world import at_once

__all__ = ["Crew"]

WEIGHTS: Mapping[bool | None, tuple[int, ...]] = {
    None: (50, 0, 25, 8, 8, 8),
    False: (0, 0, 40, 10, 25, 25),
    True: (0, 50, 25, 8, 8, 0),
}
"""Of each `Kind`: a job that no callback ends; one whose token isn't known yet; one whose is."""


class Crew(Stage):
    """Workers at random. Which jobs a claim brings is foretold from what stood in Redis before."""

    def join(self) -> str:
        if len(self.workers) >= 6:
            return "enough"
        slots = self.chance.choice((1, 2, 5))
        self.workers.append(Actor(self._store("rq-name", slots), slots))
        return self.workers[-1].store.incarnation

    def _any_worker(self) -> Actor | None:
        awake = [actor for actor in self.workers if not actor.frozen]
        return self.chance.choice(awake) if awake else None

    def claim(self) -> str:
        actor = self._any_worker()
        if actor is None:
            return "nobody"
        return self._claim(actor, self.chance.randrange(actor.slots + 1))

    def _claim(self, actor: Actor, most: int, wanted: tuple[str, ...] = ()) -> str:
        name = actor.store.incarnation
        entries = list(wanted) or self.before.line[:most]
        try:
            claimed = at_once(actor.store.claim(most, wanted))
        except WorkerDeclaredDead:
            assert not self.model.alive(name), f"{name} is not dead"
            self._abandon(actor)
            return f"{name}: dead"
        assert self.model.alive(name), f"{name} is dead"
        self.model.beat(name, ())
        assert claimed.suspended == self.suspended
        if claimed.suspended:
            return f"{name}: suspended"
        expected, held_back = self._considered(name, entries)
        assert [claim.id for claim in claimed.claims] == expected
        assert claimed.held_back == held_back
        for claim in claimed.claims:
            self._started(name, claim)
        actor.claims += claimed.claims
        for claim in claimed.claims:
            if claim.spec.terms is not None and self.chance.random() < 0.6:
                self._invoke(actor, claim)
        return f"{name}: {[(c.id, c.version, c.attempt) for c in claimed.claims]}"

    def _considered(self, name: str, entries: list[str]) -> tuple[list[str], bool]:
        """Which of the entries may start, by what stood in Redis before."""
        stored = self.before.jobs
        starts: list[str] = []
        held_back = False
        suspect = self.model.workers[name].suspect is not None
        for rq_id in entries:
            job_id, _, admission = rq_id.rpartition("_")
            job = self.model.jobs.get(job_id)
            ready = rq_id in self.before.ready and job is not None and not job.running
            if not ready or job is None or stored[job_id].get("admission") != admission:
                continue
            if job.current.expires is not None and job.current.expires < self.now:
                self.model.expire(job)
            elif self.model.queues[job.queue].paused:
                pass
            elif job.suspect and suspect:
                held_back = True
            else:
                suspect = suspect or job.suspect
                starts.append(job_id)
        return starts, held_back

    def _started(self, name: str, claim: Claim) -> None:
        job = self.model.jobs[claim.id]
        self.model.start(job, name, claim.token, self.now)
        assert claim.token.partition(".")[0] == name
        assert (claim.version, claim.attempt) == (job.current.number, job.attempt)
        assert claim.failures == job.failures
        assert claim.key == job.key
        assert claim.expires_at == job.current.expires
        assert claim.first_due_at == (job.current.due if job.first is None else job.first)
        assert claim.spec.pack().decode("utf-8", "surrogateescape") == job.current.spec
        logged = tuple(each.to_json() for each in read_log(claim.attempts_log))
        assert logged == job.log
        version = (claim.id, claim.version, claim.attempt)
        assert version not in self.attempts, f"{version} was made before"
        self.attempts.add(version)

    def _abandon(self, actor: Actor) -> None:
        """It was declared dead: it gives up its calls and goes on under a new name."""
        self.ghosts.append((actor.store, actor.claims))
        self.workers.remove(actor)
        if self.chance.random() < 0.7:
            self.workers.append(Actor(self._store("rq-name", actor.slots), actor.slots))

    def settle(self) -> str:
        actor = self._any_worker()
        if actor is None or not actor.claims:
            return "nothing"
        some = self.chance.sample(actor.claims, self.chance.randint(1, len(actor.claims)))
        return self._settle(actor, some)

    def _settle(self, actor: Actor, claims: list[Claim], finish: bool = False) -> str:
        settlements = [self._outcome(claim, finish) for claim in claims]
        answers = self._commit(actor.store, settlements)
        actor.claims = [claim for claim in actor.claims if claim not in claims]
        told = [
            (s.claim.id, s.claim.version, s.kind.value, answer)
            for s, answer in zip(settlements, answers, strict=True)
        ]
        return f"{actor.store.incarnation}: {told}"

    def _commit(self, store: AttemptStore, settlements: list[Settlement]) -> list[bool]:
        store.now = self.now
        name = store.incarnation
        answers = at_once(store.settle(settlements))
        outcomes = [
            Settled(
                s.claim.id, s.claim.token, s.kind, s.delay, s.error,
                tuple(each.to_json() for each in read_log(s.log.encode())),
            )
            for s in settlements
        ]  # fmt: skip
        for s, accepted in zip(settlements, answers, strict=True):
            if s.kind is Kind.UNSENT and accepted:
                self.attempts.discard((s.claim.id, s.claim.version, s.claim.attempt))
        assert answers == self.model.settle(name, outcomes, self.now)
        return answers

    def _invoke(self, actor: Actor, claim: Claim) -> str:
        token = CallbackToken.mint(claim.id)
        self.invoked[claim.token] = token
        if at_once(actor.store.register(claim, token.digest)) is None:
            return f"{claim.id}: stale"
        if self.chance.random() < 0.08:
            return f"{claim.id}: no answer came, so nothing is sent"
        self.tokens.append(token)
        return claim.id

    def _outcome(self, claim: Claim, finish: bool) -> Settlement:
        called = None if claim.spec.terms is None else self.invoked.get(claim.token) in self.tokens
        kind = Kind.COMPLETED if called is None else Kind.STARTED if called else Kind.UNSENT
        if not finish:
            kind = self.chance.choices(list(Kind), WEIGHTS[called])[0]
        error = ""
        if kind in (Kind.RETRY, Kind.FAILED):
            error = self.chance.choice(("timeout: x", "http_500: y", "dns: it's ]] \x00 é"))
        status = None if error else 200
        made = Attempt(claim.attempt, claim.started_at, 5, status, error or None)
        return Settlement(
            claim=claim,
            kind=kind,
            delay=self.chance.choice((0, 1_000, 10_000, 900_000)) if kind is Kind.RETRY else 0,
            error=error,
            log=extend_log(claim.attempts_log, made),
        )

    def beat(self) -> str:
        actor = self._any_worker()
        return self._beat(actor) if actor else "nobody"

    def _beat(self, actor: Actor) -> str:
        name = actor.store.incarnation
        renew = [claim.id for claim in actor.claims]
        try:
            at_once(actor.store.beat(renew))
        except WorkerDeclaredDead:
            assert not self.model.alive(name), f"{name} is not dead"
            self._abandon(actor)
            return f"{name}: dead"
        assert self.model.alive(name), f"{name} is dead"
        self.model.beat(name, renew)
        return name

    def freeze(self) -> str:
        actor = self._any_worker()
        if actor is None:
            return "nobody"
        actor.frozen = True
        return actor.store.incarnation

    def thaw(self) -> str:
        frozen = [actor for actor in self.workers if actor.frozen]
        if not frozen:
            return "nobody"
        frozen[0].frozen = False
        return frozen[0].store.incarnation

    def die(self) -> str:
        actor = self._any_worker()
        for each in self.workers:  # poison: whoever has a suspect is likely to die of it
            known = self.model.workers.get(each.store.incarnation)
            if known and known.suspect and self.chance.random() < 0.7:
                actor = each
        if actor is None:
            return "nobody"
        self.workers.remove(actor)
        return actor.store.incarnation

    def leave(self) -> str:
        actor = self._any_worker()
        if actor is None:
            return "nobody"
        name = actor.store.incarnation
        gone = at_once(actor.store.leave())
        assert gone == self.model.leave(name)
        if gone:
            self.workers.remove(actor)
        return f"{name}: {gone}"

    def haunt(self) -> str:
        """A worker that was declared dead settles all the same."""
        if not self.ghosts:
            return "nobody"
        store, claims = self.ghosts.pop(self.chance.randrange(len(self.ghosts)))
        answers = self._commit(store, [self._outcome(claim, True) for claim in claims])
        assert not any(answers)
        return store.incarnation
