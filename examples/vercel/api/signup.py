"""A Vercel function that pushes a job; Vercel serves it at /api/signup."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

from lambdaqueue import LambdaQueue

welcome = LambdaQueue().queue("/api/welcome")


class handler(BaseHTTPRequestHandler):  # noqa: N801, the name is Vercel's
    """Who signs up is welcomed."""

    def do_POST(self) -> None:
        """Push a job: curl -d '{"name": "Al"}' https://….vercel.app/api/signup"""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        item = welcome.push({"name": asked["name"]})
        self.send_response(202)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"id": item.id}).encode())
