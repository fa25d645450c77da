"""A Lambda function that welcomes whoever signs up, by a queue."""

# pip install --target build lambdaqueue; cp lambda_function.py build; cd build; zip -qr ../f.zip .
# Create a function of f.zip, with a function URL of auth type NONE. Set its variables LQ_TOKEN,
# LQ_SECRET, LQ_API_URL, and LQ_BASE_URL to the function URL without the slash at its end.

from __future__ import annotations

import base64
import json
from typing import Any

from lambdaqueue import Job, LambdaQueue
from lambdaqueue.integrations.aws_lambda import mount

lq = LambdaQueue()
welcome = lq.queue("/welcome")


@welcome.handler
def send_welcome(payload: Any, job: Job) -> Any:
    """Called by LambdaQueue: what it returns is kept in the queue's history."""
    return {"message": f"Hello, {payload['name']}", "attempt": job.attempt}


def signup(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Push a job: curl -d '{"name": "Al"}' -H 'Content-Type: application/json' …/signup"""
    if not event.get("rawPath", event.get("path", "")).endswith("/signup"):
        return {"statusCode": 404, "headers": {}, "body": ""}
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"]
    item = welcome.push({"name": json.loads(body)["name"]})
    headers = {"Content-Type": "application/json"}
    return {"statusCode": 202, "headers": headers, "body": json.dumps({"id": item.id})}


lambda_handler = mount(signup, lq)
