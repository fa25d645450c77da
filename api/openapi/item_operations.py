"""Operations on items, and direct messages."""

from __future__ import annotations

from typing import Any

from api.openapi.operations import Body, Operation, answered, json_body
from api.openapi.parameters import IDEMPOTENCY_KEY, PUSH_HEADERS, TRACEPARENT, query_of
from api.openapi.vocabulary import ANYTHING
from api.schemas import ItemQuery, ItemsQuery
from lambdaqueue.identity import Scope

__all__ = ["ANY_PAYLOAD", "ITEM", "ITEM_OPERATIONS", "REPLAYED"]

TAG = "Items"
REPLAYED = "Idempotency-Replayed"

ITEM: dict[str, Any] = {
    "id": "0mwq83nuu00001",
    "queue": "welcome",
    "created": "2026-11-21T09:46:13.254Z",
    "target": {"url": "http://127.0.0.1:9000/welcome", "method": "POST"},
    "type": "HTTP",
    "state": "PENDING",
    "version": 1,
    "attempt": 0,
    "maxAttempts": 6,
    "priority": 0,
    "dueAt": "2026-11-21T09:56:13.254Z",
    "payloadType": "application/json",
    "key": "user-42",
    "payloadEncoding": "json",
    "payload": {"name": "Alfonso"},
}
CHANGED = {
    **ITEM,
    "version": 2,
    "dueAt": "2026-11-21T10:46:13.254Z",
    "payload": {"name": "Grace"},
}
CANCELLED: dict[str, Any] = {
    **ITEM,
    "state": "CANCELLED",
    "error": "cancelled: by request",
    "entry": "f1795254417017-0",
    "endedAt": "2026-11-21T09:47:02.017Z",
    "attempts": [],
}
CHANGE = {"delay": 3_600_000, "payload": {"name": "Grace"}}

ANY_PAYLOAD = {
    "application/json": ANYTHING,
    "text/plain": {"type": "string"},
    "application/octet-stream": {"type": "string", "contentMediaType": "application/octet-stream"},
    "*/*": ANYTHING,
}
PAYLOAD = Body(
    ANY_PAYLOAD,
    {"name": "Alfonso"},
    about="The payload: any type, any bytes, never parsed, delivered exactly as they came. "
    "`Content-Type` is needed (else 415), and `Content-Encoding` is not taken.",
)

_BY_KEY = "/queues/{queue}/items/byKey/{key}"
_KEY_TOLD = "The unique key is everything after `byKey/`, percent-encoded."

_PUSHES = (
    Operation(
        "push",
        "POST /queues/{queue}/items",
        TAG,
        "Push an item",
        Scope.PUSH,
        {
            201: answered("Item", "A new item, which is stored.", ITEM, REPLAYED),
            200: answered("Item", "An item with this key was replaced or kept.", CHANGED, REPLAYED),
        },
        about="The body of the request is the payload; options are headers, of which unknown "
        "ones that begin with `x-lq-` are refused. The queue is made on demand. Header values "
        "are UTF-8; where one is JSON, `none` needs no quotes.",
        parameters=(*PUSH_HEADERS, IDEMPOTENCY_KEY, TRACEPARENT),
        body=PAYLOAD,
        problems=(413, 415, 422),
        given={
            "x-lq-target": "http://127.0.0.1:9000/welcome",
            "x-lq-key": "user-42",
            "x-lq-delay": "600000",
        },
    ),
    Operation(
        "pushBatch",
        "POST /queues/{queue}/items/batch",
        TAG,
        "Push up to 1 000 items",
        Scope.PUSH,
        {
            201: answered(
                "Items",
                "In the same order; also items that were replaced or kept.",
                {"items": [ITEM]},
                REPLAYED,
            )
        },
        about="All are pushed or none. A bad item: 422 with a path like `items`, 1, `target`.",
        parameters=(IDEMPOTENCY_KEY, TRACEPARENT),
        body=json_body(
            "Batch",
            {
                "items": [
                    {
                        "payload": {"n": 1},
                        "target": "http://127.0.0.1:9000/a",
                        "key": "a-1",
                        "delay": 60_000,
                    },
                    {
                        "payload": "plain text",
                        "contentType": "text/plain",
                        "target": "http://127.0.0.1:9000/a",
                    },
                    {
                        "payload": "AAEC/w==",
                        "payloadEncoding": "base64",
                        "target": "http://127.0.0.1:9000/a",
                    },
                ]
            },
        ),
        problems=(413, 415, 422),
    ),
    Operation(
        "listItems",
        "GET /queues/{queue}/items",
        TAG,
        "List a queue's items",
        Scope.READ,
        {200: answered("ItemPage", "Those ready or running first.", {"items": [ITEM]})},
        parameters=query_of(ItemsQuery()),
        problems=(422,),
    ),
)

