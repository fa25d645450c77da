"""The sample service: whom it calls back, what it says, and what makes it stop."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from lambdaqueue.cli import main, sample_service
from lambdaqueue.cli.endpoint import Endpoint
from lambdaqueue.cli.invocation import Invocation
from lambdaqueue.cli.sample_service import Plan, SampleService
from tests.unit.api_stub import ApiStub
from tests.unit.test_cli_listen import SECRET, deliver, running, signed

TOKEN = "0mf3_" + "x" * 43

QUICK = Plan(work=0.5, fail_rate=0, patience=20, longest_pause=0.01)
"""Half a second of work: the first heartbeat is after 0.2 s, where the interval is short."""


@dataclass
class Stage:
    """A sample service and the stand-in for the server that it knows."""

    api: ApiStub
    to: HTTPConnection
    said: list[str] = field(default_factory=list)

    def webhook(self, token: str = TOKEN, attempt: int = 1, **more: Any) -> tuple[int, str]:
        """Deliver what starts an execution of a service job."""
        body = {
            "callback_url": f"{self.api.url}/api/v1/callback/{token}",
            "execution_name": "0mf3",
            "heartbeat_interval_seconds": 0.3,
            "service_name": "shop",
            "job_name": "report",
            **more,
        }
        headers = {"webhook-id": "0mf3_1", "x-lq-attempt": str(attempt)}
        return deliver(self.to, headers, json.dumps(body).encode())

    def steps(self) -> list[dict[str, Any]]:
        """Return what was called back so far."""
        return [json.loads(asked.body) for asked in list(self.api.asked)]

    def hears(self, words: str) -> str:
        """Wait for a line with `words`."""
        return str(until(lambda: next((line for line in self.said if words in line), "")))


def until(found: Callable[[], Any]) -> Any:
    """Wait until `found` returns something, and return it."""
    end = time.monotonic() + 20
    while not (value := found()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
    return value


Set = Callable[..., Stage]


@pytest.fixture
def stage() -> Iterator[Set]:
    """Set up a sample service with a plan, and a server that gives the answers named."""
    with ExitStack() as stack:

        def start(plan: Plan = QUICK, *answers: tuple[int, Any]) -> Stage:
            api = stack.enter_context(ApiStub(list(answers) or [(204, b"")]))
            said: list[str] = []
            service = SampleService(plan, api.url, said.append)
            to = stack.enter_context(running(Endpoint([]), service=service))
            return Stage(api, to, said)

        yield start


def test_a_service_job_has_heartbeats_and_a_counter_as_its_state(stage: Set) -> None:
    on = stage()
    last = {"name": "0mf2", "state": {"runs": 7}}
    status, words = on.webhook(last_successful_execution=last)
    assert (status, words) == (202, "unverified (no secret known), begins")
    on.hears("success  -> 204")
    *beats, final = on.steps()
    progress = [beat["progress"] for beat in beats]
    assert beats == [{"status": "processing", "progress": each} for each in progress]
    assert 0 < progress[0] < 100
    assert progress == sorted(set(progress))
    assert final == {
        "status": "success",
        "summary": f"worked for 0.5 s, with {len(beats)} heartbeats",
        "state": {"runs": 8},
        "correlation_id": "listen-0mf3_1",
    }
    assert {asked.path for asked in on.api.asked} == {f"/api/v1/callback/{TOKEN}"}
    assert {asked.headers["content-type"] for asked in on.api.asked} == {"application/json"}
    assert re.fullmatch(r"shop/report 0mf3  progress \d\d%  -> 204", on.said[0])
    assert len(on.said) == len(on.steps())


def test_it_fails_by_chance(stage: Set) -> None:
    on = stage(Plan(work=0, fail_rate=1))
    on.webhook()
    on.hears("fail  -> 204")
    (final,) = on.steps()
    assert (final["status"], final["error"]) == ("fail", "by chance, as --fail-rate 1 says")


def test_an_item_of_a_queue_says_in_its_headers_where_to_call_back(stage: Set) -> None:
    on = stage(Plan(work=0.25, fail_rate=0))
    url = f"{on.api.url}/api/v1/callback/{TOKEN}"
    headers = {"x-lq-callback-url": url, "x-lq-heartbeat": "300", "x-lq-id": "0mf9"}
    # The payload is its owner's, whatever it says.
    body = b'{"callback_url": "https://example.com/", "service_name": "theirs"}'
    assert deliver(on.to, headers, body)[0] == 202
    on.hears("0mf9  success")
    beat, final = on.steps()
    assert beat["status"] == "processing"
    assert "state" not in final


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((410, {"detail": "The job execution status is timeout"}), "410  The job execution status"),
        ((404, {"detail": "no such callback"}), "404  no such callback"),
        ((410, b"\x00"), "410"),
        ((422, {"detail": "\x1b[2J"}), "422  \\x1b[2J"),
        ((302, b""), "302"),
    ],
)
@pytest.mark.parametrize("work", [0.5, 0])
def test_what_makes_it_stop(stage: Set, answer: tuple[int, Any], words: str, work: float) -> None:
    on = stage(Plan(work=work, fail_rate=0), answer)
    on.webhook()
    on.hears("stops: ")
    assert f"-> {words}" in on.said[0]
    assert len(on.api.asked) == 1


def test_an_end_is_told_apart(stage: Set) -> None:
    assert stage(Plan(work=0), (410, {})).webhook()[0] == 202
    on = stage(Plan(work=0), (410, {}))
    on.webhook()
    assert on.hears("stops: ").endswith("stops: the execution is over")


def test_too_many_heartbeats_wait_as_long_as_they_are_told(stage: Set) -> None:
    # Retry-After is 7 s: no second heartbeat within half a second, but the end doesn't wait.
    on = stage(QUICK, (429, {}), (204, b""))
    on.webhook()
    on.hears("success  -> 204")
    assert [step["status"] for step in on.steps()] == ["processing", "success"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_end_is_told_until_it_is_heard(stage: Set, status: int) -> None:
    on = stage(Plan(work=0, longest_pause=0.01), *[(status, {})] * 3, (200, {}))
    on.webhook()
    on.hears("-> 200")
    first, *others = on.steps()
    assert others == [first] * 3


def test_a_heartbeat_that_nobody_takes_ends_nothing(stage: Set) -> None:
    on = stage(QUICK, (503, {}), (204, b""))
    on.webhook()
    on.hears("success  -> 204")
    *beats, final = on.steps()
    assert "progress" in beats[0]
    assert final["summary"].endswith(f"with {len(beats) - 1} heartbeats")


@pytest.mark.parametrize(
    ("tries", "wait", "pause"),
    [
        (0, None, 0.5),
        (3, None, 4),
        (5, None, 10),  # 16, but for the longest pause
        (10_000, None, 10),
        (0, 7.0, 7),
        (3, 0.0, 0.5),
        (0, 9_999.0, 10),
    ],
)
def test_the_pauses_grow(tries: int, wait: float | None, pause: float) -> None:
    assert sample_service.pause_after(tries, wait, 10) == pause


def test_it_gives_up_when_nobody_answers() -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as unheard:
        api = f"http://127.0.0.1:{unheard.getsockname()[1]}"
    service = SampleService(Plan(work=0, patience=0.05, longest_pause=0.02), api, said.append)
    service.begin(Invocation("1", "0mf3", 1, TOKEN))
    until(lambda: "gives up" in (said or [""])[-1])
    assert said[0].startswith("0mf3  ")
    assert "-> no answer  (ConnectionError)" in said[0]
    assert len(said) > 2


def test_in_silence_it_calls_nobody(stage: Set) -> None:
    on = stage(Plan(work=0, silent=True))
    assert on.webhook() == (202, "unverified (no secret known), begins, and will say nothing")
    assert on.webhook(attempt=2, token="0mf3_b")[0] == 202
    assert on.webhook()[1].endswith("known already")
    assert (on.said, on.api.asked) == ([], [])


def test_one_that_comes_twice_at_the_same_time_is_begun_once(stage: Set) -> None:
    api = stage().api
    said: list[str] = []
    service = SampleService(Plan(work=0), api.url, said.append)
    asked = Invocation("1", "0mf3", 1, TOKEN)
    service.begin(asked)
    work = service._works["1"]
    service.begin(asked)
    assert service._works["1"] is work
    work.thread.join(10)
    assert len(api.asked) == 1


def test_a_newer_attempt_takes_the_place_of_the_older(stage: Set) -> None:
    on = stage()
    assert on.webhook("0mf3_a")[1].endswith("begins")
    assert on.webhook("0mf3_a")[1].endswith("known already")
    assert on.webhook("0mf3_b", attempt=2)[1].endswith("begins")
    assert on.webhook("0mf3_a")[1].endswith("known already")
    on.hears("attempt 2  success")
    assert on.webhook("0mf3_b", attempt=2)[1].endswith("known already")
    tokens = [asked.path[-1] for asked in on.api.asked]
    # The older one may have had a heartbeat before, and has none after.
    assert tokens == sorted(tokens)
    assert [line for line in on.said if "success" in line] == [on.said[-1]]


@pytest.mark.parametrize("refused", ["unsigned", "told to fail"])
def test_what_is_refused_does_not_begin(refused: str) -> None:
    said: list[str] = []
    with ApiStub([(204, b"")]) as api:
        body = json.dumps({"callback_url": f"{api.url}/api/v1/callback/{TOKEN}"}).encode()
        service = SampleService(Plan(work=0), api.url, said.append)
        endpoint = Endpoint([SECRET]) if refused == "unsigned" else Endpoint([], fail_first=1)
        with running(endpoint, service=service) as to:
            status, _ = deliver(to, {"webhook-id": "1"}, body)
        assert status == (401 if refused == "unsigned" else 500)
        assert (said, api.asked) == ([], [])


def test_other_deliveries_are_answered_as_ever() -> None:
    service = SampleService(QUICK, "https://lq.example.com", print)
    with running(Endpoint([SECRET], status=201), service=service) as to:
        assert deliver(to, signed()) == (201, "verified")


def test_a_stranger_is_not_called(stage: Set) -> None:
    on = stage()
    with ApiStub([(200, {})]) as stranger:
        url = f"{stranger.url}/api/v1/callback/{TOKEN}"
        status, words = on.webhook(callback_url=url)
        assert status == 422
        assert f"REFUSED (calls back to {on.api.url} only, not to {url}" in words
        assert (on.said, on.api.asked, stranger.asked) == ([], [], [])


def test_a_refused_url_cannot_command_the_terminal(stage: Set) -> None:
    _, words = stage().webhook(callback_url="https://example.com/\x1b[2J\n")
    assert "\\x1b[2J\\n" in words


def test_nothing_of_the_environment_goes_along(
    stage: Set, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with ApiStub([(200, {})]) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        on = stage(Plan(work=0))
        on.webhook()
        until(lambda: on.said)
        assert proxy.asked == []
    assert "authorization" not in on.api.asked[0].headers


def test_no_more_threads_than_it_can_bear(stage: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_service, "AT_ONCE", 1)
    on = stage(Plan(work=60))
    assert on.webhook()[0] == 202
    url = f"{on.api.url}/api/v1/callback/0mf4_a"
    headers = {"webhook-id": "0mf4_1", "x-lq-callback-url": url}
    until(lambda: deliver(on.to, headers)[0] == 503)


def test_when_the_listener_closes_nothing_more_is_said() -> None:
    said: list[str] = []
    with ApiStub([(204, b"")]) as api:
        service = SampleService(Plan(work=60), api.url, said.append)
        with running(Endpoint([]), service=service):
            service.begin(Invocation("1", "0mf3", 1, TOKEN))
            work = service._works["1"]
        work.thread.join(10)
        assert not work.thread.is_alive()
        assert (said, api.asked) == ([], [])


def test_no_redirect_is_followed() -> None:
    said: list[str] = []
    with ApiStub([(200, {})]) as stranger:

        class Redirect(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(307)
                self.send_header("Location", stranger.url)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Print nothing."""

        with HTTPServer(("127.0.0.1", 0), Redirect) as api:
            service = SampleService(
                Plan(work=0), f"http://127.0.0.1:{api.server_port}", said.append
            )
            service.begin(Invocation("1", "0mf3", 1, TOKEN))
            api.timeout = 20
            api.handle_request()
            until(lambda: len(said) == 2)
        assert said[0].endswith("-> 307")
        assert stranger.asked == []


