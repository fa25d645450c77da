"""What a stand-in for a server needs, whatever it answers: a socket, a thread, answers in turn."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar

__all__ = ["Listening"]

A = TypeVar("A")


@dataclass
class Listening(Generic[A]):
    """Answers each request with the next of `answers`, then the last again and again.

    A subclass names the handler, which finds it as `stub`.
    """

    answers: list[A]

    handler: ClassVar[type[BaseHTTPRequestHandler]]
    server: ClassVar[type[ThreadingHTTPServer]] = ThreadingHTTPServer

    def __enter__(self) -> Self:
        handler = type("Handler", (self.handler,), {"stub": self})
        self._server = self.server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def next_answer(self) -> A:
        """Return what is to be answered now."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
