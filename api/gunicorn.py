"""gunicorn's settings: `gunicorn --config api/gunicorn.py 'api:create_app()'`.

Everything can be overridden on gunicorn's command line. No secret is read here.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from gevent import monkey

# Before the worker's class brings in the application, sockets and all.
monkey.patch_all()

_HOST = os.environ.get("HOST") or ("0.0.0.0" if "PORT" in os.environ else "127.0.0.1")
_GRACE = os.environ.get("LQ_GRACE", "")

bind = f"{_HOST}:{os.environ.get('PORT') or 8080}"
workers = int(os.environ.get("WEB_CONCURRENCY") or 1)

# Greenlets, not threads: a slow sender or a slow Redis then holds none of a few threads. How
# fast it is, benchmarks/push_rate.py tells.
worker_class = "api.server.PatientWorker"
worker_connections = 1_000

# Seconds an idle connection stays: longer than most load balancers keep theirs.
keepalive = 75
graceful_timeout = int(_GRACE) if _GRACE.isdecimal() else 10
# A worker that doesn't come round for so long is stuck.
timeout = 30

# x-lq-headers may hold 8 KiB, more when its characters are escaped; over this: 431.
limit_request_field_size = 32 * 1024
limit_request_fields = 100
limit_request_line = 8_190

# What a client says of itself is not believed here; LQ_TRUSTED_PROXIES decides (api/__init__.py).
forwarded_allow_ips = ""
forwarder_headers = ""

accesslog = None
logger_class = "api.server_log.ServerLog"
loglevel = os.environ.get("LQ_LOG_LEVEL", "INFO").lower()


def on_starting(arbiter: Any) -> None:
    """End here, with one line, if no worker could start: several that fail at once would make
    gunicorn itself fail, in a traceback."""
    from api import current  # not on the path before gunicorn has read this file
    from lambdaqueue.errors import LambdaQueueError

    try:
        current.try_out(os.environ)
    except LambdaQueueError as error:
        print(error, file=sys.stderr)
        sys.exit(arbiter.APP_LOAD_ERROR)


# Nothing controls the server from outside its signals.
control_socket_disable = True
