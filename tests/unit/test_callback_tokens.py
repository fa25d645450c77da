"""Callback tokens: their one form."""

from __future__ import annotations

import base64
import hashlib

import pytest

from lambdaqueue.callback_tokens import CallbackToken

NAME = "0mwq83nuu00001"
CHANCE = "a" * 40 + "-_Z"


def test_one_that_was_minted_is_read_back() -> None:
    token = CallbackToken.mint(NAME)
    assert CallbackToken.parse(token.text) == token
    assert token.text.startswith(f"{NAME}_")


def test_each_is_another_one() -> None:
    assert len({CallbackToken.mint(NAME).digest for _ in range(100)}) == 100


def test_its_text_is_not_shown() -> None:
    token = CallbackToken.mint(NAME)
    assert token.text.partition("_")[2] not in repr(token)


def test_its_digest_is_of_the_whole() -> None:
    token = CallbackToken(NAME, f"{NAME}_{CHANCE}")
    expected = base64.urlsafe_b64encode(hashlib.sha256(token.text.encode()).digest())
    assert token.digest == expected.decode().rstrip("=")
    assert len(token.digest) == 43
    assert CallbackToken(NAME, f"{NAME[:-1]}2_{CHANCE}").digest != token.digest


@pytest.mark.parametrize(
    "text",
    [
        f"{NAME}_{CHANCE}",
        f"{NAME[:13]}0ther1d0_{CHANCE}",
        f"{NAME}_{'_' * 43}",
        f"{NAME}_{'-' * 43}",
    ],
)
def test_what_may_be_one(text: str) -> None:
    token = CallbackToken.parse(text)
    assert token is not None
    assert (token.text, token.execution) == (text, text.partition("_")[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "_",
        NAME,
        f"{NAME}_",
        f"_{CHANCE}",
        f"{NAME}_{CHANCE[:-1]}",
        f"{NAME}_{CHANCE}a",
        f"{NAME}_{CHANCE}=",
        f"{NAME}_{CHANCE}\n",
        f" {NAME}_{CHANCE}",
        f"{NAME}_{CHANCE[:-1]}+",
        f"{NAME}_{CHANCE[:-1]}/",
        f"{NAME}_{CHANCE[:-1]}é",
        f"{NAME}_{CHANCE[:-1]}٣",
        f"{NAME.upper()}_{CHANCE}",
        f"{NAME[:13]}_{CHANCE}",
        f"{'0' * 30}_{CHANCE}",
        f"{NAME}-{CHANCE}",
        f"../{NAME}_{CHANCE}",
        f"{NAME}_{CHANCE}\x00",
        "a" * 1_000_000,
    ],
)
def test_what_can_be_none(text: str) -> None:
    assert CallbackToken.parse(text) is None
