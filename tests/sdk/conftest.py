"""Stand-ins for the server over real sockets, and the real API on a real Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from werkzeug.serving import make_server

from api import create_app
from lambdaqueue.config import Settings
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.sdk.client import LambdaQueue
from lambdaqueue.vault import Vault
from tests.api.conftest import parts_of
from tests.redis_server import generations, serving
from tests.sdk.stub import Stub, Told

Serve = Callable[..., Stub]

TOKEN = "lqk_abcdefgh_" + "A1b-_" * 8 + "xyz"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a stand-in for the server that gives the answers named."""
    running: list[Stub] = []

    def start(*answers: Told) -> Stub:
        running.append(Stub(list(answers)).__enter__())
        return running[-1]

    yield start
    for stub in running:
        stub.__exit__(None, None, None)


@pytest.fixture
def client_of() -> Iterator[Callable[[Stub], LambdaQueue]]:
    """Make a client of a stand-in, with a token and nothing from this process' environment."""
    made: list[LambdaQueue] = []

    def make(stub: Stub) -> LambdaQueue:
        env = {"LQ_API_URL": stub.url, "LQ_TOKEN": TOKEN, "LQ_SECRET": SECRET}
        made.append(LambdaQueue(env={**env, "LQ_BASE_URL": "https://app.example.com"}))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """The newest generation alone: both are what the store is held against, in its own tests."""
    with serving(max(generations()), tmp_path_factory) as server:
        yield server


@pytest.fixture
def server_url(redis_url: str) -> Iterator[str]:
    """The real API, on a socket; nobody delivers what is pushed."""
    app = create_app(
        Settings(
            redis_url=redis_url,
            bootstrap_token=TOKEN,
            bootstrap_secret=SECRET,
            master_keys=(Vault.new_key(),),
            development=True,
        )
    )
    web = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=web.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{web.port}"
    web.shutdown()
    thread.join()
    web.server_close()
    parts_of(app).close()


@pytest.fixture
def lq(server_url: str) -> Iterator[LambdaQueue]:
    """A client of the real API; this application is said to be at port 9."""
    env = {"LQ_TOKEN": TOKEN, "LQ_SECRET": SECRET, "LQ_API_URL": server_url}
    with LambdaQueue(env={**env, "LQ_BASE_URL": "http://127.0.0.1:9"}) as client:
        yield client
