"""What an attacker sends who has seen genuine deliveries, but not the secret (B110 to B114)."""

from __future__ import annotations

import base64
import hmac
from itertools import combinations, product

import pytest

from lambdaqueue.signing import InvalidSignature, Secret, sign, verify

SECRET = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
OTHER = Secret(b"o" * 32)
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIME = 1_614_265_330
BODY = b'{"test": 2432232314}'
KNOWN = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
RAW = base64.b64decode(KNOWN[3:])
WRONG = "v1," + "A" * 43 + "="


def signed(
    signature: str = KNOWN, message_id: str = ID, timestamp: str = str(TIME)
) -> dict[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature,
    }


def refused(headers: dict[str, str], body: bytes = BODY, now: float = TIME) -> str:
    """Return why it is refused."""
    with pytest.raises(InvalidSignature) as caught:
        verify([SECRET], headers, body, now)
    return str(caught.value)


def flipped(text: str) -> list[str]:
    """Return `text` with each bit of each character turned, one at a time."""
    return [
        text[:at] + chr(ord(text[at]) ^ 1 << bit) + text[at + 1 :]
        for at, bit in product(range(len(text)), range(8))
    ]


def test_the_genuine_delivery_passes() -> None:
    verify([SECRET], signed(), BODY, TIME)


# B110. The tolerance is 300 s, and 300 s are in it.
@pytest.mark.parametrize(
    ("skew", "accepted"),
    [
        (0, True),
        (299, True),
        (300, True),
        (300.5, False),
        (301, False),
        (-299, True),
        (-300, True),
        (-300.5, False),
        (-301, False),
        (float("nan"), False),
        (float("inf"), False),
        (float("-inf"), False),
    ],
)
def test_the_time_may_be_off_by_five_minutes(skew: float, accepted: bool) -> None:
    if accepted:
        verify([SECRET], signed(), BODY, TIME + skew)
    else:
        assert "too far" in refused(signed(), now=TIME + skew)


def test_a_replay_within_the_tolerance_passes() -> None:
    # By design: `verify` keeps nothing. Who must not act twice remembers the webhook-id.
    for now in (TIME, TIME, TIME + 299):
        verify([SECRET], signed(), BODY, now)


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        " 1614265330",
        "1614265330 ",
        "1614265330\n",
        "1614265330, 1614265330",
        "+1614265330",
        "-1614265330",
        "1614265330.0",
        "1_614_265_330",
        "1.6e9",
        "0x6037bab2",
        "nan",
        "inf",
        "1614265330000",
        "9" * 5_000,
        "\u0661\u0666\u0661\u0664\u0662\u0666\u0665\u0663\u0663\u0660",
        "\u00b91614265330",
        "\ud800",
    ],
)
def test_the_timestamp_is_plain_seconds(timestamp: str) -> None:
    assert "webhook-timestamp" in refused(signed(timestamp=timestamp))


def test_a_time_written_otherwise_is_another_text() -> None:
    assert refused(signed(timestamp=f"0{TIME}")) == "no signature matches"


@pytest.mark.parametrize("length", range(len(KNOWN)))
def test_a_truncated_signature(length: int) -> None:
    refused(signed(KNOWN[:length]))
    refused(signed(KNOWN[length + 1 :]))


def test_every_bit_of_the_signature_counts() -> None:
    forgeries = flipped(KNOWN)
    assert len(forgeries) == 47 * 8
    for forgery in forgeries:
        refused(signed(forgery))


# B111
@pytest.mark.parametrize(
    "signature",
    [
        "",
        " ",
        ",",
        "v1",
        "v1,",
        "v0" + KNOWN[2:],
        "v2" + KNOWN[2:],
        "V1" + KNOWN[2:],
        "v1a" + KNOWN[2:],
        "v11" + KNOWN[2:],
        KNOWN[3:],
        KNOWN[2:],
        KNOWN.rstrip("="),
        KNOWN + "=",
        KNOWN + ",",
        KNOWN + ";",
        KNOWN + "\n",
        KNOWN + "\t",
        KNOWN + "\0",
        "\t" + KNOWN,
        f'"{KNOWN}"',
        KNOWN.replace(",", ", "),
        KNOWN.replace(",", ",="),
        KNOWN.replace(",", "="),
        KNOWN.replace("+", "-").replace("/", "_"),
        KNOWN.replace("+", "%2B"),
        KNOWN.replace("OE=", "OF="),  # the same 32 bytes with unused bits set
        KNOWN.swapcase(),
        f"v1,{RAW.hex()}",
        f"v1,{base64.b32encode(RAW).decode()}",
        f"v1,{base64.b64encode(RAW + b'x').decode()}",
        f"v1,{base64.b64encode(RAW[:16]).decode()}",
        "v1," + RAW.decode("latin-1"),
        "\u00e9" + KNOWN,
        "\uff56" + KNOWN[1:],
        "\ud800",
    ],
)
def test_wrong_encodings(signature: str) -> None:
    refused(signed(signature))


