from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import pycurl
import pytest
import requests
import urllib3
import yarl
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdaqueue.addresses import AddressRules
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.targets import (
    KNOWN_URLS,
    LOOPBACK_HOSTS,
    RULES,
    Destination,
    TargetRules,
    without_query,
)

PUBLIC = TargetRules()
DEVELOPMENT = TargetRules(loopback=True)
OPENED = TargetRules(AddressRules.parse(["10.0.0.0/8", "127.0.0.0/8", "fd00::/8"]))
EVERYTHING = TargetRules(AddressRules.parse(["0.0.0.0/0", "::/0"]))

HTTPS = "https://"
LABEL_63 = "a" * 63
NAME_253 = ".".join(["a" * 49] * 5 + ["abc"])
LONGEST_PATH = "/" + "a" * (2_048 - len("https://example.org/"))
V6 = "2606:2800::1"

# Rules, URL; then the host, the port, the addresses to dial, and scheme and path of the endpoint.
ACCEPTED = [
    (PUBLIC, "https://example.org", "example.org", 443, (), "/"),
    (PUBLIC, "https://example.org/", "example.org", 443, (), "/"),
    (PUBLIC, "https://example.org?x", "example.org", 443, (), "/"),
    (PUBLIC, "https://example.org:443/hook", "example.org", 443, (), "/hook"),
    (PUBLIC, "https://example.org:8443?x=http://a@b/c?d", "example.org", 8_443, (), "/"),
    (PUBLIC, "https://example.org?@evil.example", "example.org", 443, (), "/"),
    (PUBLIC, "https://example.org/@evil.example:80", "example.org", 443, (), "/@evil.example:80"),
    (PUBLIC, "https://example.org/a@b:c", "example.org", 443, (), "/a@b:c"),
    (PUBLIC, "https://Hooks.EXAMPLE.Org/Hook", "hooks.example.org", 443, (), "/Hook"),
    (PUBLIC, "https://example.org//a/../b/./", "example.org", 443, (), "//a/../b/./"),
    (PUBLIC, "https://example.org/;=1,2~/!$&'()*+", "example.org", 443, (), "/;=1,2~/!$&'()*+"),
    (PUBLIC, "https://example.org/%00%2F%c3?%0d%0a", "example.org", 443, (), "/%00%2F%c3"),
    (PUBLIC, "https://a.b/", "a.b", 443, (), "/"),
    (PUBLIC, "https://a-b.c--d.xn--p1ai/", "a-b.c--d.xn--p1ai", 443, (), "/"),
    (PUBLIC, "https://1.2.3.4.example.org/", "1.2.3.4.example.org", 443, (), "/"),
    (PUBLIC, "https://0x7f.1.0xg/", "0x7f.1.0xg", 443, (), "/"),
    (PUBLIC, "https://1a.2b/", "1a.2b", 443, (), "/"),
    # What these names resolve to is judged when they are dialled.
    (PUBLIC, "https://127.0.0.1.nip.io/", "127.0.0.1.nip.io", 443, (), "/"),
    (PUBLIC, "https://localhost.example.org/", "localhost.example.org", 443, (), "/"),
    (PUBLIC, "https://notlocal.latest/", "notlocal.latest", 443, (), "/"),
    (PUBLIC, "https://home-arpa.svcs/", "home-arpa.svcs", 443, (), "/"),
    (PUBLIC, f"https://{LABEL_63}.org/", f"{LABEL_63}.org", 443, (), "/"),
    (PUBLIC, f"https://{NAME_253}/", NAME_253, 443, (), "/"),
    (PUBLIC, f"https://example.org{LONGEST_PATH}", "example.org", 443, (), LONGEST_PATH),
    (PUBLIC, "https://8.8.8.8/", "8.8.8.8", 443, ("8.8.8.8",), "/"),
    (PUBLIC, "https://93.184.216.34:8443", "93.184.216.34", 8_443, ("93.184.216.34",), "/"),
    (PUBLIC, f"https://[{V6}]/x", V6, 443, (V6,), "/x"),
    (PUBLIC, f"https://[{V6}]:8443", V6, 8_443, (V6,), "/"),
    (PUBLIC, "https://[2a00::1:0:0:1]/", "2a00::1:0:0:1", 443, ("2a00::1:0:0:1",), "/"),
    (PUBLIC, "https://[64:ff9b::808:808]/", "64:ff9b::808:808", 443, ("64:ff9b::808:808",), "/"),
    (DEVELOPMENT, "https://example.org/hook", "example.org", 443, (), "/hook"),
    (DEVELOPMENT, "https://8.8.8.8/", "8.8.8.8", 443, ("8.8.8.8",), "/"),
    (OPENED, "https://10.1.2.3/", "10.1.2.3", 443, ("10.1.2.3",), "/"),
    (OPENED, "https://127.0.0.1:8443/", "127.0.0.1", 8_443, ("127.0.0.1",), "/"),
    (OPENED, "https://[fd00::1]/", "fd00::1", 443, ("fd00::1",), "/"),
    (OPENED, "https://8.8.8.8/", "8.8.8.8", 443, ("8.8.8.8",), "/"),
    (EVERYTHING, "https://[::1]/", "::1", 443, ("::1",), "/"),
    (EVERYTHING, "https://[::7f00:1]/", "::7f00:1", 443, ("::7f00:1",), "/"),
    (EVERYTHING, "https://0.0.0.0/", "0.0.0.0", 443, ("0.0.0.0",), "/"),
]  # fmt: skip

