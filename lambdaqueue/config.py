"""The server's settings: read from the environment once, checked, and passed on as a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdaqueue.errors import ConfigurationError

__all__ = ["Settings"]

TOKEN = re.compile(r"lqk_[A-Za-z0-9_-]{8}_[A-Za-z0-9_-]{43}")
ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")

KIB = 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can set. Sizes are bytes, times seconds unless said otherwise."""

    redis_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    redis_tls_verify: bool = True
    public_url: str = "http://127.0.0.1:8080"
    trusted_hosts: tuple[str, ...] = ()
    trusted_proxies: int = 0
    bootstrap_token: str = field(default="", repr=False)
    bootstrap_secret: str = field(default="", repr=False)
    development: bool = False
    header_name: str = "LambdaQueue"
    max_payload: int = 256 * KIB
    max_batch: int = 8 * KIB * KIB
    history_max: int = 2_000_000
    slots: int = 200
    grace: float = 10.0
    log_level: str = "INFO"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings from `env`, usually `os.environ`.

        Raises:
            ConfigurationError: a value is missing or breaks its rule; the message names it.
        """
        read, default = _Reader(env), cls()
        return cls(
            redis_url=read.text("REDIS_URL", default.redis_url, r"(rediss?|unix)://.+"),
            redis_tls_verify=read.choice("LQ_REDIS_TLS_VERIFY", "full", ("full", "none")) == "full",
            public_url=read.text("LQ_PUBLIC_URL", default.public_url, ORIGIN.pattern),
            trusted_hosts=read.words("LQ_TRUSTED_HOSTS"),
            trusted_proxies=read.number("LQ_TRUSTED_PROXIES", 0, 0, 10),
            bootstrap_token=read.text("LQ_BOOTSTRAP_TOKEN", "", TOKEN.pattern),
            bootstrap_secret=read.text("LQ_BOOTSTRAP_SECRET", "", r"whsec_[A-Za-z0-9+/=]+"),
            development=read.flag("LQ_DEVELOPMENT"),
            header_name=read.text("LQ_HEADER_NAME", default.header_name, r"[A-Za-z0-9\-]{1,64}"),
            max_payload=read.number("LQ_MAX_PAYLOAD", default.max_payload, 1, 64 * KIB * KIB),
            max_batch=read.number("LQ_MAX_BATCH", default.max_batch, 1, 256 * KIB * KIB),
            history_max=read.number("LQ_HISTORY_MAX", default.history_max, 0, 10**9),
            slots=read.number("LQ_SLOTS", default.slots, 1, 10_000),
            grace=float(read.number("LQ_GRACE", 10, 0, 3_600)),
            log_level=read.choice("LQ_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
        )


class _Reader:
    """Reads one variable after another; every complaint names the variable and its rule."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def text(self, name: str, default: str, pattern: str) -> str:
        value = self._env.get(name, "")
        if not value:
            return default
        if not re.fullmatch(pattern, value):
            # The value is left out: it may be a secret.
            raise ConfigurationError(f"{name} must match {pattern}")
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        value = self._env.get(name, "")
        if not value:
            return default
        if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= high:
            raise ConfigurationError(f"{name} must be a whole number from {low} to {high}")
        return int(value)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self._env.get(name, "") or default
        if value not in allowed:
            raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}")
        return value

    def flag(self, name: str) -> bool:
        return self.choice(name, "0", ("0", "1")) == "1"

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(word for word in re.split(r"[,\s]+", self._env.get(name, "")) if word)
