"""The vault: what it opens, for which place, with which keys, and that it tells nobody."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet

from lambdaqueue.errors import ConfigurationError, SecretUnreadable
from lambdaqueue.signing import Secret
from lambdaqueue.vault import Vault

OLD, NEW, OTHER = (Vault.new_key() for _ in range(3))
SECRET = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

MINE, YOURS = "1", "0a1b2c3d"
PLACES = [MINE, YOURS, "10", f"{MINE}:mail", f"{MINE}:mail2", f"{YOURS}:mail", "check"]


class TestSealing:
    @pytest.mark.parametrize("place", PLACES)
    def test_what_is_sealed_can_be_opened(self, place: str) -> None:
        vault = Vault([NEW])
        for secret in (SECRET, Secret.generate(), Secret(b"\xff" * 64), Secret(b"\n" * 24)):
            assert vault.open(place, vault.seal(place, secret)) == secret

    def test_no_two_seals_are_the_same(self) -> None:
        assert len({Vault([NEW]).seal(MINE, SECRET) for _ in range(50)}) == 50

    @pytest.mark.parametrize("to", PLACES)
    @pytest.mark.parametrize("place", PLACES)
    def test_moved_to_another_place_it_is_refused(self, place: str, to: str) -> None:
        """Another environment, another queue, a queue of that name elsewhere, another field."""
        vault = Vault([NEW, OLD])
        for sealed in (vault.seal(place, SECRET), vault.renew(vault.seal(place, SECRET))):
            if place == to:
                assert vault.open(to, sealed) == SECRET
                continue
            with pytest.raises(SecretUnreadable, match="moved"):
                vault.open(to, sealed)

    def test_a_check_value_is_no_secret(self) -> None:
        vault = Vault([NEW])
        with pytest.raises(SecretUnreadable, match="moved"):
            vault.open(MINE, vault.check_value())
        with pytest.raises(ConfigurationError):
            vault.open("check", vault.check_value())

    def test_one_other_character_anywhere_is_refused(self) -> None:
        vault = Vault([NEW])
        sealed = vault.seal(MINE, SECRET)
        # The last one before the padding may hold bits that nobody reads.
        for at in range(len(sealed.rstrip(b"=")) - 1):
            other = b"A" if sealed[at : at + 1] != b"A" else b"B"
            with pytest.raises(SecretUnreadable):
                vault.open(MINE, sealed[:at] + other + sealed[at + 1 :])

    @pytest.mark.parametrize(
        "sealed",
        [b"", b"A", b"\xff", b"gAAAA", b"\x80" * 100, SECRET.reveal().encode(), b"A" * 10_000],
        ids=lambda sealed: repr(sealed[:20]),
    )
    def test_what_was_never_sealed_is_refused(self, sealed: bytes) -> None:
        """F65: there is no way round the seal, a plain secret is as bad as junk."""
        for attempt in openings(Vault([NEW])):
            with pytest.raises(SecretUnreadable, match="another master key"):
                attempt(sealed)

    def test_a_part_of_it_is_refused(self) -> None:
        vault = Vault([NEW])
        sealed = vault.seal(MINE, SECRET)
        for end in range(0, len(sealed), 4):
            with pytest.raises(SecretUnreadable):
                vault.open(MINE, sealed[:end])


class TestKeys:
    def test_the_newest_seals_and_all_open(self) -> None:
        before = Vault([OLD]).seal(MINE, SECRET)
        both = Vault([NEW, OLD])
        assert both.open(MINE, before) == SECRET
        after = both.seal(MINE, SECRET)
        assert Vault([NEW]).open(MINE, after) == SECRET
        with pytest.raises(SecretUnreadable):
            Vault([OLD]).open(MINE, after)

    def test_once_renewed_the_old_one_may_go(self) -> None:
        before = Vault([OLD]).seal(MINE, SECRET)
        renewed = Vault([NEW, OLD]).renew(before)
        assert Vault([NEW]).open(MINE, renewed) == SECRET
        with pytest.raises(SecretUnreadable):
            Vault([OLD]).open(MINE, renewed)
        with pytest.raises(SecretUnreadable):
            Vault([NEW]).open(MINE, before)
        again = Vault([NEW]).renew(renewed)
        assert Vault([NEW]).open(MINE, again) == SECRET

    def test_in_the_wrong_order_nothing_is_gained_or_lost(self) -> None:
        renewed = Vault([OLD, NEW]).renew(Vault([OLD]).seal(MINE, SECRET))
        assert Vault([OLD]).open(MINE, renewed) == SECRET

    @pytest.mark.parametrize("keys", [[OTHER], [OTHER, NEW]])
    def test_with_other_keys_nothing_opens(self, keys: list[str]) -> None:
        sealed = Vault([OLD]).seal(MINE, SECRET)
        for attempt in openings(Vault(keys)):
            with pytest.raises(SecretUnreadable, match="another master key"):
                attempt(sealed)

    @pytest.mark.parametrize(
        ("keys", "right"),
        [
            ([OLD], True),
            ([NEW, OLD], True),
            ([OLD, NEW], True),
            ([NEW], False),
            ([NEW, OTHER], False),
        ],
    )
    def test_the_check_value(self, keys: list[str], right: bool) -> None:
        assert Vault(keys).has_sealed(Vault([OLD]).check_value()) is right

    @pytest.mark.parametrize(
        "value",
        [b"", b"\xff", Vault([NEW]).check_value()[:-4], Vault([NEW]).seal("check", SECRET),
         Vault([NEW]).seal(MINE, SECRET), Fernet(NEW).encrypt(b"lambdaqueue")],
        ids=["empty", "junk", "cut off", "a secret", "another place", "no place"],
    )  # fmt: skip
    def test_no_check_value(self, value: bytes) -> None:
        assert Vault([NEW]).has_sealed(value) is False

    def test_a_new_key_can_be_used(self) -> None:
        keys = {Vault.new_key() for _ in range(20)}
        assert len(keys) == 20
        for key in keys:
            assert len(key) == 44
            assert Vault([key]).has_sealed(Vault([key]).check_value())

    @pytest.mark.parametrize(
        "keys",
        [
            [""],
            ["pa55word"],
            [NEW[:-1]],
            [NEW + NEW],
            [f"{NEW};{OLD}"],
            [f"'{NEW}'"],
            [f"{NEW} "],
            [f"{NEW}\n"],
            [f"{NEW[:-1]}\n="],
            ["pa55word" * 100],
            ["é" * 44],
            ["\udc80" * 44],
            [NEW, "pa55word"],
            ["pa55word", NEW],
            [NEW, ""],
        ],
        ids=[
            "empty",
            "short",
            "unpadded",
            "doubled",
            "joined",
            "quoted",
            "space",
            "line",
            "folded",
            "long",
            "é",
            "bytes",
            "2nd",
            "1st",
            "2nd ''",
        ],
    )
    def test_what_is_no_key(self, keys: list[str]) -> None:
        """It's an operator's mistake, and may be another password of his: nothing quotes it."""
        with pytest.raises(ConfigurationError, match="must be Fernet keys") as caught:
            Vault(keys)
        text = "".join(traceback.format_exception(caught.value))
        assert "pa55word" not in text
        assert NEW not in text
        assert "é" not in text

    def test_another_spelling_of_base64_is_as_good(self) -> None:
        """`openssl rand -base64 32` makes one too."""
        plain = NEW.replace("-", "+").replace("_", "/")
        assert Vault([plain]).has_sealed(Vault([NEW]).check_value())

    def test_there_must_be_one(self) -> None:
        with pytest.raises(ConfigurationError, match="LQ_MASTER_KEYS is required"):
            Vault([])


class TestNothingTells:
    def test_in_words(self, caplog: pytest.LogCaptureFixture) -> None:
        vault = Vault([NEW, OLD])
        sealed = vault.seal(MINE, SECRET)
        logging.getLogger("test").warning("%s %r", vault, vault.open(MINE, sealed))
        words = f"{vault} {vault!r} {vars(vault)} {vault.open(MINE, sealed)!r} {caplog.text}"
        assert_secret(words)
        assert_secret(sealed.decode())

    def test_in_errors(self) -> None:
        vault = Vault([NEW])
        for place, sealed in (
            (YOURS, vault.seal(MINE, SECRET)),
            (MINE, Vault([OLD]).seal(MINE, SECRET)),
            (MINE, SECRET.reveal().encode()),
        ):
            with pytest.raises(SecretUnreadable) as caught:
                vault.open(place, sealed)
            assert_secret("".join(traceback.format_exception(caught.value)))
            assert caught.value.__cause__ is None


def openings(vault: Vault) -> list[Callable[[bytes], object]]:
    return [vault.renew, lambda sealed: vault.open(MINE, sealed)]


def assert_secret(words: str) -> None:
    for secret in (SECRET.reveal().removeprefix("whsec_"), repr(SECRET.key), NEW, OLD):
        assert secret not in words
