from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaqueue.addresses import PUBLIC_ONLY, AddressRules, is_public
from lambdaqueue.errors import ConfigurationError

Row = tuple[str | None, ...]

# Each network: the last address before it, its first, one inside, its last, the first behind it.
# The neighbours are public unless another closed network begins there; None is the end of all.
IPV4: list[Row] = [
    (None, "0.0.0.0", "0.1.2.3", "0.255.255.255", "1.0.0.0"),
    ("9.255.255.255", "10.0.0.0", "10.1.2.3", "10.255.255.255", "11.0.0.0"),
    ("100.63.255.255", "100.64.0.0", "100.100.100.200", "100.127.255.255", "100.128.0.0"),
    ("126.255.255.255", "127.0.0.0", "127.0.0.1", "127.255.255.255", "128.0.0.0"),
    ("168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.16", "168.63.129.17"),
    ("169.253.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255", "169.255.0.0"),
    ("172.15.255.255", "172.16.0.0", "172.20.0.1", "172.31.255.255", "172.32.0.0"),
    ("191.255.255.255", "192.0.0.0", "192.0.0.192", "192.0.0.255", "192.0.1.0"),
    ("192.0.1.255", "192.0.2.0", "192.0.2.1", "192.0.2.255", "192.0.3.0"),
    ("192.31.195.255", "192.31.196.0", "192.31.196.1", "192.31.196.255", "192.31.197.0"),
    ("192.52.192.255", "192.52.193.0", "192.52.193.1", "192.52.193.255", "192.52.194.0"),
    ("192.88.98.255", "192.88.99.0", "192.88.99.2", "192.88.99.255", "192.88.100.0"),
    ("192.167.255.255", "192.168.0.0", "192.168.1.1", "192.168.255.255", "192.169.0.0"),
    ("192.175.47.255", "192.175.48.0", "192.175.48.6", "192.175.48.255", "192.175.49.0"),
    ("198.17.255.255", "198.18.0.0", "198.19.0.1", "198.19.255.255", "198.20.0.0"),
    ("198.51.99.255", "198.51.100.0", "198.51.100.7", "198.51.100.255", "198.51.101.0"),
    ("203.0.112.255", "203.0.113.0", "203.0.113.9", "203.0.113.255", "203.0.114.0"),
    ("223.255.255.255", "224.0.0.0", "239.255.255.250", "255.255.255.255", None),
]


def filled(prefix: str) -> str:
    """The last address of a network that ends in whole groups."""
    return prefix + ":ffff" * (7 - prefix.count(":"))


IPV6: list[Row] = [
    (None, "::", "::1", filled("1fff"), "2000::"),
    (filled("2000"), "2001::", "2001:0:1::1", filled("2001:1ff"), "2001:200::"),
    (filled("2001:db7"), "2001:db8::", "2001:db8::1", filled("2001:db8"), "2001:db9::"),
    (filled("2001"), "2002::", "2002:808:808::1", filled("2002"), "2003::"),
    (filled("2620:4f:7fff"), "2620:4f:8000::", None, filled("2620:4f:8000"), "2620:4f:8001::"),
    (filled("3ffe"), "3fff::", "3fff::1", filled("3fff:fff"), "3fff:1000::"),
    (filled("3fff"), "4000::", "8000::1", filled("ffff"), None),
]

