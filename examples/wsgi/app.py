"""A plain WSGI application that welcomes whoever signs up, by a queue."""

# pip install lambdaqueue gunicorn
# export LQ_TOKEN=… LQ_SECRET=… LQ_BASE_URL=http://127.0.0.1:8000   # `lambdaqueue up` prints both
# gunicorn --bind 127.0.0.1:8000 app:application

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lambdaqueue import Job, LambdaQueue
from lambdaqueue.integrations.wsgi import mount

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

lq = LambdaQueue()
welcome = lq.queue("/welcome")


@welcome.handler
def send_welcome(payload: Any, job: Job) -> Any:
    """Called by LambdaQueue: what it returns is kept in the queue's history."""
    return {"message": f"Hello, {payload['name']}", "attempt": job.attempt}


def signup(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Push a job: curl -d '{"name": "Al"}' http://127.0.0.1:8000/signup"""
    if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) != ("POST", "/signup"):
        start_response("404 Not Found", [])
        return []
    asked = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    item = welcome.push({"name": asked["name"]})
    start_response("202 Accepted", [("Content-Type", "application/json")])
    return [json.dumps({"id": item.id}).encode()]


application = mount(signup, lq)