# URL; then the host, the port, the addresses to dial, and the endpoint.
BOTH = ("127.0.0.1", "::1")
LOOPBACK = [
    ("http://127.0.0.1", "127.0.0.1", 80, BOTH[:1], "http://127.0.0.1:80/"),
    ("https://127.0.0.1/", "127.0.0.1", 443, BOTH[:1], "https://127.0.0.1:443/"),
    ("http://[::1]:9000/a?b", "::1", 9_000, BOTH[1:], "http://[::1]:9000/a"),
    ("http://localhost", "localhost", 80, BOTH, "http://localhost:80/"),
    ("https://localhost", "localhost", 443, BOTH, "https://localhost:443/"),
    ("http://localhost:1/", "localhost", 1, BOTH, "http://localhost:1/"),
    ("https://localhost:22", "localhost", 22, BOTH, "https://localhost:22/"),
    ("http://localhost:65535/hook", "localhost", 65_535, BOTH, "http://localhost:65535/hook"),
    ("http://127.0.0.1?x", "127.0.0.1", 80, BOTH[:1], "http://127.0.0.1:80/"),
    ("http://127.0.0.1:80?x=http://a@b", "127.0.0.1", 80, BOTH[:1], "http://127.0.0.1:80/"),
]

# What is refused whatever is opened.
MALFORMED = [
    (f"https://example.org{LONGEST_PATH}a", "too_long"),
    ("https://example.org/?" + "a" * 10_000, "too_long"),
    ("", "scheme_not_allowed"),
    ("example.org", "scheme_not_allowed"),
    ("example.org:443", "scheme_not_allowed"),
    ("//example.org/", "scheme_not_allowed"),
    ("http://example.org/", "scheme_not_allowed"),
    ("http://example.org:443/", "scheme_not_allowed"),
    ("http://8.8.8.8/", "scheme_not_allowed"),
    ("http://127.0.0.2:9000/", "scheme_not_allowed"),
    ("http://LOCALHOST/", "scheme_not_allowed"),
    ("http://Localhost:9000/", "scheme_not_allowed"),
    ("http://localhost.:9000/", "scheme_not_allowed"),
    ("http://localhost.example.org/", "scheme_not_allowed"),
    ("http://127.1:9000/", "scheme_not_allowed"),
    ("http://[::0001]/", "scheme_not_allowed"),
    ("ftp://example.org/", "scheme_not_allowed"),
    ("wss://example.org/", "scheme_not_allowed"),
    ("file:///etc/passwd", "scheme_not_allowed"),
    ("gopher://127.0.0.1:6379/_FLUSHALL", "scheme_not_allowed"),
    ("javascript:alert(1)", "scheme_not_allowed"),
    ("HTTPS://example.org/", "scheme_not_allowed"),
    ("Https://example.org/", "scheme_not_allowed"),
    ("https:/example.org/", "scheme_not_allowed"),
    ("https:example.org", "scheme_not_allowed"),
    ("https//example.org", "scheme_not_allowed"),
    ("xhttps://example.org", "scheme_not_allowed"),
    ("url:https://example.org", "scheme_not_allowed"),
    ("https://user@example.org/", "userinfo"),
    ("https://user:hunter2@example.org/", "userinfo"),
    ("https://@example.org/", "userinfo"),
    ("https://:@example.org/", "userinfo"),
    ("https://example.org@", "userinfo"),
    ("https://example.org:443@8.8.8.8/", "userinfo"),
    ("https://example.org%2F@8.8.8.8/", "userinfo"),
    ("https://a@b@example.org/", "userinfo"),
    ("https://localhost:80@example.org/", "userinfo"),
    ("https://[::1]@example.org/", "userinfo"),
    ("https://example.org&@8.8.8.8/", "userinfo"),
    ("https://example.org/#", "fragment"),
    ("https://example.org#@evil.example/", "fragment"),
    ("https://example.org/?a#b", "fragment"),
    ("https://evil.example#.example.org", "fragment"),
    (" https://example.org/", "whitespace"),
    ("https://example.org/ ", "whitespace"),
    ("https://example.org/\n", "whitespace"),
    ("https://example.org\n", "whitespace"),
    ("https://example.org:443\n", "whitespace"),
    ("https://exam\tple.org/", "whitespace"),
    ("ht\ntps://example.org/", "whitespace"),
    ("https://example.org/a\r\nX: y", "whitespace"),
    ("https://example.org @8.8.8.8/", "whitespace"),
    ("https://127.0.0.1 /", "whitespace"),
    ("https://example.org/\x0b", "whitespace"),
    ("https://example.org/\x00", "control_character"),
    ("https://example.org\x00.evil.example/", "control_character"),
    ("\x00https://example.org/", "control_character"),
    ("https://example.org/\x1f", "control_character"),
    ("https://example.org/\x7f", "control_character"),
    ("https://example.org\\@evil.example/", "backslash"),
    ("https://evil.example\\.example.org/", "backslash"),
    ("https:\\\\example.org/", "backslash"),
    ("https:/\\example.org/", "backslash"),
    ("https://example.org/a\\b", "backslash"),
    ("https://example.org/\u00e9", "not_ascii"),
    ("https://b\u00fccher.example/", "not_ascii"),
    ("https://\uff45xample.org/", "not_ascii"),
    ("https://example\u3002org/", "not_ascii"),
    ("https://example.org\uff0f.evil.example/", "not_ascii"),
    ("https://example.org\uff20evil.example/", "not_ascii"),
    ("https://\u2460\u2461\u2466.0.0.1/", "not_ascii"),
    ("https://\u0661\u0662\u0667.0.0.1/", "not_ascii"),
    ("https://\uff11\uff12\uff17.0.0.1/", "not_ascii"),
    ("https://\U0001d7cf27.0.0.1/", "not_ascii"),
    ("https://localho\u017ft/", "not_ascii"),
    ("https://\u2139nternal/", "not_ascii"),
    ("https://example.org\u00ad/", "not_ascii"),
    ("https://example.org/\u2028", "not_ascii"),
    ("https://example.org/\u00a0", "not_ascii"),
    ("https://example.org/\ud800", "not_ascii"),
    ("https://my_service.example.org/", "underscore"),
    ("https://_dmarc.example.org/", "underscore"),
    ("https://redis_1/", "underscore"),
    ("https://redis/", "single_label"),
    ("https://com/", "single_label"),
    ("https://metadata/", "single_label"),
    ("https://ip6-localhost/", "single_label"),
    ("https://ip6-loopback/", "single_label"),
    ("https://0xg/", "single_label"),
    ("https://example.org./", "trailing_dot"),
    ("https://localhost./", "trailing_dot"),
    ("https://metadata.google.internal./", "trailing_dot"),
    ("https://127.0.0.1./", "trailing_dot"),
    ("https://2130706433./", "trailing_dot"),
    ("https://redis./", "trailing_dot"),
    ("https://./", "trailing_dot"),
    ("https://example.org../", "trailing_dot"),
    ("https://LOCALHOST/", "reserved_name"),
    ("https://Localhost/", "reserved_name"),
    ("https://foo.localhost/", "reserved_name"),
    ("https://127.0.0.1.localhost/", "reserved_name"),
    ("https://localhost.localdomain/", "reserved_name"),
    ("https://localhost4.localdomain4.localdomain/", "reserved_name"),
    ("https://printer.local/", "reserved_name"),
    ("https://local/", "reserved_name"),
    ("https://redis.default.svc.cluster.local/", "reserved_name"),
    ("https://redis.default.svc/", "reserved_name"),
    ("https://kubernetes.default.SVC/", "reserved_name"),
    ("https://fritz.lan/", "reserved_name"),
    ("https://metadata.google.internal/", "reserved_name"),
    ("https://host.docker.internal/", "reserved_name"),
    ("https://ip-10-0-0-1.ec2.Internal/", "reserved_name"),
    ("https://home.arpa/", "reserved_name"),
    ("https://nas.home.arpa/", "reserved_name"),
    ("https://a.test/", "reserved_name"),
    ("https://a.invalid/", "reserved_name"),
    ("https://a.onion/", "reserved_name"),
    ("https:///hook", "malformed_host"),
    ("https://", "malformed_host"),
    ("https://?x", "malformed_host"),
    ("https:////example.org/", "malformed_host"),
    ("https://:443/", "malformed_host"),
    ("https://-1/", "malformed_host"),
    ("https://.example.org/", "malformed_host"),
    ("https://example..org/", "malformed_host"),
    ("https://-example.org/", "malformed_host"),
    ("https://example-.org/", "malformed_host"),
    ("https://example.org-/", "malformed_host"),
    ("https://example.-/", "malformed_host"),
    (f"https://{LABEL_63}a.org/", "malformed_host"),
    (f"https://{NAME_253}d/", "malformed_host"),
    ("https://ex%61mple.org/", "malformed_host"),
    ("https://localhos%74/", "malformed_host"),
    ("https://%31%32%37.0.0.1.nip.io/", "malformed_host"),
    ("https://example.org%2f.evil.example/", "malformed_host"),
    ("https://example.org%00.evil.example/", "malformed_host"),
    ("https://example.org%23.evil.example/", "malformed_host"),
    ("https://example.org;.evil.example/", "malformed_host"),
    ("https://example.org,evil.example/", "malformed_host"),
    ("https://exam!ple.org/", "malformed_host"),
    ("https://*.example.org/", "malformed_host"),
    ("https://${jndi:ldap://evil.example}/", "malformed_host"),
    ("https://{host}/", "malformed_host"),
    ('https://example.org"/', "malformed_host"),
    ("https://example.org|evil.example/", "malformed_host"),
    ("https://[::1", "malformed_host"),
    ("https://::1]/", "malformed_host"),
    ("https://[::1]x/", "malformed_host"),
    ("https://[::1].example.org/", "malformed_host"),
    ("https://x[::1]/", "malformed_host"),
    ("https://[[::1]]/", "malformed_host"),
    ("https://example.org:/", "port_not_allowed"),
    ("https://example.org:", "port_not_allowed"),
    ("https://example.org:0/", "port_not_allowed"),
    ("https://example.org:80/", "port_not_allowed"),
    ("https://example.org:22", "port_not_allowed"),
    ("https://example.org:444/", "port_not_allowed"),
    ("https://example.org:4430/", "port_not_allowed"),
    ("https://example.org:0443/", "port_not_allowed"),
    ("https://example.org:+443/", "port_not_allowed"),
    ("https://example.org:-443/", "port_not_allowed"),
    ("https://example.org:443.0/", "port_not_allowed"),
    ("https://example.org:0x1bb/", "port_not_allowed"),
    ("https://example.org:4_43/", "port_not_allowed"),
    ("https://example.org:65979/", "port_not_allowed"),
    ("https://example.org:4294967739/", "port_not_allowed"),
    (f"https://example.org:{'4' * 1_000}/", "port_not_allowed"),
    ("https://example.org:https/", "port_not_allowed"),
    ("https://example.org:443:443/", "port_not_allowed"),
    ("https://8.8.8.8:53/", "port_not_allowed"),
    (f"https://[{V6}]:80/", "port_not_allowed"),
    ("https://example.org/%", "malformed"),
    ("https://example.org/%zz", "malformed"),
    ("https://example.org/?a=%4", "malformed"),
    ("https://example.org/[", "malformed"),
    ("https://example.org/{id}", "malformed"),
    ('https://example.org/"', "malformed"),
    ("https://example.org/<x>", "malformed"),
    ("https://example.org/a|b", "malformed"),
    ("https://example.org/?a^b`", "malformed"),
]

