"""All that goes out of a worker, put together from the settings."""

from __future__ import annotations

import ssl

from lambdaqueue.config import Settings
from lambdaqueue.connection import AsyncRedis
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.trust import TrustStore
from lambdaqueue.vault import Vault
from workers.keyring import Keyring
from workers.resolver import DnsResolver
from workers.sender import CurlSender
from workers.validation import Validator

__all__ = ["open_outbound"]


def open_outbound(
    settings: Settings, client: AsyncRedis, slots: int
) -> tuple[CurlSender, Validator]:
    """Return what sends, and what vouches for the endpoints; made inside the running loop.

    Raises:
        ConfigurationError: LQ_MASTER_KEYS is missing or malformed, or LQ_CA_BUNDLE can't be read.
    """
    rules = settings.targets
    _check_bundle(settings.ca_bundle)
    sender = CurlSender(
        rules,
        slots=slots,
        resolver=DnsResolver(settings.dns_servers),
        ca_bundle=settings.ca_bundle or None,
    )
    validator = Validator(
        TrustStore(client),
        sender,
        Keyring(Vault(settings.master_keys)),
        rules=rules,
        allow_unvalidated=settings.allow_unvalidated,
    )
    return sender, validator


def _check_bundle(path: str) -> None:
    if not path:
        return
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one, too
        raise ConfigurationError(
            f"LQ_CA_BUNDLE must name a PEM file of authorities: {error}"
        ) from error
