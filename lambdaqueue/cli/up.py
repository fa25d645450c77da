"""`lambdaqueue up`: everything on one machine, in one session, with one Ctrl-C."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.cli.banner import banner
from lambdaqueue.cli.credentials import DATA, Credentials
from lambdaqueue.cli.local import forget_redis, opened, performer, prepared, tell_redis
from lambdaqueue.cli.master_keys import MasterKeys
from lambdaqueue.cli.readiness import readiness
from lambdaqueue.cli.server import require_server, server_env, server_root
from lambdaqueue.cli.token import every_token
from lambdaqueue.config import Settings
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.errors import ConfigurationError, StorageUnavailable
from lambdaqueue.identity import Actor, Token
from lambdaqueue.signing_in import first_link
from lambdaqueue.supervisor import ChildSpec, Supervisor

__all__ = ["configure", "run"]

READY_TIMEOUT = 60.0
"""Seconds until everything must be ready; time in which Redis loads its file doesn't count."""

LOOK_EVERY = 0.05
"""Seconds between two looks whether something is ready."""

EPILOG = """\
Redis is REDIS_URL if that is set, else a redis-server of its own with its data in --data. Token
and secret are made at the first start and kept in --data/credentials; LQ_BOOTSTRAP_TOKEN and
LQ_BOOTSTRAP_SECRET fix them. The master key is LQ_MASTER_KEYS if that is set, else one that is
made and kept in --data/master_keys: without it the secrets can't be read any more. Ctrl-C drains
for LQ_GRACE seconds (10) and stops everything; a second Ctrl-C does not wait.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address of the API (default: 127.0.0.1)")
    add("--port", type=_port, default=8080, help="port of the API, 0: any (default: 8080)")
    add("--data", type=Path, default=DATA, metavar="DIR", help=f"(default: ./{DATA})")
    add("--workers", type=_count, default=1, metavar="N", help="worker processes (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Start everything, say how to use it, keep it running until a signal comes."""
    require_server()
    stack = Stack(
        host=args.host,
        port=_free_port(args.host, args.port),
        data=args.data.absolute(),
        workers=args.workers,
        root=server_root(),
    )
    return stack.run()