@pytest.mark.parametrize(
    ("words", "url", "said"),
    [
        (["--silent"], "", "go with --service"),
        (["--work", "1s"], "", "go with --service"),
        (["--fail-rate", "0"], "", "go with --service"),
        (["--service"], "lq.example.com", "LQ_API_URL"),
        (["--service"], "https://example.com/api/v1", "LQ_API_URL"),
        (["--service"], "https://me@lq.example.com", "LQ_API_URL"),
        (["--service", "--fail-rate", "1.1"], "", "from 0 to 1"),
        (["--service", "--fail-rate", "nan"], "", "from 0 to 1"),
        (["--service", "--work", "soon"], "", "is no duration"),
    ],
)
def test_arguments_that_cannot_be_meant(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    words: list[str],
    url: str,
    said: str,
) -> None:
    monkeypatch.setenv("LQ_API_URL", url)
    try:
        code: Any = main(["listen", "--port", "0", "--secret", SECRET.reveal(), *words])
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    with ApiStub([(204, b"")]) as api:
        words = [sys.executable, "-um", "lambdaqueue", "listen", "--port", "0", "--service"]
        env = {**os.environ, "LQ_API_URL": api.url, "PYTHONPATH": str(Path.cwd())}
        env.pop("LQ_SECRET", None)
        with subprocess.Popen(
            [*words, "--work", "60s"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)/ .*; calls back to (\S+)\)", first)
            assert found is not None
            assert found[2] == api.url
            on = Stage(api, HTTPConnection("127.0.0.1", int(found[1]), timeout=20))
            assert on.webhook()[0] == 202
            assert "begins" in process.stdout.readline()
            assert "shop/report 0mf3  progress 0%  -> 204" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(5) == 0
            on.to.close()