CLOSED = {
    "0.0.0.0": "this host, RFC 1122",
    "192.0.0.9": "PCP anycast, RFC 7723",
    "192.0.0.10": "TURN anycast, RFC 8155",
    "192.0.0.170": "NAT64 discovery, RFC 7050",
    "224.0.0.1": "all hosts, RFC 1112",
    "232.1.1.1": "source-specific multicast, RFC 4607",
    "240.0.0.1": "reserved, RFC 1112",
    "255.255.255.255": "broadcast, RFC 919",
    "::": "unspecified, RFC 4291",
    "::1": "loopback, RFC 4291",
    "::8.8.8.8": "IPv4-compatible, RFC 4291",
    "::ffff:127.0.0.1": "mapped loopback, RFC 4291",
    "::ffff:8.8.8.8": "mapped, though public: dial the IPv4 address",
    "::ffff:0:8.8.8.8": "translated, RFC 2765",
    "64:ff9b::127.0.0.1": "NAT64 of loopback, RFC 6052",
    "64:ff9b::10.0.0.1": "NAT64 of a private address",
    "64:ff9b::169.254.169.254": "NAT64 of a metadata service",
    "64:ff9b::168.63.129.16": "NAT64 of Azure's",
    "64:ff9b::1:8.8.8.8": "beside NAT64's /96",
    "64:ff9b:1::8.8.8.8": "local NAT64, RFC 8215",
    "100::1": "discard only, RFC 6666",
    "100:0:0:1::1": "dummy prefix, RFC 9780",
    "2001::1": "Teredo, RFC 4380",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": "Teredo, RFC 4380",
    "2001:1::1": "PCP anycast, RFC 7723",
    "2001:2::1": "benchmarking, RFC 5180",
    "2001:3::1": "AMT, RFC 7450",
    "2001:4:112::1": "AS112, RFC 7535",
    "2001:10::1": "ORCHID, RFC 4843",
    "2001:20::1": "ORCHIDv2, RFC 7343",
    "2001:30::1": "drones, RFC 9374",
    "2001:db8::1": "documentation, RFC 3849",
    "2002:7f00:1::1": "6to4 of loopback, RFC 3056",
    "2002:a9fe:a9fe::1": "6to4 of a metadata service",
    "3fff::1": "documentation, RFC 9637",
    "5f00::1": "segment routing, RFC 9602",
    "fc00::1": "unique local, RFC 4193",
    "fd00:ec2::254": "unique local: Amazon's metadata",
    "fd20:ce::254": "unique local: Google's metadata",
    "fe80::1": "link-local, RFC 4291",
    "fe80::a9fe:a9fe": "link-local metadata",
    "febf::1": "link-local, RFC 4291",
    "fec0::1": "site-local, RFC 3879",
    "ff02::1": "multicast, RFC 4291",
    "ff0e::1": "multicast of global scope",
    "2606:2800::1%eth0": "a zone, RFC 4007: of this machine only",
    "64:ff9b::8.8.8.8%1": "the same through NAT64",
}

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "192.0.1.1",
    "223.255.255.254",
    "2001:4860:4860::8888",
    "2400:cb00::1",
    "2606:2800:220:1:248:1893:25c8:1946",
    "2a00:1450::5efe:808:808",
    "64:ff9b::8.8.8.8",
    "64:ff9b::1.1.1.1",
]


@pytest.mark.parametrize("row", IPV4 + IPV6, ids=lambda row: row[1])
def test_each_network_from_its_first_address_to_its_last(row: Row) -> None:
    before, *closed, behind = row
    assert [text for text in filter(None, closed) if is_public(ip_address(text))] == []
    assert [
        text for text in filter(None, (before, behind)) if not is_public(ip_address(text))
    ] == []


@pytest.mark.parametrize("row", IPV4, ids=lambda row: row[1])
def test_nat64_is_the_address_inside(row: Row) -> None:
    for text in filter(None, row):
        assert is_public(ip_address(f"64:ff9b::{text}")) is is_public(ip_address(text))