NOT_CANONICAL = [
    "127.1", "127.0.1", "2130706433", "0x7f000001", "0X7F000001", "0x7f.0.0.1", "0x7f.1",
    "017700000001", "0177.0.0.1", "0177.1", "127.0.0.01", "127.0.0.0x1", "127.000.000.001",
    "00127.0.0.1", "0", "0.0", "00000000", "0xa9fea9fe", "2852039166", "169.254.43518",
    "0xA9.0xFE.0xA9.0xFE", "0251.0376.0251.0376", "8.8.2056", "010.8.8.8", "134744072",
]  # fmt: skip
"""Spellings of IPv4 that getaddrinfo understands, public and other."""

NO_ADDRESS = [
    "256.0.0.1", "1.2.3.4.5", "127.0.0.1.0x", "4294967296", "0x", "0x100000000", "08", "1..2",
    ".1", "example.1", "example.0x1", "my_host.9", f"[{V6}%25eth0]", f"[{V6}%eth0]", f"[{V6}%1]",
    "[fe80::1%25lo]", "[::1%25lo]", "[2606:2800:0:0:0:0:0:1]", "[2606:2800::0001]",
    "[2606:2800:0::1]", "[2A00::1]", "[2a00::1:0:0:0:1]", "[::ffff:8.8.8.8]", "[::ffff:808:808]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:127.0.0.1]", "[::127.0.0.1]",
    "[64:ff9b::8.8.8.8]", "[0:0:0:0:0:0:0:1]", "[::01]", "[]", "[:]", "[:::]", "[1::2::3]",
    "[8.8.8.8]", "[127.0.0.1]", "[localhost]", "[example.org]", "[v1.fe80]", "[::1%]", "::1",
    "fe80::1", "2606:2800::1", "::ffff:127.0.0.1",
]  # fmt: skip

