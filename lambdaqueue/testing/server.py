"""A small LambdaQueue in memory, behind the seam where a real client has its network."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from threading import RLock
from uuid import uuid4

from lambdaqueue.commands import SecretInfo
from lambdaqueue.errors import RequestError
from lambdaqueue.rendering import render
from lambdaqueue.sdk.transport import Request, Response
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.execution_calls import ExecutionCalls
from lambdaqueue.testing.history_calls import HistoryCalls
from lambdaqueue.testing.item_calls import ItemCalls
from lambdaqueue.testing.message_calls import MessageCalls
from lambdaqueue.testing.problems import Refused, answer, problem
from lambdaqueue.testing.queue_calls import QueueCalls
from lambdaqueue.testing.routing import Route, Router
from lambdaqueue.testing.schedule_calls import ScheduleCalls
from lambdaqueue.testing.service_calls import ServiceCalls
from lambdaqueue.testing.timer_calls import TimerCalls
from lambdaqueue.testing.world import World

__all__ = ["MemoryServer"]


class MemoryServer:
    """Answers a client's requests as a real server would; a `Transport`. Thread-safe.

    `lock` is held while it changes anything.
    """

    def __init__(self, world: World, token: str) -> None:
        self.lock = RLock()
        self._world = world
        self._token = token
        self._router = Router(self._routes())

    def send(self, request: Request) -> Response:
        """Answer a request.

        Raises:
            NotInMemory: only a real LambdaQueue takes it.
        """
        call = Call.of(request)
        with self.lock:
            try:
                self._check_token(call)
                answered = self._router.answer(call)
            except RequestError as error:
                answered = problem(error)
        headers = {**answered.headers, "x-request-id": uuid4().hex}
        return Response(answered.status, headers, answered.body)

    def close(self) -> None:
        """Nothing is open."""

    def _routes(self) -> Iterator[Route]:
        for part in (
            ItemCalls,
            QueueCalls,
            HistoryCalls,
            ScheduleCalls,
            ExecutionCalls,
            ServiceCalls,
            TimerCalls,
            MessageCalls,
        ):
            yield from part(self._world).routes()
        yield Route("GET", "/secret", self._show_secret)

    def _check_token(self, call: Call) -> None:
        if call.path.startswith("/api/v1/callback/"):
            return
        given = call.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            raise Refused(401)

    def _show_secret(self, call: Call) -> Response:
        secret = SecretInfo(self._world.secret, self._world.since)
        return answer(render.secret(secret), cache_control="no-store")
