"""What an operator of these tests has set, and what the first start does with it."""

from __future__ import annotations

from lambdaqueue.administration import Administration, open_administration
from lambdaqueue.config import Settings
from lambdaqueue.vault import Vault

__all__ = ["MASTER_KEY", "SECRET", "TOKEN", "prepared"]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""The secret of the contract's example: the first environment signs with it."""

TOKEN = f"lqk_{'a' * 8}_{'b' * 43}"
MASTER_KEY = Vault.new_key()


def prepared(redis_url: str, *, allow_unvalidated: bool = False) -> Administration:
    """Make the first environment, as every process does at its start."""
    administration = open_administration(
        Settings(
            redis_url=redis_url,
            bootstrap_secret=SECRET,
            bootstrap_token=TOKEN,
            master_keys=(MASTER_KEY,),
            development=True,
            allow_unvalidated=allow_unvalidated,
        )
    )
    administration.prepare()
    return administration