NOT_PUBLIC = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.0.0.2",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "[::]", "[::1]", "[::7f00:1]",
    "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]", "[100::1]", "[2001::1]",
    "[2001:2::1]", "[2001:db8::1]", "[2002:7f00:1::1]", "[3fff::1]", "[fc00::1]",
    "[fd00:ec2::254]", "[fe80::1]", "[fec0::1]", "[ff02::1]",
]  # fmt: skip


def code_of(check: Callable[[str], object], url: str) -> str:
    """The one broken rule that `url` is refused with; empty when it isn't refused."""
    try:
        check(url)
    except InvalidRequest as refused:
        (issue,) = refused.issues
        assert issue.path == ("target",)
        return issue.code
    return ""


@pytest.mark.parametrize(("rules", "url", "host", "port", "addresses", "path"), ACCEPTED)
def test_what_is_accepted(
    rules: TargetRules, url: str, host: str, port: int, addresses: tuple[str, ...], path: str
) -> None:
    assert rules.check(url) is url
    endpoint = f"https://{bracketed(host)}:{port}{path}"
    assert rules.destination(url) == Destination(host, port, addresses, False, endpoint)


@pytest.mark.parametrize(("url", "host", "port", "addresses", "endpoint"), LOOPBACK)
def test_what_development_accepts_besides(
    url: str, host: str, port: int, addresses: tuple[str, ...], endpoint: str
) -> None:
    assert DEVELOPMENT.check(url) is url
    assert DEVELOPMENT.destination(url) == Destination(host, port, addresses, True, endpoint)
    assert code_of(PUBLIC.check, url) in ("scheme_not_allowed", "ip_not_public", "reserved_name")
    refused_by_all_others = url.startswith("http:") or "localhost" in url
    assert bool(code_of(EVERYTHING.check, url)) is refused_by_all_others


