"""On which Redis the managing commands work, and with which master keys: with the server's.

REDIS_URL and LQ_MASTER_KEYS where they are set, else those of the `lambdaqueue up` that runs in
the data folder.
"""

from __future__ import annotations

import argparse
import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lambdaqueue.administration import DEFAULT_NAME, Administration, open_administration
from lambdaqueue.cli.credentials import DATA
from lambdaqueue.cli.master_keys import MasterKeys
from lambdaqueue.cli.private_files import read_private, remove_private, write_private
from lambdaqueue.cli.terminal import printable
from lambdaqueue.config import Settings
from lambdaqueue.errors import (
    ConfigurationError,
    NotFound,
    SecretUnreadable,
    StorageFull,
    StorageUnavailable,
)
from lambdaqueue.identity import Actor

__all__ = [
    "actor_in",
    "add_data",
    "add_environment",
    "forget_redis",
    "managing",
    "opened",
    "performer",
    "prepared",
    "tell_redis",
    "word",
]

FILE = "redis_url"
"""Where `up` says how its Redis is reached: its socket isn't always in the data folder."""

EPILOG = """\
It works on Redis itself, with the server's REDIS_URL and LQ_MASTER_KEYS; where those are not set,
with those of the `lambdaqueue up` that runs in --data.
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A Redis and the keys of its secrets. `redis` and `remedy` are words for messages."""

    settings: Settings
    keys: MasterKeys
    redis: str
    remedy: str

    @classmethod
    def find(cls, data: Path, env: Mapping[str, str]) -> Place:
        """Return the one that `env` names, else that of the `up` which runs in `data`.

        Raises:
            ConfigurationError: neither, or a variable breaks its rule.
        """
        url, redis, remedy = env.get("REDIS_URL"), "REDIS_URL", "Start it, or set the right one"
        if not url:
            url = (read_private(data / FILE) or "").strip()
            redis = f"that of `lambdaqueue up` in {data}"
            remedy = "Start `lambdaqueue up` there, name its folder with --data, or set REDIS_URL"
        keys = MasterKeys.find(data, env)
        if not url:
            raise ConfigurationError(
                f"no `lambdaqueue up` runs in {data}: start it, name its folder with --data, or "
                "set REDIS_URL and LQ_MASTER_KEYS as the server has them"
            )
        if keys is None:
            raise ConfigurationError("LQ_MASTER_KEYS is not set: set it as the server has it")
        settings = Settings.from_env({**env, "REDIS_URL": url, **keys.env()})
        # Not a start of the server: a variable left over in a shell must not replace its token.
        return cls(replace(settings, bootstrap_token=""), keys, redis, remedy)


@contextmanager
def managing(data: Path) -> Iterator[Administration]:
    """Give what the commands do their work with; its errors then say what to do next.

    Raises:
        ConfigurationError: there is no Redis to work on, or the master key is a wrong one.
        StorageUnavailable, SecretUnreadable
    """
    place = Place.find(data, os.environ)
    administration = opened(place.settings)
    try:
        if os.environ.get("REDIS_URL") and not os.environ.get("LQ_MASTER_KEYS"):
            _check_is_ours(administration, place.keys)
        prepared(administration, place.keys)
        yield administration
    except StorageFull as error:
        raise StorageFull(f"{error} ({place.redis}). Make room there, and try again") from error
    except StorageUnavailable as error:
        raise StorageUnavailable(f"{error} ({place.redis}). {place.remedy}") from error
    except SecretUnreadable as error:
        raise SecretUnreadable(f"{error}. The keys are from {place.keys.source}") from error


def opened(settings: Settings) -> Administration:
    """Return the use cases of those who manage; nothing is dialled yet.

    Raises:
        ConfigurationError: a setting can't be used.
    """
    try:
        return open_administration(settings)
    except ValueError:
        # Its message may quote a part of the password.
        raise ConfigurationError(
            "REDIS_URL can't be read: it is like redis://:password@host:6379/0, and / ? # @ % in "
            "the password are percent-encoded"
        ) from None


def prepared(administration: Administration, keys: MasterKeys) -> None:
    """Do what every start does; after `opened` only a wrong master key is against it.

    Raises:
        ConfigurationError: that one. StorageUnavailable: Redis is away.
        Conflict: LQ_BOOTSTRAP_TOKEN is another token's.
    """
    try:
        administration.prepare()
    except ConfigurationError as error:
        raise keys.refuse() from error


def _check_is_ours(administration: Administration, keys: MasterKeys) -> None:
    """Seal nothing in an empty database with a key that its server will not have."""
    if administration.is_new():
        raise ConfigurationError(
            f"REDIS_URL leads to a database without LambdaQueue, and the master key from "
            f"{keys.source} is perhaps not its server's: set LQ_MASTER_KEYS as that server has it"
        )


def tell_redis(data: Path, url: str) -> None:
    """Say in the data folder how the Redis that runs there is reached."""
    write_private(data / FILE, f"{url}\n")


def forget_redis(data: Path) -> None:
    """Say it no more."""
    remove_private(data / FILE)


def performer(command: str) -> str:
    """Return the name under which the audit has what this command does."""
    return f"lambdaqueue {command} ({_user()})"


def actor_in(administration: Administration, environment: str, command: str) -> Actor:
    """Return whom the audit names, in the environment that is called `environment`.

    Raises:
        NotFound: there is none of that name.
    """
    try:
        return Actor(administration.environment_named(environment).id, performer(command))
    except NotFound as error:
        raise NotFound(
            f"there is no environment {environment}: `lambdaqueue env list` shows which there are"
        ) from error


def add_data(parser: argparse.ArgumentParser) -> None:
    """Declare --data."""
    parser.epilog = "\n".join(filter(None, (parser.epilog, EPILOG)))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--data", type=Path, default=DATA, metavar="DIR", help=f"data of `up` (default: ./{DATA})"
    )


def add_environment(parser: argparse.ArgumentParser) -> None:
    """Declare --env and --data."""
    parser.add_argument(
        "--env", type=word, default=DEFAULT_NAME, metavar="NAME", help=f"(default: {DEFAULT_NAME})"
    )
    add_data(parser)


def word(text: str) -> str:
    """Return `text`, which may be a name; made for `type=` of an argument.

    Raises:
        argparse.ArgumentTypeError: it can't be one.
    """
    if not text or not text.isprintable():
        raise argparse.ArgumentTypeError(f"'{printable(text)}' is no name")
    return text


def _user() -> str:
    """Return who is logged in, by the system and not by what a variable says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # A container may run under an id without a name.
        return str(os.getuid())