@pytest.mark.parametrize("text", CLOSED)
def test_what_is_closed(text: str) -> None:
    assert not is_public(ip_address(text))
    assert not PUBLIC_ONLY.permits(text)
    assert not PUBLIC_ONLY.permits(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public(text: str) -> None:
    assert is_public(ip_address(text))
    assert PUBLIC_ONLY.permits(text)
    assert PUBLIC_ONLY.permits(ip_address(text))


# A second opinion. It's looser than ours, and differs from version to version of Python.
@given(st.ip_addresses())
def test_nothing_is_public_that_the_standard_library_calls_special(
    address: IPv4Address | IPv6Address,
) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:{}", "::{}", "::ffff:0:{}"]))
def test_no_other_embedded_form_is_public(address: IPv4Address, form: str) -> None:
    assert not is_public(ip_address(form.format(address)))
    assert not is_public(IPv6Address((0x2002 << 112) + (int(address) << 80) + 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "example.org",
        "127.1",
        "8.8.8",
        "08.8.8.8",
        "8.8.8.8.",
        "8.8.8.8 ",
        "8.8.8.8/32",
        "8.8.8.8:443",
        "0x08080808",
        "134744072",
        "[2606:2800::1]",
        "2606:2800::1::",
        "2606:2800::1%",
        "\uff18.8.8.8",
        "\u0668.8.8.8",
        "8.8.8.8\x00",
        "\ud800",
    ],
)
def test_what_is_no_address_is_not_permitted(text: str) -> None:
    everything = AddressRules.parse(["0.0.0.0/0", "::/0"])
    assert not everything.permits(text)
    assert not PUBLIC_ONLY.permits(text)


@pytest.mark.parametrize(
    ("opened", "permitted", "refused"),
    [
        ([], ["8.8.8.8"], ["10.0.0.1", "::1"]),
        (["10.0.0.0/8"], ["10.0.0.0", "10.255.255.255", "8.8.8.8"], ["172.16.0.1", "127.0.0.1"]),
        # An opened range stands for itself, whatever else may lead to it.
        (["10.0.0.0/8"], ["10.0.0.1"], ["::ffff:10.0.0.1", "::10.0.0.1", "64:ff9b::10.0.0.1"]),
        (["0.0.0.0/0"], ["127.0.0.1", "255.255.255.255"], ["::1", "::ffff:127.0.0.1", "fd00::1"]),
        (["::/0"], ["::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"], ["127.0.0.1", "10.0.0.1"]),
        (["fd00::/8"], ["fd00::1", "fdff::1"], ["fc00::1", "fd00::1%eth0", "fd00::1%1"]),
        (["fe80::/10"], ["fe80::1"], ["fe80::1%lo", "fec0::1"]),
        (["127.0.0.2"], ["127.0.0.2"], ["127.0.0.1", "127.0.0.3"]),
        (["::1"], ["::1"], ["::", "::2", "127.0.0.1"]),
        (["10.1.0.0/16", "fd00::/8", "127.0.0.0/8"], ["10.1.2.3", "fd00::1"], ["10.2.0.1", "::1"]),
    ],
)
def test_opened_ranges(opened: list[str], permitted: list[str], refused: list[str]) -> None:
    rules = AddressRules.parse(opened)
    assert [text for text in permitted if not rules.permits(text)] == []
    assert [text for text in refused if rules.permits(text)] == []
    addresses = [ip_address(text) for text in permitted]
    assert [address for address in addresses if not rules.permits(address)] == []
    assert [text for text in refused if rules.permits(ip_address(text))] == []


def test_rules_do_not_share_what_they_remember() -> None:
    opened = AddressRules.parse(["10.0.0.0/8"])
    assert [rules.permits("10.0.0.1") for rules in (opened, PUBLIC_ONLY, opened)] == [
        True,
        False,
        True,
    ]


def test_rules_are_values() -> None:
    assert AddressRules.parse([]) == AddressRules() == PUBLIC_ONLY
    assert AddressRules.parse(["10.0.0.0/8", "fd00::/8"]) == AddressRules.parse(
        iter(["10.0.0.0/8", "fd00:0::/8"])
    )


@pytest.mark.parametrize(
    ("word", "cure"),
    [
        ("10.0.0.5/8", "write 10.0.0.0/8"),
        ("192.168.1.1/24", "write 192.168.1.0/24"),
        ("1.2.3.4/0", "write 0.0.0.0/0"),
        ("fd00::1/8", "write fd00::/8"),
        ("FD00:0::1/64", "write fd00::/64"),
        # A netmask could be read the other way round: 0.0.0.255 as 24 bits, 0.0.0.0 as none.
        ("10.0.0.0/255.0.0.0", "write 10.0.0.0/8"),
        ("10.0.0.0/0.255.255.255", "write 10.0.0.0/8"),
        ("0.0.0.0/0.0.0.0", "write 0.0.0.0/0"),
        ("fe80::%eth0/64", "word 2 has a zone"),
        ("fe80::1%1", "word 2 has a zone"),
    ],
)
def test_an_inexact_word_is_refused_with_the_cure(word: str, cure: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^LQ_ALLOW_CIDRS: .*{re.escape(cure)}"):
        AddressRules.parse(["10.0.0.0/8", word])


@pytest.mark.parametrize(
    "word",
    [
        "",
        "*",
        "all",
        "localhost",
        "example.org",
        "10/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "10.0.0.0-10.255.255.255",
        "010.0.0.0/8",
        "10.0.0.*",
        "fd00::/129",
        "[fd00::]/8",
        "1\u0660.0.0.0/8",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ],
)
def test_a_word_that_is_no_network_is_refused_and_not_repeated(word: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AddressRules.parse([word])
    assert str(caught.value) == (
        "LQ_ALLOW_CIDRS: word 1 is not a network like 10.0.0.0/8 or fd00::/8"
    )