@pytest.mark.parametrize(("url", "code"), MALFORMED)
def test_what_is_refused(url: str, code: str) -> None:
    for rules in (PUBLIC, OPENED, DEVELOPMENT, EVERYTHING):
        assert code_of(rules.check, url) == code_of(rules.destination, url) == code


@pytest.mark.parametrize("host", NOT_CANONICAL + NO_ADDRESS)
def test_an_address_has_one_spelling(host: str) -> None:
    for rules in (PUBLIC, DEVELOPMENT, EVERYTHING):
        assert code_of(rules.check, f"https://{host}/") == "ip_not_canonical"
        assert code_of(rules.check, f"https://{host}:443/") == "ip_not_canonical"


@pytest.mark.parametrize("host", NOT_CANONICAL)
def test_getaddrinfo_would_understand(host: str) -> None:
    assert socket.getaddrinfo(host, 443, flags=socket.AI_NUMERICHOST)


@pytest.mark.parametrize("host", NOT_PUBLIC)
def test_an_address_is_public_or_opened(host: str) -> None:
    url = f"https://{host}/"
    assert code_of(PUBLIC.check, url) == "ip_not_public"
    assert code_of(EVERYTHING.check, url) == ""
    assert (code_of(DEVELOPMENT.check, url) == "") is (host in LOOPBACK_HOSTS)


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
@pytest.mark.parametrize("port", [":", ":0", ":080", ":65536", ":99999", ":100000", ":-1", ":x"])
def test_development_takes_any_real_port(host: str, port: str) -> None:
    assert code_of(DEVELOPMENT.check, f"http://{host}{port}/") == "port_not_allowed"
    assert code_of(DEVELOPMENT.check, f"https://{host}{port}") == "port_not_allowed"


