"""Which addresses may be dialled: public ones, and the ranges that the operator opened.

The networks are written out, after IANA's special-purpose registries (RFC 6890), instead of
asking `ipaddress.is_global`, which changes with Python's version. Where we differ from what those
registries call globally reachable, we close more:

- anycast services and tunnels, where nobody's endpoint lives: AS112, AMT, 6to4 and the whole of
  192.0.0.0/24 and 2001::/23, so ORCHIDv2 (2001:20::/28) and drones (2001:30::/28) as well;
- multicast, and in IPv6 all that IANA hasn't given out;
- 168.63.129.16, which no registry lists;
- NAT64's 64:ff9b::/96 counts as the IPv4 address inside it.

What can't be seen here is a NAT64 prefix out of a network's own public range (RFC 6052, section
3.3): in such a network the gateway must refuse to translate to private addresses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

from lambdaqueue.errors import ConfigurationError

__all__ = ["PUBLIC_ONLY", "Address", "AddressRules", "Network", "is_public"]

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

CLOSED_IPV4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network, RFC 791; Linux takes 0.0.0.0 for itself
            "10.0.0.0/8",  # private use, RFC 1918
            "100.64.0.0/10",  # carriers' NAT, RFC 6598; Alibaba's metadata is 100.100.100.200
            "127.0.0.0/8",  # loopback, RFC 1122
            "168.63.129.16/32",  # Azure's wire server: a metadata service at a public address
            "169.254.0.0/16",  # link-local, RFC 3927; metadata services at 169.254.169.254
            "172.16.0.0/12",  # private use, RFC 1918
            "192.0.0.0/24",  # IETF assignments, RFC 6890; Oracle's metadata is 192.0.0.192
            "192.0.2.0/24",  # documentation, RFC 5737
            "192.31.196.0/24",  # AS112, RFC 7535
            "192.52.193.0/24",  # AMT, RFC 7450
            "192.88.99.0/24",  # relays of 6to4, RFC 7526, and of 6a44, RFC 6751
            "192.168.0.0/16",  # private use, RFC 1918
            "192.175.48.0/24",  # AS112, RFC 7534
            "198.18.0.0/15",  # benchmarking, RFC 2544
            "198.51.100.0/24",  # documentation, RFC 5737
            "203.0.113.0/24",  # documentation, RFC 5737
            "224.0.0.0/4",  # multicast, RFC 5771
            "240.0.0.0/4",  # reserved, RFC 1112; broadcast, RFC 919
        ),
    )
)

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""The only part of IPv6 that IANA gives out, RFC 4291. Outside of it are loopback and what is
mapped (::/8), fc00::/7, fe80::/10, fec0::/10, ff00::/8, 100::/64, 5f00::/16 and the unassigned."""

CLOSED_IPV6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # IETF assignments, RFC 2928: Teredo, benchmarking, ORCHID, …
            "2001:db8::/32",  # documentation, RFC 3849
            "2002::/16",  # 6to4, RFC 7526: holds an IPv4 address, private ones too
            "2620:4f:8000::/48",  # AS112, RFC 7534
            "3fff::/20",  # documentation, RFC 9637
        ),
    )
)

NAT64 = IPv6Network("64:ff9b::/96")
"""The well-known prefix of RFC 6052: the last 32 bits are an IPv4 address."""

KNOWN_TEXTS = 4_096
"""How many addresses are remembered with their verdict; each name has a few, asked for again."""

EXAMPLE = "a network like 10.0.0.0/8 or fd00::/8"


def is_public(address: Address) -> bool:
    """Tell whether `address` belongs to the public internet; one with a scope id never does."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in CLOSED_IPV4)
    if address.scope_id is not None:
        return False
    if address in NAT64:
        return is_public(IPv4Address(address.packed[-4:]))
    return address in GLOBAL_UNICAST and not any(address in network for network in CLOSED_IPV6)


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which addresses may be dialled: the public ones and those in `opened`.

    An opened range stands for itself only: 10.0.0.0/8 opens neither ::ffff:10.0.0.1 nor the
    NAT64 form of 10.0.0.1.
    """

    opened: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, words: Iterable[str]) -> AddressRules:
        """Read the words of `LQ_ALLOW_CIDRS`: networks with a prefix length, or addresses.

        Raises:
            ConfigurationError: a word is no network, or has bits set behind its prefix.
        """
        return cls(tuple(_network(place, word) for place, word in enumerate(words, 1)))

    def permits(self, address: Address | str) -> bool:
        """Tell whether `address` may be dialled; text that is no address may not."""
        known, public = _known(address) if isinstance(address, str) else _judged(address)
        if public or known is None:
            return public
        return any(known in network for network in self.opened)


PUBLIC_ONLY = AddressRules()


@lru_cache(KNOWN_TEXTS)
def _known(text: str) -> tuple[Address | None, bool]:
    try:
        return _judged(ip_address(text))
    except ValueError:
        return None, False


def _judged(address: Address) -> tuple[Address | None, bool]:
    """Return the address as opened ranges know it, and whether it's public.

    With a scope id it names an interface of this machine, and no range holds it: None.
    """
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return None, False
    return address, is_public(address)


def _network(place: int, word: str) -> Network:
    try:
        address, network = ip_address(word.partition("/")[0]), ip_network(word, strict=False)
    except ValueError:
        # The word is left out: it may be a secret, pasted into the wrong variable.
        raise ConfigurationError(f"LQ_ALLOW_CIDRS: word {place} is not {EXAMPLE}") from None
    if "%" in word:
        raise ConfigurationError(f"LQ_ALLOW_CIDRS: word {place} has a zone; write {EXAMPLE}")
    if address != network.network_address or "." in word.partition("/")[2]:
        raise ConfigurationError(f"LQ_ALLOW_CIDRS: {word} is not exact; write {network}")
    return network
