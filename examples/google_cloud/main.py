"""A Cloud Run function that welcomes whoever signs up, by a queue."""

# pip install lambdaqueue functions-framework
# export LQ_TOKEN=… LQ_SECRET=… LQ_BASE_URL=http://127.0.0.1:8000   # `lambdaqueue up` prints both
# functions-framework --target shop --port 8000

from __future__ import annotations

from typing import Any

from flask import Request, Response, jsonify

from lambdaqueue import Job, LambdaQueue
from lambdaqueue.integrations.google_cloud import mount

lq = LambdaQueue()
welcome = lq.queue("/welcome")


@welcome.handler
def send_welcome(payload: Any, job: Job) -> Any:
    """Called by LambdaQueue: what it returns is kept in the queue's history."""
    return {"message": f"Hello, {payload['name']}", "attempt": job.attempt}


def signup(request: Request) -> tuple[Response | str, int]:
    """Push a job: curl -d '{"name": "Al"}' -H 'Content-Type: application/json' …/signup"""
    if (request.method, request.path) != ("POST", "/signup"):
        return "", 404
    item = welcome.push({"name": request.get_json()["name"]})
    return jsonify(id=item.id), 202


shop = mount(signup, lq)
