"""Tokens: their form, what is stored of them, what shows them."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import pickle
import time
from dataclasses import FrozenInstanceError, replace

import pytest

from lambdaqueue.identity import ALL_SCOPES, Actor, Identity, Scope, Token, TokenInfo

ID, PROOF = "aB3_-xYz", "0123456789_-abcdefghijklmnopqrstuvwxyzABCDE"
TEXT = f"lqk_{ID}_{PROOF}"
DIGEST = "9924401f059b70e023463ceb063e3dbee74c0c8be0ae97775f77b0596c0e271a"
NOW = 1_700_000_000_000

DASHES = "lqk_" + "-" * 8 + "_" + "-" * 43
UNDERSCORES = "lqk_" + "_" * 8 + "_" + "_" * 43


def described(token: Token | None = None, **more: object) -> TokenInfo:
    digest = token.digest if token else "0" * 64
    info = TokenInfo(ID, "ci", frozenset({Scope.PUSH}), NOW, digest=digest)
    return replace(info, **more)  # type: ignore[arg-type]


def parsed(text: str = TEXT) -> Token:
    token = Token.parse(text)
    assert token is not None
    return token


class TestForm:
    @pytest.mark.parametrize(
        ("text", "token_id"), [(TEXT, ID), (DASHES, "-" * 8), (UNDERSCORES, "_" * 8)]
    )
    def test_a_good_one(self, text: str, token_id: str) -> None:
        token = parsed(text)
        assert (token.id, token.text) == (token_id, text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "lqk_",
            TEXT[:-1],
            TEXT + "a",
            TEXT[1:],
            " " + TEXT,
            TEXT + " ",
            TEXT + "\n",
            TEXT + "\r\n",
            "\ufeff" + TEXT,
            f"Bearer {TEXT}",
            f"{TEXT},{TEXT}",
            TEXT.upper(),
            TEXT.replace("lqk_", "LQK_"),
            TEXT.replace("lqk_", "lqk-"),
            f"lqk_{ID}-{PROOF}",
            TEXT[:-1] + "=",
            TEXT[:-1] + "+",
            TEXT[:-1] + "/",
            TEXT[:-1] + "é",  # B84
            TEXT[:-1] + "\xff",
            TEXT[:-1] + "\x00",
            TEXT[:-1] + "\ud800",
            TEXT[:-1] + "\u0660",  # a digit, but not of ASCII
            TEXT[:-1] + "\uff21",
            TEXT[:-1] + "\u0130",
            TEXT[:5] + "\n" + TEXT[6:],
        ],
        ids=ascii,
    )
    def test_a_bad_one(self, text: str) -> None:
        assert Token.parse(text) is None

    @pytest.mark.parametrize("text", ["a" * 1_000_000, TEXT * 20_000, TEXT + "_" * 1_000_000])
    def test_a_long_one_is_refused_fast(self, text: str) -> None:
        """B85. It takes microseconds; reading it to its end would take far longer."""

        def seconds() -> float:
            start = time.perf_counter()
            assert Token.parse(text) is None
            return time.perf_counter() - start

        assert min(seconds() for _ in range(20)) < 0.000_2

    @pytest.mark.parametrize(
        ("text", "good"),
        [
            (ID, True),
            ("-" * 8, True),
            ("", False),
            (ID[1:], False),
            (ID + "a", False),
            (ID[1:] + "\n", False),
            (ID + "\n", False),
            (ID[1:] + "é", False),
            (ID[1:] + "*", False),
            (ID[1:] + ":", False),
            (TEXT, False),
        ],
        ids=ascii,
    )
    def test_ids(self, text: str, good: bool) -> None:
        assert Token.is_id(text) is good


class TestGenerate:
    def test_it_has_the_form(self) -> None:
        made = Token.generate()
        assert Token.parse(made.text) == made
        assert len(made.text) == 56

    def test_all_of_it_is_random(self) -> None:
        """Of 300 tokens no two share an id or a proof, and no place holds always the same."""
        made = [Token.generate() for _ in range(300)]
        assert len({token.id for token in made}) == 300
        assert len({token.text[13:] for token in made}) == 300
        columns = list(zip(*(token.text for token in made), strict=True))
        fixed = {at for at, column in enumerate(columns) if len(set(column)) == 1}
        assert fixed == {0, 1, 2, 3, 12}
        # 256 bits in 43 digits of 6: of the last one only 4 are random.
        assert all(len(set(columns[at])) > 40 for at in (*range(4, 12), *range(13, 55)))
        assert len(set(columns[55])) == 16


class TestDigest:
    def test_it_is_the_sha256_of_the_whole_token(self) -> None:
        assert parsed().digest == hashlib.sha256(TEXT.encode()).hexdigest()
        # printf %s lqk_aB3_-xYz_0123456789_-abcdefghijklmnopqrstuvwxyzABCDE | sha256sum
        assert parsed().digest == DIGEST

    @pytest.mark.parametrize("at", range(4, 56))
    def test_one_other_character_is_another_token(self, at: int) -> None:
        if at == 12:
            return
        other = parsed(TEXT[:at] + ("z" if TEXT[at] != "z" else "y") + TEXT[at + 1 :])
        assert not described(parsed()).is_of(other)

    def test_unused_bits_make_another_token(self) -> None:
        """As base64 the last characters E and F would be the same 32 bytes."""
        info = described(parsed())
        assert info.is_of(parsed())
        assert not info.is_of(parsed(TEXT[:-1] + "F"))

    @pytest.mark.parametrize("stored", ["", "é", "\x00", "0" * 63, "0" * 64, "A" * 64])
    def test_whatever_is_stored_is_no_error(self, stored: str) -> None:
        """B84: `compare_digest` takes no text that isn't ASCII."""
        assert not described(digest=stored).is_of(parsed())

    def test_a_digest_in_capitals_is_no_other_spelling(self) -> None:
        assert not described(digest=parsed().digest.upper()).is_of(parsed())


