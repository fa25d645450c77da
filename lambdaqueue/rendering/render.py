"""What the API answers: jobs, history and what manages them, exactly as documented."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

from lambdaqueue import strict_json
from lambdaqueue.attempt_log import Attempt
from lambdaqueue.commands import (
    AuditEntry,
    EnvironmentInfo,
    Page,
    Readiness,
    Replayed,
    SecretInfo,
)
from lambdaqueue.execution import Final, Terms
from lambdaqueue.identity import Scope, Token, TokenInfo
from lambdaqueue.instants import iso
from lambdaqueue.job import Job, Result
from lambdaqueue.rendering.payload_render import with_payload
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.signing import Secret
from lambdaqueue.spec import FollowUp, Spec

__all__ = [
    "audit_entry",
    "entry",
    "environment",
    "follow_up_fields",
    "follow_up_json",
    "given",
    "item",
    "items",
    "new_token",
    "optional_iso",
    "page",
    "policy_fields",
    "queue_secret",
    "readiness",
    "replays",
    "secret",
    "terms_fields",
    "token",
]

T = TypeVar("T")


def item(job: Job) -> bytes:
    """Return the JSON of an Item; of one that has ended, with what only history knows."""
    if job.entry is not None:
        return entry(job)
    return with_payload(_item_fields(job), job.spec)


def entry(job: Job) -> bytes:
    """Return the JSON of an entry of history."""
    fields = _item_fields(job)
    fields["entry"] = job.entry
    if job.ended_at is not None:
        fields["endedAt"] = iso(job.ended_at)
    fields["attempts"] = [_attempt(each) for each in job.attempts]
    if job.result is not None:
        fields["result"] = _result(job.result)
    if job.final is not None:
        fields["callback"] = _callback(job.final)
    return with_payload(fields, job.spec)


def items(jobs: Iterable[Job]) -> bytes:
    """Return the JSON of a batch's answer."""
    return b'{"items":[' + b",".join([item(job) for job in jobs]) + b"]}"


def page(plural: str, rows: Page[T], render: Callable[[T], bytes]) -> bytes:
    """Return the JSON of one page of a list, each row rendered by `render`."""
    body = b'{"%b":[%b]' % (plural.encode(), b",".join([render(row) for row in rows.rows]))
    if rows.cursor is not None:
        body += b',"nextCursor":' + strict_json.dumps(rows.cursor)
    return body + b"}"


def replays(done: Replayed) -> bytes:
    """Return the JSON of what a replay of many has done."""
    fields = {
        "replayed": done.count,
        "more": done.cursor is not None,
        "lastDueAt": optional_iso(done.last_due_at),
        "nextCursor": done.cursor,
    }
    return strict_json.dumps(given(fields))


def queue_secret(own: Secret) -> bytes:
    """Return the JSON of a queue's own secret."""
    return strict_json.dumps({"secret": own.reveal()})


def environment(info: EnvironmentInfo) -> bytes:
    """Return the JSON of an environment."""
    fields = {
        "id": info.id,
        "name": info.name,
        "created": iso(info.created),
        "retry": policy_fields(info.retry) if info.retry else None,
    }
    return strict_json.dumps(given(fields))


def secret(info: SecretInfo) -> bytes:
    """Return the JSON of an environment's signature secret."""
    fields = {
        "secret": info.secret.reveal(),
        "since": iso(info.since),
        "previous": info.previous.reveal() if info.previous else None,
        "previousUntil": optional_iso(info.previous_until),
    }
    return strict_json.dumps(given(fields))


def token(info: TokenInfo) -> bytes:
    """Return the JSON of what is known of a token."""
    return strict_json.dumps(_token_fields(info))


def new_token(made: Token, info: TokenInfo) -> bytes:
    """Return the JSON of a token that was just made: the only one that shows it."""
    return strict_json.dumps({**_token_fields(info), "token": made.text})


def audit_entry(noted: AuditEntry) -> bytes:
    """Return the JSON of an entry of the audit."""
    fields = {
        "id": noted.id,
        "at": iso(noted.at),
        "token": noted.token,
        "action": noted.action,
        "object": noted.object,
        "address": noted.address,
    }
    return strict_json.dumps(fields)


