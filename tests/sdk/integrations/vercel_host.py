"""Runs a folder's api/*.py as Vercel documents it: each file a function at its own path.

    python -m tests.sdk.integrations.vercel_host FOLDER PORT

A file has a top-level `app`, an ASGI application, or `handler`, a BaseHTTPRequestHandler. Each gets
a server of its own, as in Vercel's runtime, and one in front of them passes requests on by path.

Source: https://vercel.com/docs/functions/runtimes/python/api-directory
"""

from __future__ import annotations

import http.client
import importlib.util
import inspect
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import uvicorn

__all__ = ["is_asgi", "main"]


def main(folder: str, port: int) -> None:
    """Serve the functions of a folder on loopback."""
    _Front.ports = {f"/api/{file.stem}": _serve(file) for file in Path(folder, "api").glob("*.py")}
    ThreadingHTTPServer(("127.0.0.1", port), _Front).serve_forever()


def is_asgi(app: object) -> bool:
    """Return whether Vercel's runtime takes this `app` for an ASGI application."""
    called = app if inspect.iscoroutinefunction(app) else getattr(app, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(called) and len(inspect.signature(called).parameters) == 3


def _serve(file: Path) -> int:
    """Start a function's own server and return its port."""
    module = _load(file)
    own = getattr(module, "handler", None)
    if own is None:
        assert is_asgi(module.app)
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(module.app, log_level="warning"))
        threading.Thread(target=server.run, args=([listener],), daemon=True).start()
        return int(listener.getsockname()[1])
    # Whatever has this name is taken for one.
    assert issubclass(own, BaseHTTPRequestHandler)
    handler = ThreadingHTTPServer(("127.0.0.1", 0), own)
    threading.Thread(target=handler.serve_forever, daemon=True).start()
    return handler.server_port


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Front(BaseHTTPRequestHandler):
    ports: dict[str, int]

    def _pass_on(self) -> None:
        port = self.ports.get(self.path.partition("?")[0])
        if port is None:
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        answer = connection.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.read())
        connection.close()

    do_HEAD = do_POST = _pass_on  # noqa: N815


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
