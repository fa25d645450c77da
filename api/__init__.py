"""The HTTP API: a Flask application over `lambdaqueue.service`, and nothing else of it."""

from __future__ import annotations

import os
import secrets

from flask import Flask, Request, Response, g
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter

from api import (
    access,
    admin,
    callbacks,
    current,
    docs_page,
    environment,
    errors,
    executions,
    health,
    history,
    items,
    messages,
    metrics,
    openapi,
    queues,
    schedules,
    services,
    timers,
    tokens,
)
from api.paths import KeyConverter, QueueConverter, ScheduleKeyConverter
from lambdaqueue.config import Settings

__all__ = ["create_app"]

RESOURCES = (
    items,
    schedules,
    timers,
    services,
    executions,
    callbacks,
    messages,
    queues,
    history,
    tokens,
    environment,
    health,
    metrics,
    openapi,
    docs_page,
)


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application, and let it do what every start does if Redis is there.

    `settings` are read from the environment where they are not given.

    Raises:
        ConfigurationError: a variable of the environment is missing or breaks its rule, or the
            master key is not the one that the database was made with.
    """
    settings = settings or Settings.from_env(os.environ)
    parts = current.Parts.of(settings)
    app = _Api(__name__, static_folder=None)
    app.config.update(
        MAX_PAYLOAD=settings.max_payload,
        MAX_BATCH=settings.max_batch,
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    app.extensions[current.EXTENSION] = parts
    _mark_requests(app)
    access.install(app, settings)
    errors.install(app)
    _route(app)
    _trust_proxies(app, settings.trusted_proxies)
    parts.start.begin()
    return app


class _Api(Flask):
    """Flask, with routes that don't depend on the Host header: access.py has judged it."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return None
        path, method = request.path, request.method
        return self.url_map.bind("", path_info=path, default_method=method)


def _mark_requests(app: Flask) -> None:
    """Give every request an id, which is in its answer and beside its errors in the log."""

    @app.before_request
    def begin() -> None:
        g.request_id = secrets.token_hex(8)

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["x-request-id"] = g.request_id
        return response


def _route(app: Flask) -> None:
    # No path is ever answered with a redirect to another spelling.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters.update(
        queue=QueueConverter, key=KeyConverter, schedule_key=ScheduleKeyConverter
    )
    for resource in RESOURCES:
        app.register_blueprint(resource.blueprint)
    admin.install(app)


def _trust_proxies(app: Flask, count: int) -> None:
    """Believe what the nearest `count` proxies say of the client; never what they say of Host."""
    if count:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=0
        )
