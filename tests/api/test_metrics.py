"""GET /metrics: who may, and what Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from werkzeug.test import TestResponse

from api import create_app
from api.metrics import EXPOSITION, Exposition
from lambdaqueue.config import Settings
from lambdaqueue.keys import COLLECTIONS
from lambdaqueue.metrics import MetricsStore
from tests.api.conftest import Api, Tenant, parts_of

SECRET = "scrape-" + "0123456789abcdef"
FAR = "192.0.2.7"


@pytest.fixture
def guarded(settings: Settings) -> Iterator[Api]:
    made = create_app(replace(settings, metrics_token=SECRET, trusted_hosts=("lq.example",)))
    yield Api(made)
    parts_of(made).close()


def ask(api: Api, peer: str = "127.0.0.1", host: str = "127.0.0.1", **headers: str) -> TestResponse:
    return api.raw(
        "GET",
        "/metrics",
        headers={"Host": host, **{name.replace("_", "-"): v for name, v in headers.items()}},
        environ_base={"REMOTE_ADDR": peer},
    )


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Return every value by its name and its labels' values in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for sample in samples_of(text)
    }


def samples_of(text: str) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


class TestAccess:
    @pytest.mark.parametrize(
        ("peer", "host", "headers", "status"),
        [
            ("127.0.0.1", "127.0.0.1:8080", {}, 200),
            ("127.9.9.9", "localhost", {}, 200),
            ("::1", "[::1]:8080", {}, 200),
            ("127.0.0.1", "evil.example", {}, 400),  # a page's own name for this machine
            ("127.0.0.1", "lq.example", {}, 400),
            ("127.0.0.1", "127.0.0.1", {"X_Forwarded_For": FAR}, 401),  # a proxy beside us
            ("127.0.0.1", "127.0.0.1", {"Forwarded": "for=127.0.0.1"}, 401),
            (FAR, "127.0.0.1", {}, 401),
            ("", "127.0.0.1", {}, 401),
            ("junk", "127.0.0.1", {}, 401),
            (FAR, "10.0.0.9:8080", {"Authorization": f"Bearer {SECRET}"}, 200),
            (FAR, "lq.example", {"Authorization": f"Bearer {SECRET}"}, 200),
            (FAR, "lq.example", {"Authorization": f"Bearer {SECRET}x"}, 401),
            (FAR, "lq.example", {"Authorization": f"Bearer {SECRET[:-1]}"}, 401),
            (FAR, "lq.example", {"Authorization": SECRET}, 401),
            (FAR, "lq.example", {"Authorization": "Bearer \xe9"}, 401),
            (FAR, "lq.example", {"X_Forwarded_For": "127.0.0.1"}, 401),
        ],
    )
    def test_with_a_token(
        self, guarded: Api, peer: str, host: str, headers: dict[str, str], status: int
    ) -> None:
        found = ask(guarded, peer, host, **headers)
        assert found.status_code == status
        if status != 200:
            assert found.json is not None
            assert found.json["status"] == status
            assert ("WWW-Authenticate" in found.headers) == (status == 401)

    @pytest.mark.parametrize("token", ["Bearer ", "Bearer x", None])
    def test_without_one_nobody_from_elsewhere_is_let_in(self, api: Api, token: str | None) -> None:
        headers = {"Authorization": token} if token else {}
        assert ask(api, FAR, **headers).status_code == 403
        assert ask(api).status_code == 200

    def test_the_token_of_the_api_is_of_no_use(self, guarded: Api) -> None:
        assert ask(guarded, FAR, Authorization=f"Bearer {guarded.token}").status_code == 401


class TestText:
    def test_it_is_what_prometheus_reads(self, api: Api) -> None:
        for _ in range(2):
            assert api.push().status_code == 201
        found = ask(api)
        assert found.content_type.startswith("text/plain; version=0.0.4")
        values = samples(found.text)
        assert values[("lambdaqueue_pushes_total", "default", "mail")] == 2
        assert values[("lambdaqueue_waiting", "default", "mail")] == 2
        assert values[("lambdaqueue_workers",)] == 0
        assert values[("lambdaqueue_redis_memory_bytes",)] > 0

    def test_what_is_alerted_on_begins_with_zero(self, api: Api) -> None:
        """Prometheus sees no rise in what begins with one."""
        assert api.push().status_code == 201
        values = samples(ask(api).text)
        assert values[("lambdaqueue_jobs_failed_total", "default", "mail")] == 0
        assert values[("lambdaqueue_attempts_lost_total", "default", "mail")] == 0
        for name in ("workers_lost_total", "redis_evicted_keys_total"):
            assert values[(f"lambdaqueue_{name}",)] == 0
        for collection in COLLECTIONS:
            assert values[("lambdaqueue_schedules_fired_total", collection)] == 0

    def test_names_are_escaped(self, api: Api, tenant: Callable[[str], Tenant]) -> None:
        name = 'a"b\\c\nd{}' + "é"
        other = tenant("other")
        parts_of(api.app).client.hset(f"lq:{other.id}:env", "name", name)
        other.api.push("a/b.c-d_E")
        values = samples(ask(api).text)
        assert values[("lambdaqueue_pushes_total", name, "a/b.c-d_E")] == 1

    def test_it_is_made_once_a_second(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        read, reads = MetricsStore.read, list[int]()

        def noting(self: MetricsStore, most: int) -> object:
            reads.append(most)
            return read(self, most)

        monkeypatch.setattr(MetricsStore, "read", noting)
        first = ask(api).text
        api.push()
        assert ask(api).text == first
        assert reads == [200]
        exposition = api.app.extensions[EXPOSITION]
        assert isinstance(exposition, Exposition)
        exposition._made_at -= 1.0
        assert ask(api).text != first
        assert reads == [200, 200]

    def test_so_many_queues_have_names(self, settings: Settings) -> None:
        app = create_app(replace(settings, metrics_queues=1))
        api = Api(app)
        for queue in ("a", "b"):
            api.push(queue)
        named = [key[2] for key in samples(ask(api).text) if key[0] == "lambdaqueue_waiting"]
        assert sorted(named)[0] == "_other"
        assert len(named) == 2
        parts_of(app).close()

    def test_redis_is_away(self, settings: Settings) -> None:
        app = create_app(replace(settings, redis_url="redis://127.0.0.1:9/0"))
        assert ask(Api(app)).status_code == 503
        parts_of(app).close()