# B111. At most 5 entries are examined, so a longer list is refused whatever it holds.
@pytest.mark.parametrize(
    ("entries", "accepted"),
    [
        ([KNOWN], True),
        ([KNOWN, WRONG], True),
        ([WRONG, KNOWN], True),
        ([KNOWN, KNOWN], True),
        ([KNOWN, *[WRONG] * 4], True),
        ([*[WRONG] * 4, KNOWN], True),
        ([KNOWN, *[WRONG] * 5], False),
        ([*[WRONG] * 5, KNOWN], False),
        ([KNOWN] * 1_000, False),
        ([WRONG] * 1_000, False),
        (["v0,x", KNOWN], True),
        (["v1a," + KNOWN[3:], KNOWN], True),
        ([KNOWN, "junk"], True),
        ([KNOWN, ""], True),
        (["", "", KNOWN], True),
        ([*[""] * 5, KNOWN], False),
        ([KNOWN + ",", KNOWN + ","], False),  # a header sent twice, joined by ","
        ([KNOWN[:20], KNOWN[20:]], False),
    ],
)
def test_several_signatures(entries: list[str], accepted: bool) -> None:
    if accepted:
        verify([SECRET], signed(" ".join(entries)), BODY, TIME)
    else:
        refused(signed(" ".join(entries)))


# B113
@pytest.mark.parametrize(
    "body",
    [
        b"",
        BODY[:-1],
        BODY[1:],
        BODY + b"\n",
        BODY + b"\0",
        b" " + BODY,
        b"\xef\xbb\xbf" + BODY,
        b'{"test":2432232314}',
        b'{"test": 2432232314.0}',
        b'{"test": 2432232315}',
        b'{"t\\u0065st": 2432232314}',
        BODY.decode().encode("utf-16"),
    ],
)
def test_the_body_counts_byte_by_byte(body: bytes) -> None:
    assert refused(signed(), body) == "no signature matches"


def test_the_order_of_keys_counts() -> None:
    signature = sign([SECRET], ID, TIME, b'{"a":1,"b":2}')
    verify([SECRET], signed(signature), b'{"a":1,"b":2}', TIME)
    assert refused(signed(signature), b'{"b":2,"a":1}') == "no signature matches"


GENUINE = [("msg_1", TIME, b"first"), ("msg_2", TIME + 1, b"second")]


@pytest.mark.parametrize("parts", list(product((0, 1), repeat=4)))
def test_headers_swapped_between_two_genuine_deliveries(parts: tuple[int, ...]) -> None:
    i, t, b, s = (GENUINE[part] for part in parts)
    headers = signed(sign([SECRET], *s), i[0], str(t[1]))
    if len(set(parts)) == 1:
        verify([SECRET], headers, b[2], TIME)
    else:
        assert refused(headers, b[2]) == "no signature matches"


# B114. All of these are one text, `id.time.body`; only the first cut of it is a delivery.
def test_one_text_is_not_cut_in_two_ways() -> None:
    body = f"{TIME}.{TIME}.x".encode()
    signature = sign([SECRET], ID, TIME, body)
    content = f"{ID}.{TIME}.".encode() + body
    dots = [at for at, byte in enumerate(content) if byte == ord(".")]
    cuts = list(combinations(dots, 2))
    assert len(cuts) == 6
    accepted = []
    for first, second in cuts:
        message_id, time = content[:first].decode(), content[first + 1 : second].decode()
        try:
            verify([SECRET], signed(signature, message_id, time), content[second + 1 :], TIME)
        except InvalidSignature:
            continue
        accepted.append((message_id, time))
    assert accepted == [(ID, str(TIME))]


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_bytes_moved_between_id_time_and_body(count: int) -> None:
    message_id, time, body = "msg_1234567890", str(TIME), b"1234567890"
    signature = sign([SECRET], message_id, TIME, body)
    verify([SECRET], signed(signature, message_id, time), body, TIME)
    for moved_id, moved_time, moved_body in [
        (message_id[:-count], message_id[-count:] + time, body),
        (message_id + time[:count], time[count:], body),
        (message_id, time[:-count], time[-count:].encode() + body),
        (message_id, time + body[:count].decode(), body[count:]),
    ]:
        # The verifier's clock is the one that suits the forger best.
        now = int(moved_time)
        reason = refused(signed(signature, moved_id, moved_time), moved_body, now)
        assert reason in (
            "no signature matches",
            "webhook-timestamp is missing or not whole seconds",
        )


# B114: with a dot in the id, "a.1" + "2" and "a" + "1.2" would sign the same bytes.
@pytest.mark.parametrize("message_id", ["", "a.b", ".", "msg\u00e9", "\ud800"])
def test_ids_that_are_refused(message_id: str) -> None:
    content = f"{message_id}.{TIME}.".encode("utf-8", "surrogatepass") + BODY
    digest = hmac.digest(SECRET.key, content, "sha256")
    signature = f"v1,{base64.b64encode(digest).decode()}"
    assert refused(signed(signature, message_id)).startswith("webhook-id")


@pytest.mark.parametrize("secrets", [[], [OTHER], [OTHER, OTHER]])
def test_without_the_right_secret_nothing_matches(secrets: list[Secret]) -> None:
    with pytest.raises(InvalidSignature, match="no signature matches"):
        verify(secrets, signed(), BODY, TIME)