@dataclass(frozen=True, slots=True)
class Stack:
    """What belongs together on one machine: Redis, web, scheduler, workers."""

    host: str
    port: int
    data: Path
    workers: int
    root: Path

    @property
    def url(self) -> str:
        """Where the API is reached from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{_bracketed(host)}:{self.port}"

    def run(self) -> int:
        """Bring it up, keep it up, take it down; return the exit code."""
        if os.environ.get("REDIS_URL"):
            return self._supervise(None)
        redis = EmbeddedRedis(self.data)
        redis.reserve()
        try:
            return self._supervise(redis)
        finally:
            forget_redis(self.data)
            redis.release()

    def _supervise(self, redis: EmbeddedRedis | None) -> int:
        grace = Settings.from_env(os.environ).grace  # Complains before anything is kept.
        master_keys = MasterKeys.keep(self.data, os.environ)
        credentials = Credentials.keep(self.data, os.environ)
        env = self._env(redis.url if redis else os.environ["REDIS_URL"], credentials, master_keys)
        administration = opened(Settings.from_env(env))
        began = time.monotonic()
        with Supervisor(grace) as supervisor:
            if (redis is None or self._start_redis(supervisor, redis)) and self._prepare(
                supervisor, administration, master_keys
            ):
                # Before there is a web process, which would make a link of its own.
                panel = self._panel(administration)
                self._start_others(supervisor, env)
                if self._wait_until_ready(supervisor):
                    took = time.monotonic() - began
                    self._say_how_to_use_it(administration, credentials, took, panel)
                    supervisor.wait_for_signal()
            _say(f"Stopping; what is being delivered has {grace:g} s to finish ...")
            code = supervisor.drain()
        _say("Stopped." if code == 0 else "Stopped; what did not finish is delivered again.")
        return code

    def _start_redis(self, supervisor: Supervisor, redis: EmbeddedRedis) -> bool:
        """Start Redis and wait for it; False when the end was asked for meanwhile."""
        _say(f"Starting {redis.server} in {self.data} ...")
        supervisor.start(ChildSpec("redis", redis.command, pass_fds=redis.pass_fds, last=True))
        deadline = time.monotonic() + READY_TIMEOUT
        while supervisor.turn(LOOK_EVERY):
            answer = redis.ping()
            if answer.startswith(b"+PONG"):
                tell_redis(self.data, redis.url)
                return True
            if time.monotonic() > deadline and not answer.startswith(b"-LOADING"):
                raise ConfigurationError(f"Redis does not come up:\n{redis.last_words()}")
        return False

    def _prepare(
        self, supervisor: Supervisor, administration: Administration, master_keys: MasterKeys
    ) -> bool:
        """Make the first environment; False when the end was asked for meanwhile.

        Here, before there are children that a wrong master key would end again and again.
        """
        deadline = time.monotonic() + READY_TIMEOUT
        waiting = False
        while supervisor.turn(LOOK_EVERY):
            try:
                prepared(administration, master_keys)
                return True
            except StorageUnavailable as error:
                if time.monotonic() > deadline:
                    raise ConfigurationError(
                        f"{error}: start the one that REDIS_URL names, or unset REDIS_URL to have "
                        "one of its own"
                    ) from error
                if not waiting:
                    _say(f"Waiting for Redis: {error} ...")
                waiting = True
        return False

    def _panel(self, administration: Administration) -> str:
        """Return where the panel is, or while it has no account the link that makes the first."""
        secret = administration.signing_in().offer(again=True)
        return f"{self.url}/admin" if secret is None else first_link(self.url, secret)

    def _start_others(self, supervisor: Supervisor, env: dict[str, str]) -> None:
        _say(f"Starting web, scheduler and {self.workers} worker process(es) ...")
        python = sys.executable
        bind = f"{_bracketed(self.host)}:{self.port}"
        gunicorn = ("-m", "gunicorn", "-c", "api/gunicorn.py", "--bind", bind, "api:create_app()")
        commands = {"web": gunicorn, "scheduler": ("-m", "lambdaqueue", "scheduler")}
        for number in range(1, self.workers + 1):
            commands[f"worker {number}"] = ("-m", "lambdaqueue", "worker")
        for name, words in commands.items():
            supervisor.start(ChildSpec(name, (python, *words), env=env, cwd=self.root))

    def _wait_until_ready(self, supervisor: Supervisor) -> bool:
        """Wait for /ready; False when the end was asked for meanwhile."""
        deadline = time.monotonic() + READY_TIMEOUT
        while supervisor.turn(LOOK_EVERY):
            found = readiness(self.url)
            if found is None:
                return True
            if time.monotonic() > deadline:
                raise ConfigurationError(f"not ready after {READY_TIMEOUT:g} s: {found}")
        return False

    def _say_how_to_use_it(
        self, administration: Administration, credentials: Credentials, took: float, panel: str
    ) -> None:
        """Print what is true now: since the first start both may have been replaced."""
        actor = Actor(keys.DEFAULT_ENVIRONMENT, performer("up"))
        current = administration.secret(actor).secret.reveal()
        credentials = replace(credentials, secret=current)
        credentials.save(self.data)
        revoked = not _counts(credentials.token, administration)
        _say(banner(self.url, credentials, self.data, took, revoked=revoked, panel=panel))

    def _env(
        self, redis_url: str, credentials: Credentials, master_keys: MasterKeys
    ) -> dict[str, str]:
        defaults = {
            "LQ_PUBLIC_URL": self.url,
            "LQ_DEVELOPMENT": "1",
            "LQ_ALLOW_UNVALIDATED": "1",
        }
        given = {name: value for name, value in os.environ.items() if value}
        mine = {"REDIS_URL": redis_url, **credentials.env(), **master_keys.env()}
        return server_env({**defaults, **given, **mine}, self.root)


def _counts(text: str, administration: Administration) -> bool:
    """Tell whether a token was neither revoked nor replaced."""
    token = Token.parse(text)
    known = every_token(administration, keys.DEFAULT_ENVIRONMENT)
    return token is not None and any(info.is_of(token) for info in known)


def _free_port(host: str, port: int) -> int:
    """Return the port that the API can have, before anything is started for it.

    Raises:
        ConfigurationError: another program has it, or there is no such address here.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn does
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"the API can't listen on {host}:{port}: {error.strerror}. Stop the program that "
                f"does, or choose another port: lambdaqueue up --port {port + 1}"
            ) from error
        return int(probe.getsockname()[1])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _say(text: str) -> None:
    print(text, flush=True)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("must be a port, 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 64")
    return int(text)