class TestTokenInfo:
    @pytest.mark.parametrize(
        "info",
        [
            described(),
            described(scopes=ALL_SCOPES),
            described(scopes=frozenset()),
            described(expires=NOW + 1),
            described(expires=0),
            described(created=0),
            described(digest=""),
            *(
                described(name=name)
                for name in ("", " a  b ", "é \U0001f600", "]] .. '", 'a"b\\', "\x00\n\x7f")
            ),
        ],
    )
    def test_it_comes_back(self, info: TokenInfo) -> None:
        packed = info.pack().encode()
        assert TokenInfo.unpack(ID, packed) == info
        assert TokenInfo.unpack(ID, packed, NOW) == replace(info, last_used=NOW)

    def test_nothing_of_the_token_is_stored(self) -> None:
        assert PROOF not in described(parsed()).pack()
        assert json.loads(described(parsed()).pack()).keys() == {
            "name", "scopes", "created", "digest",
        }  # fmt: skip

    def test_the_last_use_is_stored_elsewhere(self) -> None:
        assert described(last_used=NOW).pack() == described().pack()

    def test_what_newer_code_stored_is_read(self) -> None:
        """F64: two versions run side by side during a deploy."""
        stored = json.loads(described(scopes=ALL_SCOPES).pack())
        stored |= {"scopes": [*stored["scopes"], "admin"], "queues": ["mail"], "v": 9}
        assert TokenInfo.unpack(ID, json.dumps(stored).encode()) == described(scopes=ALL_SCOPES)

    @pytest.mark.parametrize(
        ("expires", "over"),
        [(None, False), (NOW + 1, False), (NOW, True), (NOW - 1, True), (0, True)],
    )
    def test_expiry(self, expires: int | None, over: bool) -> None:
        assert described(expires=expires).has_expired(NOW) is over


class TestNothingShowsThem:
    @pytest.mark.parametrize(
        "value",
        [
            parsed(),
            [parsed()],
            {"token": parsed()},
            described(parsed()),
            Identity("1", ALL_SCOPES, ID, "ci"),
            Actor("1", "ci", "192.0.2.1"),
        ],
    )
    def test_in_words(self, value: object, caplog: pytest.LogCaptureFixture) -> None:
        logging.getLogger("test").warning("%s %r", value, value)
        words = f"{value} {value!r} {value!s} {caplog.text} {ValueError(value)}"
        assert PROOF not in words
        assert parsed().digest not in words
        assert ID in words or isinstance(value, Actor)

    def test_a_copy_hides_it_too(self) -> None:
        for token in (copy.deepcopy(parsed()), pickle.loads(pickle.dumps(parsed()))):
            assert token == parsed()
            assert PROOF not in repr(token)

    @pytest.mark.parametrize("value", [parsed(), described(), Actor("1", "a")])
    def test_they_can_not_be_changed(self, value: object) -> None:
        for name in value.__slots__:  # type: ignore[attr-defined]
            with pytest.raises(FrozenInstanceError):
                setattr(value, name, "other")


def test_scopes() -> None:
    assert sorted(ALL_SCOPES) == ["manage", "push", "read"]
