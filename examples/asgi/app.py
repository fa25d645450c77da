"""A plain ASGI application that welcomes whoever signs up, by a queue."""

# pip install lambdaqueue uvicorn
# export LQ_TOKEN=… LQ_SECRET=… LQ_BASE_URL=http://127.0.0.1:8000   # `lambdaqueue up` prints both
# uvicorn --port 8000 --lifespan off app:app

from __future__ import annotations

import asyncio
import json
from typing import Any

from lambdaqueue import Job, LambdaQueue
from lambdaqueue.integrations.asgi import mount

lq = LambdaQueue()
welcome = lq.queue("/welcome")


@welcome.handler
async def send_welcome(payload: Any, job: Job) -> Any:
    """Called by LambdaQueue: what it returns is kept in the queue's history."""
    await asyncio.sleep(0)  # A call of something else.
    return {"message": f"Hello, {payload['name']}", "attempt": job.attempt}


async def signup(scope: Any, receive: Any, send: Any) -> None:
    """Push a job: curl -d '{"name": "Al"}' http://127.0.0.1:8000/signup"""
    if (scope["method"], scope["path"]) != ("POST", "/signup"):
        await _answer(send, 404, {})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    # The client waits for the answer, which the event loop must not.
    item = await asyncio.to_thread(welcome.push, {"name": json.loads(body)["name"]})
    await _answer(send, 202, {"id": item.id})


async def _answer(send: Any, status: int, said: dict[str, str]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


app = mount(signup, lq)
