"""The server's settings: read from the environment once, checked, and passed on as a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from lambdaqueue.addresses import AddressRules
from lambdaqueue.commands import MAX_BATCH, MAX_PAYLOAD
from lambdaqueue.errors import ConfigurationError, InvalidRequest
from lambdaqueue.identity import TOKEN
from lambdaqueue.signing import Secret
from lambdaqueue.targets import TargetRules

__all__ = ["SentinelUrl", "Settings"]

ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")

SENTINEL = re.compile(
    r"redis\+sentinel://"
    r"((?P<user>[^:@/?#\s]*):(?P<password>[^:@/?#\s]*)@)?"
    r"(?P<hosts>[^@/?#\s]+)/(?P<service>[A-Za-z0-9._-]+)(/(?P<db>[0-9]{1,4}))?/?"
    r"(\?(?P<query>[^#\s]*))?"
)
SENTINEL_HOST = re.compile(r"(\[(?P<ip>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(:(?P<port>[0-9]+))?")
SENTINEL_PORT = 26_379
"""Where a Sentinel listens unless it was told otherwise."""

KIB = 1024


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """A `redis+sentinel://` URL: who is asked for the primary of a service.

    User name and password are those of Redis; Sentinels have their own, or none.
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    db: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    sentinel_user: str = ""
    sentinel_password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> SentinelUrl | None:
        """Read `redis+sentinel://[[user]:password@]host[:port],…/service[/db]`, None for others.

        Sentinels' own credentials are `?sentinel_username=…&sentinel_password=…`.

        Raises:
            ConfigurationError: it breaks that form; the message quotes nothing of it.
        """
        if not url.startswith("redis+sentinel:"):
            return None
        found = SENTINEL.fullmatch(url)
        hosts = [_sentinel_host(host) for host in found["hosts"].split(",")] if found else []
        query = dict(parse_qsl((found and found["query"]) or "", keep_blank_values=True))
        known = {"sentinel_username", "sentinel_password"}
        if not found or None in hosts or query.keys() - known:
            raise ConfigurationError(
                "REDIS_URL must be like redis+sentinel://:password@host:26379,host2:26379/service/0"
                "; what is special in user name and password is percent-encoded"
            )
        return cls(
            hosts=tuple(host for host in hosts if host),
            service=found["service"],
            db=int(found["db"] or 0),
            user=unquote(found["user"] or ""),
            password=unquote(found["password"] or ""),
            sentinel_user=query.get("sentinel_username", ""),
            sentinel_password=query.get("sentinel_password", ""),
        )


def _sentinel_host(text: str) -> tuple[str, int] | None:
    found = SENTINEL_HOST.fullmatch(text)
    port = int(found["port"] or SENTINEL_PORT) if found else 0
    return (found["ip"] or found["name"], port) if found and 0 < port < 65_536 else None


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
    master_keys: tuple[str, ...] = field(default=(), repr=False)
    development: bool = False
    addresses: AddressRules = field(default_factory=AddressRules)
    allow_unvalidated: bool = False
    dns_servers: tuple[str, ...] = ()
    ca_bundle: str = ""
    header_name: str = "LambdaQueue"
    max_payload: int = MAX_PAYLOAD
    max_batch: int = MAX_BATCH
    history_max: int = 2_000_000
    alert_target: str = field(default="", repr=False)
    alert_format: str = "json"
    alert_ratio: float = 0.5
    slots: int = 200
    host_slots: int = 0
    grace: float = 10.0
    log_level: str = "INFO"
    log_format: str = "text"
    metrics_token: str = field(default="", repr=False)
    metrics_queues: int = 200

    @property
    def targets(self) -> TargetRules:
        """Which URLs may be called."""
        return TargetRules(self.addresses, loopback=self.development)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings from `env`, usually `os.environ`.

        Raises:
            ConfigurationError: a value is missing or breaks its rule; the message names it.
        """
        read, default = _Reader(env), cls()
        settings = cls(
            redis_url=read.redis_url(default.redis_url),
            redis_tls_verify=read.choice("LQ_REDIS_TLS_VERIFY", "full", ("full", "none")) == "full",
            public_url=read.text("LQ_PUBLIC_URL", default.public_url, ORIGIN.pattern),
            trusted_hosts=read.words("LQ_TRUSTED_HOSTS"),
            trusted_proxies=read.number("LQ_TRUSTED_PROXIES", 0, 0, 10),
            bootstrap_token=read.text("LQ_BOOTSTRAP_TOKEN", "", TOKEN.pattern),
            bootstrap_secret=read.secret("LQ_BOOTSTRAP_SECRET"),
            master_keys=read.words("LQ_MASTER_KEYS"),
            development=read.flag("LQ_DEVELOPMENT"),
            addresses=AddressRules.parse(read.words("LQ_ALLOW_CIDRS")),
            allow_unvalidated=read.flag("LQ_ALLOW_UNVALIDATED"),
            dns_servers=read.words("LQ_DNS_SERVERS"),
            ca_bundle=read.text("LQ_CA_BUNDLE", "", r"/.+"),
            header_name=read.text("LQ_HEADER_NAME", default.header_name, r"[A-Za-z0-9\-]{1,64}"),
            max_payload=read.number("LQ_MAX_PAYLOAD", default.max_payload, 1, 64 * KIB * KIB),
            max_batch=read.number("LQ_MAX_BATCH", default.max_batch, 1, 256 * KIB * KIB),
            history_max=read.number("LQ_HISTORY_MAX", default.history_max, 0, 10**9),
            slots=read.number("LQ_SLOTS", default.slots, 1, 10_000),
            host_slots=read.number("LQ_HOST_SLOTS", default.host_slots, 0, 10_000),
            grace=float(read.number("LQ_GRACE", 10, 0, 3_600)),
            alert_target=read.text("LQ_ALERT_TARGET", "", r"https?://.+"),
            alert_format=read.choice("LQ_ALERT_FORMAT", "json", ("json", "slack")),
            alert_ratio=read.number("LQ_ALERT_PERCENT", 50, 1, 100) / 100,
            log_level=read.choice("LQ_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
            log_format=read.choice("LQ_LOG_FORMAT", "text", ("text", "json")),
            metrics_token=read.text("LQ_METRICS_TOKEN", "", r"[!-~]{16,256}"),
            metrics_queues=read.number("LQ_METRICS_QUEUES", default.metrics_queues, 1, 2_000),
        )
        settings._check_alert_target()
        return settings

    def _check_alert_target(self) -> None:
        """Raise ConfigurationError where alerts could never be delivered."""
        if not self.alert_target:
            return
        try:
            self.targets.check(self.alert_target)
        except InvalidRequest as error:
            # Without the URL: a hook's address often is its secret.
            raise ConfigurationError(f"LQ_ALERT_TARGET: {error.issues[0].message}") from None


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

    def redis_url(self, default: str) -> str:
        name = "REDIS_URL"
        value = self.text(name, default, r"(rediss?|unix|redis\+sentinel)://.+")
        if SentinelUrl.parse(value):
            return value
        try:
            urlsplit(value).port  # noqa: B018 - looked at, because that is when it's read
        except ValueError:
            # Without `from`: the reason quotes a piece of the URL, perhaps of its password.
            raise ConfigurationError(
                f"{name} is no URL: encode what is special in its user name and password"
            ) from None
        return value

    def secret(self, name: str) -> str:
        value = self.text(name, "", r"whsec_[A-Za-z0-9+/=]+")
        try:
            return Secret.parse(value).reveal() if value else ""
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error}") from None

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
