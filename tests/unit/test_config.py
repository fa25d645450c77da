"""REDIS_URL in the form that names Sentinels: what is read from it, what is refused."""

from __future__ import annotations

import pytest

from lambdaqueue.config import SentinelUrl, Settings
from lambdaqueue.connection import connect
from lambdaqueue.errors import ConfigurationError

FORM = "redis+sentinel://"


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("a:1/s", SentinelUrl((("a", 1),), "s")),
        ("a/s", SentinelUrl((("a", 26_379),), "s")),
        ("a:1,b.example:2,[::1]:3,[fe80::2]/my.s-1/5",
         SentinelUrl(
             (("a", 1), ("b.example", 2), ("::1", 3), ("fe80::2", 26_379)), "my.s-1", 5)),
        (":pw@a:1/s/0", SentinelUrl((("a", 1),), "s", password="pw")),
        ("u:p%40%2F%3A%25@a:1/s/", SentinelUrl((("a", 1),), "s", user="u", password="p@/:%")),
        ("a:1/s?sentinel_password=x%26y",
         SentinelUrl((("a", 1),), "s", sentinel_password="x&y")),
        (":pw@a:1/s/2?sentinel_username=w&sentinel_password=x",
         SentinelUrl((("a", 1),), "s", 2, "", "pw", "w", "x")),
    ],
)  # fmt: skip
def test_what_is_read(url: str, parsed: SentinelUrl) -> None:
    assert SentinelUrl.parse(f"{FORM}{url}") == parsed
    assert Settings.from_env({"REDIS_URL": f"{FORM}{url}"}).redis_url == f"{FORM}{url}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a:1",  # no service
        "a:1/",
        "a:1/s/x",
        "a:1/s/1/2",
        "a:0/s",
        "a:65536/s",
        "a:x/s",
        "a:1,/s",
        ",a:1/s",
        "a:1 ,b:2/s",
        "::1/s",  # without brackets
        "pa55word@a:1/s",  # a user without a colon is neither
        ":pa55/word@a:1/s",
        ":pa55@word@a:1/s",
        ":pa55#word@a:1/s",
        "a:1/s?db=1",
        "a:1/s?sentinel_pasword=pa55word",
        "a:1/s#pa55word",
        "a:1/s\n",
    ],
)
def test_what_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL must") as refused:
        Settings.from_env({"REDIS_URL": f"{FORM}{url}"})
    assert "pa55" not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://a:1/0", "rediss://a:1", "unix:///a/b.sock?db=0"])
def test_other_urls_name_no_sentinels(url: str) -> None:
    assert SentinelUrl.parse(url) is None
    assert Settings.from_env({"REDIS_URL": url}).redis_url == url


def test_passwords_are_not_shown() -> None:
    url = f"{FORM}:pa55word@a:1/s?sentinel_password=pa55word"
    with connect(Settings(redis_url=url)) as client:
        pool = client.connection_pool
        shown = f"{SentinelUrl.parse(url)!r} {Settings(redis_url=url)!r} {client!r} {pool!r}"
    assert "pa55word" not in shown


@pytest.mark.parametrize(
    ("name", "value", "field", "read"),
    [
        ("LQ_LOG_FORMAT", "json", "log_format", "json"),
        ("LQ_METRICS_TOKEN", "x" * 16, "metrics_token", "x" * 16),
        ("LQ_METRICS_QUEUES", "2000", "metrics_queues", 2_000),
    ],
)
def test_what_watching_takes(name: str, value: str, field: str, read: object) -> None:
    assert getattr(Settings.from_env({name: value}), field) == read
    assert "x" * 16 not in repr(Settings.from_env({name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LQ_LOG_FORMAT", "JSON"),
        ("LQ_METRICS_TOKEN", "fifteen-letters"),
        ("LQ_METRICS_TOKEN", "with a space in it all"),
        ("LQ_METRICS_TOKEN", "x" * 257),
        ("LQ_METRICS_QUEUES", "0"),
        ("LQ_METRICS_QUEUES", "2001"),
    ],
)
def test_what_watching_refuses(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings.from_env({name: value})
    assert name in str(refused.value)
    assert value not in str(refused.value) or name == "LQ_METRICS_QUEUES"