_BY_ID = (
    Operation(
        "getItem",
        "GET /items/{id}",
        TAG,
        "Read an item",
        Scope.READ,
        {200: answered("Item", "The item; after its end as history has it.", ITEM)},
        about="With `wait` it answers as soon as the item has ended, or else after that time "
        "with the item as it is.",
        parameters=query_of(ItemQuery()),
        problems=(404, 422),
    ),
    Operation(
        "changeItem",
        "PATCH /items/{id}",
        TAG,
        "Change an item",
        Scope.PUSH,
        {200: answered("Item", "The new version; attempts start from 0.", CHANGED)},
        about="What isn't named stays. One that runs goes on; the new version waits beside it.",
        body=json_body("ItemChange", CHANGE),
        problems=(404, 413, 415, 422),
    ),
    Operation(
        "cancelItem",
        "DELETE /items/{id}",
        TAG,
        "Cancel an item",
        Scope.PUSH,
        {200: answered("Item", "A running one goes on, and is not tried again.", CANCELLED)},
        problems=(404,),
    ),
    Operation(
        "runItem",
        "POST /items/{id}/run",
        TAG,
        "Run an item now",
        Scope.PUSH,
        {200: answered("Item", "It is due now.", ITEM, REPLAYED)},
        about="409 where it runs or has ended.",
        parameters=(IDEMPOTENCY_KEY,),
        problems=(404, 409, 422),
    ),
)

_BY_KEYS = (
    Operation(
        "getItemByKey",
        f"GET {_BY_KEY}",
        TAG,
        "Read an item by its key",
        Scope.READ,
        {200: answered("Item", "The item; after its end the newest one of this key.", ITEM)},
        about=_KEY_TOLD,
        problems=(404, 422),
    ),
    Operation(
        "changeItemByKey",
        f"PATCH {_BY_KEY}",
        TAG,
        "Change an item by its key",
        Scope.PUSH,
        {200: answered("Item", "The new version; attempts start from 0.", CHANGED)},
        about=_KEY_TOLD,
        body=json_body("ItemChange", CHANGE),
        problems=(404, 413, 415, 422),
    ),
    Operation(
        "cancelItemByKey",
        f"DELETE {_BY_KEY}",
        TAG,
        "Cancel an item by its key",
        Scope.PUSH,
        {200: answered("Item", "A running one goes on, and is not tried again.", CANCELLED)},
        about=_KEY_TOLD,
        problems=(404, 422),
    ),
)

_MESSAGES = (
    Operation(
        "sendMessage",
        "POST /messages",
        "Messages",
        "Post a JSON body to a URL",
        Scope.PUSH,
        {
            202: answered(
                "MessageId",
                "It is stored, as an item of the queue `messages`.",
                {"id": "0mwq83nuu00001"},
                REPLAYED,
            )
        },
        about="Ten attempts in all, for most of an hour.",
        parameters=(IDEMPOTENCY_KEY, TRACEPARENT),
        body=json_body(
            "Message",
            {
                "url": "http://127.0.0.1:9000/orders",
                "payload": {"order": 7},
                "eventType": "order.paid",
            },
        ),
        problems=(413, 415, 422),
    ),
)

ITEM_OPERATIONS: tuple[Operation, ...] = (*_PUSHES, *_BY_ID, *_BY_KEYS, *_MESSAGES)
