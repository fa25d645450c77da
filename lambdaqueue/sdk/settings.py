"""Where LambdaQueue is, who we are there, and where this application is.

All of it is read when it's needed and not before, so that an application can be imported where
nothing is set. Given values come before the environment's:

LQ_TOKEN     the API's token
LQ_SECRET    the signature secret, or the current and the previous one with a space between
LQ_API_URL   where the API is, default http://127.0.0.1:8080
LQ_BASE_URL  the application's own public URL; else what its platform says, see `DETECTED`
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lambdaqueue.sdk.errors import ConfigurationError
from lambdaqueue.signing import Secret

__all__ = ["DEFAULT_API_URL", "ORIGIN", "Settings", "origin_of", "parse_secrets"]

DEFAULT_API_URL = "http://127.0.0.1:8080"

ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
"""Scheme, host and port, and nothing else: no user either."""

PORTS = {"http": 80, "https": 443}

TOKEN = re.compile(r"[\x21-\x7e]+")

MAX_SECRETS = 2
"""The current secret, and the previous one while it's being rotated."""

BYPASS_HEADER = "x-vercel-protection-bypass"
"""https://vercel.com/docs/deployment-protection/methods-to-bypass-deployment-protection"""

Env = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Settings:
    """What was given to `LambdaQueue(…)`, and the environment for the rest."""

    env: Env = field(repr=False)
    given_token: str | None = field(default=None, repr=False)
    given_secret: str | None = field(default=None, repr=False)
    given_api_url: str | None = None
    given_base_url: str | None = None

    def token(self) -> str:
        """Return the API's token.

        Raises:
            ConfigurationError: there is none, or it can't be one.
        """
        token = self.given_token or self.env.get("LQ_TOKEN") or ""
        if not token:
            raise ConfigurationError(
                "there is no token: set LQ_TOKEN (`lambdaqueue up` prints one at every start), "
                "or give LambdaQueue(token=…)"
            )
        if TOKEN.fullmatch(token) is None:
            # Without the token: this text may be logged.
            raise ConfigurationError(
                "LQ_TOKEN has a space, a line break or a character that no token has"
            )
        return token

    def api_url(self) -> str:
        """Return the origin of the API.

        Raises:
            ConfigurationError: it is no origin.
        """
        given = self.given_api_url or self.env.get("LQ_API_URL") or DEFAULT_API_URL
        url = given.rstrip("/")
        if ORIGIN.fullmatch(url) is None:
            raise ConfigurationError(
                f"LQ_API_URL must be an origin like {DEFAULT_API_URL}, without a path"
            )
        return url

    def secrets(self) -> tuple[Secret, ...]:
        """Return the signature secrets, the current one first.

        Raises:
            ConfigurationError: there is none, or it isn't a secret.
        """
        text = self.given_secret or self.env.get("LQ_SECRET") or ""
        if not text.split():
            raise ConfigurationError(
                "there is no signature secret: set LQ_SECRET (`lambdaqueue up` prints one at every "
                "start), or give LambdaQueue(secret=…)"
            )
        return parse_secrets(text, "LQ_SECRET")

    def base_url(self) -> str:
        """Return this application's public URL, without a slash at its end.

        Raises:
            ConfigurationError: it is neither set nor known from the platform.
        """
        found = self.base_urls()
        if not found:
            raise ConfigurationError(
                "this application's own URL isn't known: set LQ_BASE_URL to it (like "
                "https://app.example.com), or give a queue target=…"
            )
        return found[0]

    def base_urls(self) -> tuple[str, ...]:
        """Return every public URL that this application is known by; perhaps none.

        Raises:
            ConfigurationError: LQ_BASE_URL is no URL.
        """
        given = self.given_base_url or self.env.get("LQ_BASE_URL")
        if given:
            return (_checked_base(given),)
        for detect in DETECTED:
            found = tuple(dict.fromkeys(filter(None, detect(self.env))))
            if found:
                return found
        return ()

    def bypass_headers(self, target: str) -> dict[str, str]:
        """Return the header that lets a delivery to `target` pass Vercel's protection, if any.

        It's for this deployment alone: nobody else is told the secret.
        """
        secret = self.env.get("VERCEL_AUTOMATION_BYPASS_SECRET")
        site = _site(target)
        if not secret or not self.env.get("VERCEL") or site is None:
            return {}
        return {BYPASS_HEADER: secret} if site in map(_site, self.base_urls()) else {}


def parse_secrets(text: str, name: str) -> tuple[Secret, ...]:
    """Read one secret, or the current and the previous one with a space between.

    Raises:
        ConfigurationError: naming `name` and the broken rule, never the secret.
    """
    words = text.split()
    if not 1 <= len(words) <= MAX_SECRETS:
        raise ConfigurationError(f"{name} holds one secret, or two with a space between")
    try:
        return tuple(Secret.parse(word) for word in words)
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def _checked_base(given: str) -> str:
    url = given.rstrip("/")
    parts = urlsplit(url)
    if (
        parts.query
        or parts.fragment
        or ORIGIN.fullmatch(f"{parts.scheme}://{parts.netloc}") is None
    ):
        raise ConfigurationError(
            "LQ_BASE_URL must be a URL like https://app.example.com, without user and query"
        )
    return url


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of an origin; None for what is more or less than one."""
    found = ORIGIN.fullmatch(url)
    if found is None:
        return None
    scheme, host, port = found[1].lower(), found[2].lower(), found[3]
    return scheme, host, PORTS[scheme] if port is None else int(port)


def _site(url: str) -> tuple[str, str, int] | None:
    parts = urlsplit(url)
    return origin_of(f"{parts.scheme}://{parts.netloc}")


def _https(host: str | None) -> str:
    return f"https://{host}" if host else ""


def _vercel(env: Env) -> tuple[str, ...]:
    """https://vercel.com/docs/environment-variables/system-environment-variables"""
    if not env.get("VERCEL"):
        return ()
    production = _https(env.get("VERCEL_PROJECT_PRODUCTION_URL"))
    own = (_https(env.get("VERCEL_URL")), _https(env.get("VERCEL_BRANCH_URL")))
    return (production, *own) if env.get("VERCEL_ENV") == "production" else own


def _netlify(env: Env) -> tuple[str, ...]:
    """https://docs.netlify.com/configure-builds/environment-variables/"""
    if not env.get("NETLIFY") and not env.get("DEPLOY_PRIME_URL"):
        return ()
    main, own = env.get("URL", ""), env.get("DEPLOY_PRIME_URL", "")
    if env.get("CONTEXT", "production") == "production":
        return main, own
    return (own,) if own else (main,)


def _heroku(env: Env) -> tuple[str, ...]:
    """https://devcenter.heroku.com/articles/dyno-metadata"""
    default = env.get("HEROKU_APP_DEFAULT_DOMAIN_NAME")
    name = env.get("HEROKU_APP_NAME")
    return (_https(default), _https(f"{name}.herokuapp.com" if name and not default else None))


def _render(env: Env) -> tuple[str, ...]:
    """https://render.com/docs/environment-variables"""
    return (env.get("RENDER_EXTERNAL_URL", "").rstrip("/"),)


def _fly(env: Env) -> tuple[str, ...]:
    """https://fly.io/docs/machines/runtime-environment/"""
    name = env.get("FLY_APP_NAME")
    return (_https(f"{name}.fly.dev" if name else None),)


DETECTED: tuple[Callable[[Env], tuple[str, ...]], ...] = (
    _vercel,
    _netlify,
    _heroku,
    _render,
    _fly,
)
"""What each platform tells of an application's URL, the one to be called first."""
