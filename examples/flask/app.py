"""A Flask application that welcomes whoever signs up, by a queue."""

# pip install lambdaqueue flask
# export LQ_TOKEN=… LQ_SECRET=… LQ_BASE_URL=http://127.0.0.1:8000   # `lambdaqueue up` prints both
# flask --app app run --port 8000

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, request

from lambdaqueue import Job, LambdaQueue
from lambdaqueue.integrations.flask import mount

app = Flask(__name__)
lq = LambdaQueue()
welcome = lq.queue("/welcome")


@welcome.handler
def send_welcome(payload: Any, job: Job) -> Any:
    """Called by LambdaQueue: what it returns is kept in the queue's history."""
    return {"message": f"Hello, {payload['name']}", "attempt": job.attempt}


@app.post("/signup")
def signup() -> tuple[Response, int]:
    """Push a job: curl -d '{"name": "Al"}' -H 'Content-Type: application/json' …/signup"""
    item = welcome.push({"name": request.get_json()["name"]})
    return jsonify(id=item.id), 202


mount(app, lq)
