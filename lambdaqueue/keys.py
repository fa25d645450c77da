"""Every Redis key, named once: its type, its lifetime, and what it holds.

`E` is an environment's id, `Q` a queue's name (no colon in either), `W` a worker's incarnation.
A *queue ref* is `E:Q`. The scripts build the same names in `scripts/shared/names.lua`; the audit
(`audit.lua`) knows their invariants.

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

| lq:environments         | set    | for ever              | ids of environments that have queues  |
| lq:instance             | string | for ever              | the database's mark, see readiness.py |

One for each worker, request or RQ job:

| lq:worker:W             | hash   | life + 1 h            | slots, suspect, numbers and answers   |
|                         |        |                       | of the last claim and settle, dead    |
| lq:held:W               | zset   | while W holds jobs    | job id -> lease clock when it runs out|
| lq:request:R            | string | 120 s                 | the answer to request id R            |
| rq:job:<id>_<admission> | hash   | while in line/started | what RQ and its tools see             |

One for each environment:

| lq:E:env                | hash   | the environment's     | entries, history_max, retry           |
| lq:E:queues             | zset   | the environment's     | names of its queues, score 0          |
| lq:E:ended              | hash   | as its entries        | job id -> its newest history entry    |
| lq:E:idempotent:H       | string | 24 h                  | fingerprint and answer for a key      |

One for each queue or job:

| lq:E:queue:Q            | hash   | until it is deleted   | settings, counters, window, levels    |
| lq:E:payloads:Q         | hash   | as its jobs           | job id -> packed Spec; `id+` the next |
|                         |        |                       | version's; `id#` its attempts         |
| lq:E:keys:Q             | hash   | as its jobs           | unique key -> job id                  |
| lq:E:waiting:Q:L        | zset   | as its jobs           | job id -> due ms; L is a priority     |
|                         |        |                       | 0..9, or `s` for suspects             |
| lq:E:history:Q:c, :f    | stream | limits of the queue   | successes; failures and cancellations |
| lq:E:latest:Q           | hash   | as its entries        | unique key -> newest history entry    |
| lq:E:job:<id>           | hash   | until the job ends    | the job's truth, see scripts          |
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from lambdaqueue.ids import environment_of

__all__ = [
    "DEFAULT_ENVIRONMENT",
    "GLOBAL",
    "LINE_NAME",
    "ended",
    "environment",
    "held",
    "history",
    "idempotent",
    "job",
    "latest",
    "line",
    "payloads",
    "queue",
    "queue_ref",
    "queues",
    "request",
    "unique",
    "waiting",
    "worker",
]

LINE_NAME = "lambdaqueue"
"""The RQ queue that feeds the workers."""

line = f"rq:queue:{LINE_NAME}"

environments = "lq:environments"

GLOBAL: Sequence[str] = (
    "lq:seq",
    "lq:wake",
    "lq:ready",
    "lq:in_line",
    "lq:workers",
    line,
    f"rq:wip:{LINE_NAME}",
    "rq:queues",
    "rq:suspended",
)

DEFAULT_ENVIRONMENT = "1"


def queue_ref(env: str, name: str) -> str:
    return f"{env}:{name}"


def environment(env: str) -> str:
    return f"lq:{env}:env"


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


def history(env: str, name: str, kind: str) -> str:
    return f"lq:{env}:history:{name}:{kind}"


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
