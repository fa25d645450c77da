"""Every Redis key, named once: its type, its lifetime, and what it holds.

`E` is an environment's id, `Q` a queue's name (no colon in either), `S` a schedule's id (a service
job's is `service/job`), `C` a collection of schedules (`schedules`, `periodic`, `timers`,
`services`), `F` a digest of a flow key, `U` one of a target's URL without its query, `W` a worker's
incarnation, `A` an account's id, `X` the SHA-256 of a session's cookie, `H` a digest of what a
client sent. A *queue ref* is `E:Q`. The scripts build the same names in `scripts/shared/`, most of
them in `names.lua`; `inspect.lua` knows their invariants.

Shared by all environments; the first nine are always KEYS[1..9] of a script (see `GLOBAL`):

| key                     | type   | lives                 | holds                                 |
|-------------------------|--------|-----------------------|---------------------------------------|
| lq:seq                  | hash   | for ever              | counters and clocks: admission, ms, n |
|                         |        |                       | (ids), lease_ms, tick_ms, slots, mark |
| lq:wake                 | zset   | while queues wait     | queue ref -> ms when to look again    |
| lq:ready                | zset   | while jobs are ready  | RQ job id -> admission number         |
| lq:in_line              | hash   | while jobs are ready  | queue ref -> its entries in the line; |
|                         |        |                       | `ref|s` those of suspects             |
| lq:workers              | zset   | while workers live    | W -> lease clock at its last beat     |
| rq:queue:lambdaqueue    | list   | RQ's                  | the line: RQ job ids, first in first  |
| rq:wip:lambdaqueue      | zset   | RQ's                  | started RQ jobs, score +inf           |
| rq:queues               | set    | RQ's                  | names of RQ's queues                  |
| rq:suspended            | string | RQ's                  | exists while `rq suspend` holds       |

| lq:due_schedules        | zset   | while schedules run   | `E:S` -> ms of its next run           |
| lq:deadlines            | zset   | while jobs await      | queue ref -> ms, no later than the    |
|                         |        | callbacks             | soonest deadline of its awaiting jobs |
| lq:alerts               | hash   | while they last       | what the operator was told -> since   |
| lq:totals               | hash   | for ever              | schedules fired, workers that died    |
| lq:busiest              | zset   | while there are any   | queue ref -> logarithm of its endings |
| lq:named                | set    | once metrics are read | refs of queues that metrics name      |
| lq:fresh                | set    | until they are read   | refs of queues that are new to them   |
| lq:others               | hash   | once a queue has no   | what queues without a name have done, |
|                         |        | name in the metrics   | and their jobs; since: it is told of  |
| lq:environments         | set    | for ever              | ids of all environments               |
| lq:names                | hash   | for ever              | an environment's name -> its id       |
| lq:tokens               | hash   | for ever              | a token's id -> its environment's id  |
| lq:vault                | string | for ever              | tells a right master key from a wrong |
| lq:refused:<address>    | string | 60 s                  | bad tokens that came from there       |
| lq:accounts             | hash   | for ever              | name of an account -> its id          |
| lq:first_link           | string | 24 h                  | hash of the link that makes the first |
| lq:instance             | string | for ever              | the database's mark, see readiness.py |
| lq:writable             | string | 1 s                   | a trial, see readiness.py             |

One for each account or sign-in:

| lq:account:A            | hash   | until it's removed    | name, password (hashed), epoch of its |
|                         |        |                       | sessions, its roles by environment, … |
| lq:session:X            | hash   | 1 h idle, 12 h in all | account, epoch, csrf, created, seen,  |
|                         |        |                       | proved                                |
| lq:sign_in:H            | hash   | 1 h                   | attempts to sign in, and until when   |
|                         |        |                       | there must be none                    |
| lq:guesses:H            | string | 1 h                   | attempts to sign in with a name, from |
|                         |        |                       | where its account isn't known         |
| lq:sites:A              | zset   | 2160 h                | where A has signed in -> ms, the      |
|                         |        |                       | newest 20                             |

One for each worker, request or RQ job:

| lq:worker:W             | hash   | life + 1 h            | slots, suspect, numbers and answers   |
|                         |        |                       | of the last claim and settle, dead    |
| lq:held:W               | zset   | while W holds jobs    | job id -> lease clock when it runs out|
| lq:request:R            | string | 120 s, 24 h where a   | the answer to request id R            |
|                         |        | client asks again     |                                       |
| rq:job:<id>_<admission> | hash   | while in line/started | what RQ and its tools see             |

One for each environment:

| lq:E:env                | hash   | the environment's     | name, created, retry, secret and      |
|                         |        | + 24 h                | previous (sealed), entries, …; then   |
|                         |        |                       | only that it's closed                 |
| lq:E:tokens             | hash   | the environment's     | a token's id -> packed TokenInfo      |
| lq:E:token_uses         | hash   | the environment's     | a token's id -> ms of its last use    |
| lq:E:audit              | stream | newest 10 000 entries | who did what                          |
| lq:E:target:D           | hash   | 24 h, refused: 2 min  | what a target's validation brought;   |
|                         |        |                       | D is made of target and secret        |
| lq:E:validating:D       | string | 12 s                  | who validates that target just now    |
| lq:E:queues             | zset   | the environment's     | names of its queues, score 0          |
| lq:E:ended              | hash   | as its entries        | job id -> its newest history entry    |
| lq:E:idempotent:H       | hash   | 24 h                  | fingerprint and answer for a key      |
| lq:E:executions         | zset   | unfinished, and as    | ids of the executions of all service  |
|                         |        | their entries         | jobs, score 0                         |
| lq:E:executions:P       | zset   | unfinished, and as    | the same of a service, or of one job  |
|                         |        | their entries         |                                       |
| lq:E:retried            | hash   | as its entries        | ended execution -> its newest retry   |

One for each queue or job:

| lq:E:C                  | zset   | as its schedules      | ids of the schedules of collection C, |
|                         |        |                       | score 0                               |
| lq:E:C:by_key           | hash   | as its schedules      | unique key -> schedule's id           |
| lq:E:schedule:S         | hash   | until it's deleted;   | what to push, when, and the next run, |
|                         |        | a timer's: until it   | of any collection                     |
|                         |        | has fired             |                                       |
| lq:E:schedule_runs:S    | zset   | as its schedule       | job id -> ms of its run, newest 1 000 |
| lq:E:unfinished:S       | set    | while they run        | ids of a service job's unfinished     |
|                         |        |                       | executions: the lock of an exclusive  |
| lq:E:last_success:S     | string | as the service job    | what its last success left, JSON      |
| lq:E:queue:Q            | hash   | until it is deleted   | settings, counters, window, levels,   |
|                         |        |                       | its own secret (sealed), last error   |
| lq:E:payloads:Q         | hash   | as its jobs           | job id -> packed Spec; `id+` the next |
|                         |        |                       | version's; `id#` its attempts         |
| lq:E:keys:Q             | hash   | as its jobs           | unique key -> job id                  |
| lq:E:waiting:Q:L        | zset   | as its jobs           | job id -> due ms; L is a priority     |
|                         |        |                       | 0..9, or `s` for suspects             |
| lq:E:flows:Q            | zset   | while lanes wait      | flow -> ms when its lane must be      |
|                         |        |                       | looked at again, +inf when it's full  |
| lq:E:flow:Q:F           | hash   | while its lane has    | its limits' state: staged, running,   |
|                         |        | jobs, + 24 h          | tat, hold                             |
| lq:E:backlog:Q:F        | zset   | as its jobs           | job id -> level and due ms of jobs    |
|                         |        |                       | that their flow's limits keep back    |
| lq:E:resting:Q          | zset   | while some are in     | endpoint -> ms when it must be looked |
|                         |        | trouble               | at again, +inf when nothing is aside  |
| lq:E:endpoint:Q:U       | hash   | while it's in trouble | rest, opened, judged, probe, pace,    |
|                         |        | + 1 h                 | url                                   |
| lq:E:aside:Q:U          | zset   | as its jobs           | job id -> level and due ms of jobs    |
|                         |        |                       | whose endpoint rests                  |
| lq:E:awaiting:Q         | zset   | as its jobs           | job id -> ms of its deadline, while a |
|                         |        |                       | callback is to end it                 |
| lq:E:history:Q:c, :f    | stream | limits of the queue   | successes; failures and cancellations |
| lq:E:totals:Q           | hash   | as its queue          | counts that only grow: failures and   |
|                         |        |                       | retries by class, attempts by time    |
|                         |        |                       | taken and by lateness, lost           |
| lq:E:pieces:Q           | hash   | 26 h                  | number of a piece of 300 s -> these   |
|                         |        |                       | counts, and endings, as it began      |
| lq:E:latest:Q           | hash   | as its entries        | unique key -> newest history entry    |
| lq:E:job:<id>           | hash   | until the job ends    | the job's truth, see scripts          |
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, get_args

from lambdaqueue.ids import environment_of

__all__ = [
    "COLLECTIONS",
    "DEFAULT_ENVIRONMENT",
    "GLOBAL",
    "LINE_NAME",
    "Collection",
    "account",
    "accounts",
    "alerts",
    "all_tokens",
    "aside",
    "audit",
    "awaiting",
    "backlog",
    "deadlines",
    "due_schedules",
    "ended",
    "endpoint",
    "environment",
    "environments",
    "executions",
    "first_link",
    "flows",
    "guesses",
    "held",
    "history",
    "idempotent",
    "instance",
    "job",
    "last_success",
    "latest",
    "line",
    "names",
    "payloads",
    "pieces",
    "queue",
    "queue_ref",
    "queues",
    "refused",
    "request",
    "resting",
    "retried",
    "schedule",
    "schedule_keys",
    "schedule_runs",
    "schedules",
    "seq",
    "session",
    "sign_in",
    "target",
    "token_uses",
    "tokens",
    "totals",
    "unfinished",
    "unique",
    "validating",
    "vault",
    "waiting",
    "worker",
    "workers",
    "writable",
]

LINE_NAME = "lambdaqueue"
"""The RQ queue that feeds the workers."""

line = f"rq:queue:{LINE_NAME}"

environments = "lq:environments"
names = "lq:names"
all_tokens = "lq:tokens"
vault = "lq:vault"
accounts = "lq:accounts"
first_link = "lq:first_link"
due_schedules = "lq:due_schedules"
deadlines = "lq:deadlines"
alerts = "lq:alerts"
workers = "lq:workers"
seq = "lq:seq"
instance = "lq:instance"
writable = "lq:writable"

GLOBAL: Sequence[str] = (
    seq,
    "lq:wake",
    "lq:ready",
    "lq:in_line",
    workers,
    line,
    f"rq:wip:{LINE_NAME}",
    "rq:queues",
    "rq:suspended",
)

DEFAULT_ENVIRONMENT = "1"

Collection = Literal["schedules", "periodic", "timers", "services"]
"""Schedules of one kind; those of two kinds know nothing of each other."""

COLLECTIONS: Sequence[Collection] = get_args(Collection)


def queue_ref(env: str, name: str) -> str:
    return f"{env}:{name}"


def environment(env: str) -> str:
    return f"lq:{env}:env"


def tokens(env: str) -> str:
    return f"lq:{env}:tokens"


def token_uses(env: str) -> str:
    return f"lq:{env}:token_uses"


def audit(env: str) -> str:
    return f"lq:{env}:audit"


def target(env: str, digest: str) -> str:
    return f"lq:{env}:target:{digest}"


def validating(env: str, digest: str) -> str:
    return f"lq:{env}:validating:{digest}"


def account(account_id: str) -> str:
    return f"lq:account:{account_id}"


def session(digest: str) -> str:
    return f"lq:session:{digest}"


def sign_in(*who: str) -> str:
    """`who` is an address, or the name of an account and an address; both come from outside."""
    digest = hashlib.sha256("\n".join(who).encode()).hexdigest()
    return f"lq:sign_in:{digest[:32]}"


def guesses(name: str) -> str:
    """The visitor chooses `name`, so only its hash becomes part of a key."""
    return f"lq:guesses:{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def refused(address: str) -> str:
    return f"lq:refused:{address}"


def schedules(env: str, collection: Collection = "schedules") -> str:
    return f"lq:{env}:{collection}"


def schedule_keys(env: str, collection: Collection = "schedules") -> str:
    return f"lq:{env}:{collection}:by_key"


def schedule(env: str, schedule_id: str) -> str:
    return f"lq:{env}:schedule:{schedule_id}"


def schedule_runs(env: str, schedule_id: str) -> str:
    return f"lq:{env}:schedule_runs:{schedule_id}"


def queues(env: str) -> str:
    return f"lq:{env}:queues"


def ended(env: str) -> str:
    return f"lq:{env}:ended"


def queue(env: str, name: str) -> str:
    return f"lq:{env}:queue:{name}"


def payloads(env: str, name: str) -> str:
    return f"lq:{env}:payloads:{name}"


def unique(env: str, name: str) -> str:
    return f"lq:{env}:keys:{name}"


def waiting(env: str, name: str, level: str) -> str:
    return f"lq:{env}:waiting:{name}:{level}"


def awaiting(env: str, name: str) -> str:
    return f"lq:{env}:awaiting:{name}"


def flows(env: str, name: str) -> str:
    return f"lq:{env}:flows:{name}"


def backlog(env: str, name: str, flow: str) -> str:
    return f"lq:{env}:backlog:{name}:{flow}"


def resting(env: str, name: str) -> str:
    return f"lq:{env}:resting:{name}"


def endpoint(env: str, name: str, digest: str) -> str:
    return f"lq:{env}:endpoint:{name}:{digest}"


def aside(env: str, name: str, digest: str) -> str:
    return f"lq:{env}:aside:{name}:{digest}"


def executions(env: str, scope: str = "") -> str:
    return f"lq:{env}:executions:{scope}" if scope else f"lq:{env}:executions"


def retried(env: str) -> str:
    return f"lq:{env}:retried"


def unfinished(env: str, service_job: str) -> str:
    return f"lq:{env}:unfinished:{service_job}"


def last_success(env: str, service_job: str) -> str:
    return f"lq:{env}:last_success:{service_job}"


def history(env: str, name: str, kind: str) -> str:
    return f"lq:{env}:history:{name}:{kind}"


def totals(env: str, name: str) -> str:
    return f"lq:{env}:totals:{name}"


def pieces(env: str, name: str) -> str:
    return f"lq:{env}:pieces:{name}"


def latest(env: str, name: str) -> str:
    return f"lq:{env}:latest:{name}"


def job(job_id: str) -> str:
    return f"lq:{environment_of(job_id)}:job:{job_id}"


def idempotent(env: str, key: str) -> str:
    """The client chooses `key`, so only its hash becomes part of a name."""
    return f"lq:{env}:idempotent:{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def request(request_id: str) -> str:
    return f"lq:request:{request_id}"


def worker(incarnation: str) -> str:
    return f"lq:worker:{incarnation}"


def held(incarnation: str) -> str:
    return f"lq:held:{incarnation}"