@pytest.mark.parametrize(
    "url", ["https://[::ffff:127.0.0.1]/", "https://127.1/", "http://127.0.0.2/"]
)
def test_development_opens_nothing_else(url: str) -> None:
    assert code_of(DEVELOPMENT.check, url) in ("ip_not_canonical", "scheme_not_allowed")


def test_every_rule_is_in_these_tables() -> None:
    assert {code for _, code in MALFORMED} | {"ip_not_canonical", "ip_not_public"} == set(RULES)


def test_the_message_tells_the_rule_and_nothing_else() -> None:
    messages = set()
    for host in NOT_PUBLIC:
        with pytest.raises(InvalidRequest) as caught:
            PUBLIC.check(f"https://{host}/latest/meta-data/")
        messages.add(str(caught.value))
    assert messages == {"target: must not have an IP address that isn't public"}


@pytest.mark.parametrize(
    "url", ["https://u:hunter2@example.org/", "https://hunter2/", "https://x.org:80/hunter2"]
)
def test_the_message_repeats_nothing_of_the_url(url: str) -> None:
    for rules in (PUBLIC, DEVELOPMENT):
        with pytest.raises(InvalidRequest) as caught:
            rules.check(url)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://example.org/", "http:// before 127.0.0.1, [::1], localhost, spelt exactly so"),
        ("http://localhost:0/", "any from 1 to 65535 after 127.0.0.1, [::1], localhost"),
    ],
)
def test_development_tells_its_own_rule(url: str, part: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^target: must") as caught:
        DEVELOPMENT.check(url)
    assert part in str(caught.value)
    with pytest.raises(InvalidRequest) as caught:
        PUBLIC.check(url)
    assert "localhost" not in str(caught.value)


def test_the_endpoint_is_one_for_all_spellings() -> None:
    spellings = ("https://Example.org", "https://example.ORG:443/", "https://example.org/?a=1")
    assert {PUBLIC.destination(url).endpoint for url in spellings} == {"https://example.org:443/"}


def test_a_destination_is_worked_out_once() -> None:
    rules = TargetRules()
    first = rules.destination("https://example.org/")
    assert rules.destination("".join(["https://", "example.org/"])) is first
    for number in range(KNOWN_URLS):
        rules.check(f"https://example.org/{number}")
    again = rules.destination("https://example.org/")
    assert again == first
    assert again is not first


def test_rules_are_values_and_do_not_share_what_they_remember() -> None:
    assert TargetRules() == PUBLIC
    assert hash(TargetRules()) == hash(PUBLIC)
    assert PUBLIC != DEVELOPMENT
    opened = dataclasses.replace(PUBLIC, addresses=OPENED.addresses)
    assert opened == OPENED
    assert opened.check("https://10.0.0.1/")
    assert code_of(PUBLIC.check, "https://10.0.0.1/") == "ip_not_public"
    assert repr(PUBLIC) == "TargetRules(addresses=AddressRules(opened=()), loopback=False)"


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("https://example.org", "https://example.org"),
        ("https://example.org?a", "https://example.org"),
        ("https://example.org/a?b?c", "https://example.org/a"),
        ("https://Example.org:443/?", "https://Example.org:443/"),
    ],
)
def test_without_query(url: str, rest: str) -> None:
    assert without_query(url) == rest


