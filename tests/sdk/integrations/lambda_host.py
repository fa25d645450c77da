"""Calls a Lambda function as AWS does: HTTP in, an event of the documented format, HTTP out.

    python -m tests.sdk.integrations.lambda_host FILE FORMAT PORT

FORMAT is one of `FORMATS`. Only what is different on the wire is done here; the events' fields
are in `events`.
"""

from __future__ import annotations

import base64
import importlib.util
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.sdk.integrations.events import FORMATS, Make

__all__ = ["main"]


def main(file: str, format: str, port: int) -> None:
    """Serve the function `lambda_handler` of a file on loopback."""
    spec = importlib.util.spec_from_file_location("lambda_function", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _Host.function = staticmethod(module.lambda_handler)
    _Host.make = staticmethod(FORMATS[format])
    ThreadingHTTPServer(("127.0.0.1", port), _Host).serve_forever()


class _Host(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    function: Any
    make: Make

    def _invoke(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        event = self.make(self.command, self.path, self.headers.items(), body)
        answer = self.function(event, None)
        text = answer.get("body") or ""
        sent = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
        self.send_response(answer["statusCode"])
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        for name, values in answer.get("multiValueHeaders", {}).items():
            for value in values:
                self.send_header(name, value)
        if answer["statusCode"] != 204:
            self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_HEAD = do_POST = _invoke  # noqa: N815


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
