"""A FastAPI application that welcomes whoever signs up, by a queue."""

# pip install lambdaqueue fastapi uvicorn
# export LQ_TOKEN=… LQ_SECRET=… LQ_BASE_URL=http://127.0.0.1:8000   # `lambdaqueue up` prints both
# uvicorn --port 8000 app:app

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from lambdaqueue import Job, LambdaQueue
from lambdaqueue.integrations.starlette import mount

app = FastAPI()
lq = LambdaQueue()
welcome = lq.queue("/welcome")


class Signup(BaseModel):
    """Who signs up."""

    name: str


@welcome.handler
async def send_welcome(payload: Any, job: Job) -> Any:
    """Called by LambdaQueue: what it returns is kept in the queue's history."""
    await asyncio.sleep(0)  # A call of something else.
    return {"message": f"Hello, {payload['name']}", "attempt": job.attempt}


@app.post("/signup", status_code=202)
def signup(asked: Signup) -> dict[str, str]:
    """Push a job: curl -d '{"name": "Al"}' -H 'Content-Type: application/json' …/signup"""
    item = welcome.push({"name": asked.name})
    return {"id": item.id}


mount(app, lq)
