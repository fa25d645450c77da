"""Where things are: what is given, the environment, what platforms tell."""

from __future__ import annotations

import pytest

from lambdaqueue.sdk.errors import ConfigurationError
from lambdaqueue.sdk.settings import Settings, origin_of, parse_secrets
from lambdaqueue.signing import Secret

FIRST, SECOND = Secret(b"a" * 24).reveal(), Secret(b"b" * 24).reveal()


def _settings(**env: str) -> Settings:
    return Settings(env=env)


def test_what_is_given_comes_first() -> None:
    settings = Settings(
        env={
            "LQ_TOKEN": "env",
            "LQ_SECRET": FIRST,
            "LQ_API_URL": "http://env",
            "LQ_BASE_URL": "http://env",
        },
        given_token="given",
        given_secret=SECOND,
        given_api_url="https://given/",
        given_base_url="https://given/app/",
    )
    assert settings.token() == "given"
    assert settings.secrets() == (Secret(b"b" * 24),)
    assert settings.api_url() == "https://given"
    assert settings.base_url() == "https://given/app"


def test_the_environment_is_read_when_it_is_needed() -> None:
    env: dict[str, str] = {}
    settings = Settings(env=env)
    env["LQ_TOKEN"] = "later"
    assert settings.token() == "later"


@pytest.mark.parametrize("env", [{}, {"LQ_TOKEN": "", "LQ_SECRET": " ", "LQ_BASE_URL": ""}])
def test_what_is_missing_is_named_with_its_cure(env: dict[str, str]) -> None:
    settings = Settings(env=env)
    with pytest.raises(ConfigurationError, match=r"set LQ_TOKEN .*or give LambdaQueue\(token="):
        settings.token()
    with pytest.raises(ConfigurationError, match=r"set LQ_SECRET .*or give LambdaQueue\(secret="):
        settings.secrets()
    with pytest.raises(ConfigurationError, match=r"set LQ_BASE_URL .*, or give a queue target="):
        settings.base_url()
    assert settings.base_urls() == ()
    assert settings.api_url() == "http://127.0.0.1:8080"


@pytest.mark.parametrize("token", ["lqk a", "lqk\n", "lqk\x00", "lqké"])
def test_tokens_that_are_none_are_not_shown(token: str) -> None:
    with pytest.raises(ConfigurationError, match="LQ_TOKEN has a space") as caught:
        _settings(LQ_TOKEN=token).token()
    assert token not in str(caught.value)


@pytest.mark.parametrize("url", ["x", "ftp://x", "http://x/api/v1", "http://a:b@x", "http://x?y"])
def test_api_urls_that_are_no_origins(url: str) -> None:
    with pytest.raises(ConfigurationError, match="LQ_API_URL must be an origin"):
        _settings(LQ_API_URL=url).api_url()


@pytest.mark.parametrize("url", ["x", "ftp://x", "http://a:b@x", "http://x?y", "http://x#y"])
def test_base_urls_that_are_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="LQ_BASE_URL must be a URL"):
        _settings(LQ_BASE_URL=url).base_urls()


def test_two_secrets() -> None:
    expected = (Secret(b"a" * 24), Secret(b"b" * 24))
    assert _settings(LQ_SECRET=f"{FIRST} {SECOND}").secrets() == expected
    assert _settings(LQ_SECRET=f" {FIRST}\n{SECOND}\n").secrets() == expected


@pytest.mark.parametrize(
    "text", ["", f"{FIRST} {SECOND} {FIRST}", "whsec_short", f"{FIRST},{SECOND}"]
)
def test_secrets_that_are_none_are_not_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^the queue's") as caught:
        parse_secrets(text, "the queue's")
    assert not text or text not in str(caught.value)


def test_nothing_secret_is_shown() -> None:
    settings = Settings(env={"LQ_TOKEN": "t0ken"}, given_token="t0ken", given_secret="s3cret")
    assert "t0ken" not in repr(settings)
    assert "s3cret" not in repr(settings)


VERCEL = {
    "VERCEL": "1",
    "VERCEL_URL": "app-git-x.vercel.app",
    "VERCEL_BRANCH_URL": "app-x.vercel.app",
    "VERCEL_PROJECT_PRODUCTION_URL": "app.com",
}


@pytest.mark.parametrize(
    ("env", "urls"),
    [
        (
            {**VERCEL, "VERCEL_ENV": "production"},
            ("https://app.com", "https://app-git-x.vercel.app", "https://app-x.vercel.app"),
        ),
        (
            {**VERCEL, "VERCEL_ENV": "preview"},
            ("https://app-git-x.vercel.app", "https://app-x.vercel.app"),
        ),
        ({"VERCEL": "1", "VERCEL_ENV": "development"}, ()),
        (
            {"NETLIFY": "true", "URL": "https://a.com", "DEPLOY_PRIME_URL": "https://x--a.app"},
            ("https://a.com", "https://x--a.app"),
        ),
        (
            {
                "NETLIFY": "true",
                "CONTEXT": "deploy-preview",
                "URL": "https://a.com",
                "DEPLOY_PRIME_URL": "https://x--a.app",
            },
            ("https://x--a.app",),
        ),
        # Many things set URL; alone it says nothing of Netlify.
        ({"URL": "https://a.com"}, ()),
        (
            {"HEROKU_APP_DEFAULT_DOMAIN_NAME": "a-1.herokuapp.com", "HEROKU_APP_NAME": "a"},
            ("https://a-1.herokuapp.com",),
        ),
        ({"HEROKU_APP_NAME": "a"}, ("https://a.herokuapp.com",)),
        ({"RENDER_EXTERNAL_URL": "https://a.onrender.com"}, ("https://a.onrender.com",)),
        ({"FLY_APP_NAME": "a"}, ("https://a.fly.dev",)),
        ({**VERCEL, "LQ_BASE_URL": "https://mine"}, ("https://mine",)),
    ],
)
def test_platforms(env: dict[str, str], urls: tuple[str, ...]) -> None:
    assert Settings(env=env).base_urls() == urls


BYPASS = {**VERCEL, "VERCEL_ENV": "preview", "VERCEL_AUTOMATION_BYPASS_SECRET": "b"}


@pytest.mark.parametrize(
    ("env", "target", "sent"),
    [
        (BYPASS, "https://app-git-x.vercel.app/q", True),
        (BYPASS, "https://APP-GIT-X.vercel.app:443/q", True),
        (BYPASS, "https://app.com/q", False),
        (BYPASS, "https://app-git-x.vercel.app.evil.com/q", False),
        (BYPASS, "https://app-git-x.vercel.app@evil.com/q", False),
        (BYPASS, "http://app-git-x.vercel.app/q", False),
        ({**BYPASS, "VERCEL": ""}, "https://app-git-x.vercel.app/q", False),
        ({**BYPASS, "VERCEL_AUTOMATION_BYPASS_SECRET": ""}, "https://app-git-x.vercel.app/", False),
    ],
)
def test_the_bypass_goes_to_this_deployment_alone(
    env: dict[str, str], target: str, sent: bool
) -> None:
    expected = {"x-vercel-protection-bypass": "b"} if sent else {}
    assert Settings(env=env).bypass_headers(target) == expected


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://A.com", ("https", "a.com", 443)),
        ("http://a.com:8080", ("http", "a.com", 8080)),
        ("http://[::1]:80", ("http", "[::1]", 80)),
        ("http://a.com/", None),
        ("http://u@a.com", None),
        ("a.com", None),
    ],
)
def test_origins(url: str, origin: tuple[str, str, int] | None) -> None:
    assert origin_of(url) == origin
