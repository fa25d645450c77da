"""A Vercel function that does a queue's jobs; Vercel serves it at /api/welcome."""

# npm install --global vercel
# for name in LQ_TOKEN LQ_SECRET LQ_API_URL; do vercel env add $name production; done
# vercel deploy --prod            # in this folder; its URL is known from Vercel's own variables

from __future__ import annotations

from typing import Any

from lambdaqueue import Job, LambdaQueue
from lambdaqueue.integrations import vercel

lq = LambdaQueue()
welcome = lq.queue("/api/welcome")


@welcome.handler
def send_welcome(payload: Any, job: Job) -> Any:
    """Called by LambdaQueue: what it returns is kept in the queue's history."""
    return {"message": f"Hello, {payload['name']}", "attempt": job.attempt}


app = vercel.handler(lq)
