"""What is particular to Django."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path

from lambdaqueue.integrations.django import mount
from lambdaqueue.sdk.delivery import Job
from tests.sdk.integrations.deliveries import Taken, error_of, signed
from tests.sdk.integrations.hosts import ask_wsgi, django_asgi, django_wsgi, urls

BOTH = [django_wsgi, django_asgi]


@pytest.fixture
def taken() -> Taken:
    """A queue with a handler."""
    taken = Taken()
    taken.add("/welcome")
    return taken


def page(request: HttpRequest) -> HttpResponse:
    """A view of its own."""
    return HttpResponse(f"page {request.path}")


@pytest.mark.parametrize("host", BOTH)
def test_other_paths_are_the_project_s(taken: Taken, host: Any) -> None:
    patterns: list[Any] = [path("own", page), re_path("^.*$", page)]
    assert mount(patterns, taken) is patterns
    ask = host(patterns)
    assert ask("GET", "/own").body == b"page /own"
    assert ask("GET", "/welcome/x").body == b"page /welcome/x"
    assert ask("POST", "/welcome", signed(), b"{}").status == 200
    assert ask("POST", "/own", [], b"a=1").status == 403


@pytest.mark.parametrize("host", BOTH)
def test_below_a_prefix(taken: Taken, host: Any) -> None:
    ask = host([path("hooks/", include(mount([], taken)))])
    assert ask("POST", "/hooks/welcome", signed(), b"{}").status == 200
    assert ask("POST", "/welcome", signed(), b"{}").status == 404


@pytest.mark.parametrize("host", BOTH)
@pytest.mark.parametrize("coroutine", [False, True])
def test_no_login_is_asked_for(taken: Taken, host: Any, coroutine: bool) -> None:
    async def handle(payload: Any, job: Job) -> None:
        """Do nothing."""

    if coroutine:
        taken.add_handler("/async", handle)
    middleware = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ]
    ask = host(
        mount([path("own", page)], taken),
        MIDDLEWARE=middleware,
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        LOGIN_URL="/login",
    )
    assert ask("GET", "/own").status == 302
    url = "/async" if coroutine else "/welcome"
    assert ask("POST", url, signed(), b"{}").status in (200, 204)
    assert ask("POST", url, [], b"{}").status == 401


@pytest.mark.parametrize("host", BOTH)
def test_the_project_s_own_limit_counts(taken: Taken, host: Any) -> None:
    ask = host(mount([], taken), DATA_UPLOAD_MAX_MEMORY_SIZE=5)
    answer = ask("POST", "/welcome", signed(b"123456"), b"123456")
    assert answer.status == 413
    assert error_of(answer.body)


def test_a_chunked_body_behind_wsgi(taken: Taken) -> None:
    more: dict[str, Any] = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}
    with urls(mount([], taken)):
        app = WSGIHandler()
        assert ask_wsgi(app, more)("POST", "/welcome", signed(), b"{}").status == 411
        more["wsgi.input_terminated"] = True
        assert ask_wsgi(app, more)("POST", "/welcome", signed(), b"{}").status == 200


@pytest.mark.parametrize("host", BOTH)
def test_the_body_may_have_been_read_before(taken: Taken, host: Any) -> None:
    ask = host(mount([], taken), MIDDLEWARE=["tests.sdk.integrations.test_django.reads_the_body"])
    body, kind = b"a=1&a=2", "application/x-www-form-urlencoded"
    assert ask("POST", "/welcome", signed(body, kind=kind), body).status == 200
    assert taken.payloads == [body]


def reads_the_body(get_response: Any) -> Any:
    """A middleware that looks at every body."""

    def middleware(request: HttpRequest) -> Any:
        assert request.body
        assert request.POST["a"] == "2"
        return get_response(request)

    return middleware


@pytest.fixture
def orders() -> Iterator[Callable[[str], list[Any]]]:
    """A database with a table `orders`, and a transaction for each request; how to ask it."""

    def ask(statement: str) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    ask("CREATE TABLE orders (id INTEGER)")
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    yield ask
    connection.settings_dict["ATOMIC_REQUESTS"] = False
    ask("DROP TABLE orders")


@pytest.mark.parametrize(("fails", "rows"), [(False, [(1,)]), (True, [])])
def test_a_failed_delivery_is_rolled_back(
    taken: Taken, orders: Callable[[str], list[Any]], fails: bool, rows: list[Any]
) -> None:
    def write(payload: Any) -> None:
        assert connection.in_atomic_block
        orders("INSERT INTO orders VALUES (1)")
        if fails:
            raise ValueError("after it has written")

    taken.add("/write", write)
    ask = django_wsgi(mount([], taken))
    assert ask("POST", "/write", signed(), b"{}").status == (500 if fails else 204)
    assert orders("SELECT id FROM orders") == rows


@pytest.mark.parametrize("host", BOTH)
def test_a_coroutine_function_works_with_atomic_requests(
    taken: Taken, orders: object, host: Any
) -> None:
    async def handle(payload: Any, job: Job) -> Any:
        return payload

    taken.add_handler("/async", handle)
    assert host(mount([], taken))("POST", "/async", signed(b"[1]"), b"[1]").body == b"[1]"


def test_django_s_own_checks_find_nothing(taken: Taken) -> None:
    with urls(mount([path("own", page, name="own")], taken)):
        assert run_checks(tags=["urls"]) == []