# Several parsers, one reading: whoever logs, proxies, signs or dials a target sees the same host.

SOMEWHERE = "203.0.113.77"


def dialled(url: str, host: str, port: int) -> list[tuple[str, int]]:
    """Where libcurl, which sends our deliveries, would connect to; no packet leaves.

    It's told that `host` and `port` are SOMEWHERE, so what it reads otherwise isn't.
    """
    seen: list[tuple[str, int]] = []

    def refuse(purpose: int, address: tuple[int, int, int, tuple[str, int]]) -> int:
        seen.append(address[3][:2])
        return int(pycurl.SOCKET_BAD)

    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.RESOLVE, [f"{bracketed(host)}:{port}:{SOMEWHERE}"])
    curl.setopt(pycurl.OPENSOCKETFUNCTION, refuse)
    with pytest.raises(pycurl.error):
        curl.perform()
    curl.close()
    return seen


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def assert_one_reading(url: str, read: Destination) -> None:
    default = 80 if url.startswith("http:") else 443
    sent = requests.Request("GET", url).prepare().url
    assert sent is not None
    for text in (url, sent):
        split, parsed, other = urlsplit(text), urllib3.util.parse_url(text), yarl.URL(text)
        assert (split.hostname, split.port or default) == (read.host, read.port)
        assert (parsed.host, parsed.port or default) == (bracketed(read.host), read.port)
        assert (other.raw_host, other.port) == (read.host, read.port)
        assert split.username is split.password is parsed.auth is other.user is None
    assert dialled(url, read.host, read.port) == [(SOMEWHERE, read.port)]