def readiness(found: Readiness) -> bytes:
    """Return the JSON of a readiness check."""
    fields = {
        "status": "unavailable" if found.failures else "ok",
        "checks": dict(found.failures),
        "warnings": dict(found.warnings),
    }
    return strict_json.dumps(fields)


def _token_fields(info: TokenInfo) -> dict[str, Any]:
    fields = {
        "id": info.id,
        "name": info.name,
        "scopes": [scope.value for scope in Scope if scope in info.scopes],
        "created": iso(info.created),
        "expires": optional_iso(info.expires),
        "lastUsed": optional_iso(info.last_used),
    }
    return given(fields)


def policy_fields(policy: RetryPolicy) -> dict[str, Any]:
    """Return a policy with its defaults written out: what was left out when it was set, too."""
    shown = {
        "type": policy.type,
        "delay": policy.delay,
        "max": policy.max,
        "retries": policy.retries,
        "jitter": policy.jitter,
    }
    return given(shown | policy.to_json())


def terms_fields(terms: Terms | None) -> dict[str, int]:
    """Return what was agreed with the endpoint of an async job; nothing of another."""
    return {} if terms is None else {"async": terms.ttl, "heartbeat": terms.heartbeat}


def follow_up_fields(spec: Spec) -> dict[str, Any]:
    """Return a job's own follow-ups; nothing where it has none but its queue's."""
    if spec.on_success is None and spec.on_failure is None:
        return {}
    fields = {"onSuccess": spec.on_success, "onFailure": spec.on_failure}
    return given({name: follow_up_json(wanted) for name, wanted in fields.items()})


def follow_up_json(wanted: FollowUp | Literal["none"] | None) -> dict[str, str] | str | None:
    """Return the JSON of a follow-up, of none at all, or of nothing said."""
    return wanted.to_json() if isinstance(wanted, FollowUp) else wanted


def _item_fields(job: Job) -> dict[str, Any]:
    spec = job.spec
    fields: dict[str, Any] = {
        "id": job.id,
        "queue": job.queue,
        "created": iso(job.created_at),
        "target": given({"url": job.target, "method": spec.method}),
        "type": "HTTP",
        "state": job.state.value,
        "version": job.version,
        "attempt": job.attempt,
        "maxAttempts": job.max_attempts,
        "priority": job.priority,
        "dueAt": iso(job.due_at),
        "payloadType": spec.content_type,
    }
    if job.key is not None:
        fields["key"] = job.key
    if spec.schedule_id is not None:
        fields["scheduleId"] = spec.schedule_id
    if spec.flow_key is not None:
        fields["flowKey"] = spec.flow_key
    if spec.replay_of is not None:
        fields["replayOf"] = spec.replay_of
    if job.occurrence is not None:
        fields["occurrence"] = job.occurrence
    if job.pending:
        fields["pending"] = True
    fields |= terms_fields(spec.terms)
    fields |= follow_up_fields(spec)
    if job.awaiting_since is not None:
        fields["startedAt"] = iso(job.awaiting_since)
    if job.progress is not None:
        fields["progress"] = job.progress
    if job.error is not None:
        fields["error"] = job.error
    if job.attempts:
        fields["lastAttempt"] = _attempt(job.attempts[-1])
    return fields


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return given(
        {
            "attempt": attempt.number,
            "startedAt": iso(attempt.started_at),
            "durationMs": attempt.duration,
            "status": attempt.status,
            "error": attempt.error,
        }
    )


def _result(result: Result) -> dict[str, Any]:
    try:
        body, encoding = result.body.decode(), "text"
    except UnicodeDecodeError:
        body, encoding = base64.b64encode(result.body).decode(), "base64"
    return given(
        {
            "status": result.status,
            "contentType": result.content_type,
            "body": body,
            "bodyEncoding": encoding,
            "truncated": result.truncated,
        }
    )


def _callback(final: Final) -> dict[str, Any]:
    return given(
        {
            "status": final.status,
            "summary": final.summary,
            "state": final.state,
            "error": final.error,
            "correlationId": final.correlation_id,
        }
    )


def optional_iso(ms: int | None) -> str | None:
    """Return an instant as the API writes it; None where there is none."""
    return None if ms is None else iso(ms)


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return those of `fields` that are not None."""
    return {name: value for name, value in fields.items() if value is not None}