@pytest.mark.parametrize("row", ACCEPTED, ids=lambda row: row[1])
def test_other_parsers_agree(row: tuple[TargetRules, str]) -> None:
    rules, url, *_ = row
    assert_one_reading(url, rules.destination(url))


@pytest.mark.parametrize("url", [row[0] for row in LOOPBACK])
def test_other_parsers_agree_on_loopback(url: str) -> None:
    assert_one_reading(url, DEVELOPMENT.destination(url))


PIECES = st.sampled_from(
    [
        *("example.org", "a.b", "org", "evil.example", "EXAMPLE", "localhost", "xn--", "xn--a.org"),
        *("8.8.8.8", "127.0.0.1", "[2606:2800::1]", "[::1]", "0x7f", "1", "443", "8443", "80"),
        *(":", "::", ":443", ".", "..", "-", "/", "//", "?", "#", "@", "u:p@", "\\", "\\\\"),
        *("%", "%40", "%2f", "%5c", "%00", "_", ";", "&", "=", "+", ",", "!", "*", "$", "'"),
        *("[", "]", "\t", "\n", "\r\n", " ", "\x00", "\x7f", "\xad", "\u3002", "\uff0f"),
        *("\uff20", "\u212a", "https://", "http://", "https:"),
    ]
)
BASES = [f"{base}/a" for base in ("example.org", "8.8.8.8:8443", f"[{V6}]", "x.example.org:443")]


@st.composite
def tampered(draw: st.DrawFn) -> str:
    """A good URL with dangerous pieces put in anywhere behind its scheme."""
    text = draw(st.sampled_from(BASES))
    for piece in draw(st.lists(PIECES, min_size=1, max_size=3)):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + piece + text[at:]
    return HTTPS + text


BUILT = st.lists(PIECES, max_size=7).map(lambda pieces: HTTPS + "".join(pieces))


# One in twenty is accepted.
@settings(max_examples=500)
@given(st.sampled_from([PUBLIC, EVERYTHING]), tampered() | BUILT)
def test_what_is_accepted_has_one_reading(rules: TargetRules, url: str) -> None:
    if code_of(rules.check, url) == "":
        assert_one_reading(url, rules.destination(url))


NUMBERS = st.integers(0, 2**32).flatmap(
    lambda n: st.sampled_from([str(n), hex(n), f"0{n:o}", f"0X{n:X}", f"00{n}", "0x", ""])
)
NUMERIC = st.lists(
    NUMBERS | st.integers(0, 255).map(str), min_size=1, max_size=5
).map(".".join) | st.text("0127.xXaAfF:%[]", min_size=1, max_size=12)  # fmt: skip


@given(NUMERIC)
def test_no_number_is_taken_for_a_name(host: str) -> None:
    if code_of(EVERYTHING.check, f"https://{host}/") == "":
        addresses = EVERYTHING.destination(f"https://{host}/").addresses
        assert addresses in ((), (host.strip("[]"),))
        assert bool(addresses) is is_numeric(host.strip("[]"))


def is_numeric(host: str) -> bool:
    """Whether getaddrinfo takes it for an address, without asking anybody."""
    try:
        socket.getaddrinfo(host, 443, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return False
    return True


@given(st.text(max_size=40) | st.builds("https://{}{}".format, st.text(max_size=30), st.text()))
def test_nothing_else_is_raised(url: str) -> None:
    for rules in (PUBLIC, DEVELOPMENT):
        assert code_of(rules.check, url) in {"", *RULES}
