"""docs/verifying.md: its code does what it says, and its known answers are right.

The JavaScript runs where there is a node. Without one its labels, bounds and known answers are
held against ours instead: `test_the_javascript_says_what_the_python_does`, which always runs.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

from lambdaqueue import proofs, signing
from lambdaqueue.proofs import answer_challenge, challenge
from lambdaqueue.signing import InvalidSignature, Secret, sign, signature, verify
from tests.waiting import until

PAGE = (Path(__file__).parents[2] / "docs" / "verifying.md").read_text()
BLOCK = re.compile(r"^`([\w.]+)`[^\n]*\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILES: dict[str, str] = dict(BLOCK.findall(PAGE))

TEXT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = Secret.parse(TEXT)
OTHER = Secret(b"o" * 32)
URL = "https://example.com/hook"
NONCE = "0123456789abcdef0123456789abcdef"
AT = 1_614_265_330
BODY = b'{"test": 2432232314}'
SIGNED = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
ASKED = dict(challenge([SECRET], f"{URL}?x=1", NONCE, AT))
RIGHT, ASK = SIGNED["webhook-signature"], ASKED["x-lq-validation"]

LABELS = (proofs.REQUEST, proofs.ANSWER)

NODE = shutil.which("node")


def _case(headers: dict[str, str], body: bytes = BODY, now: float = AT, **change: str) -> Any:
    changed = headers | {name.replace("_", "-"): value for name, value in change.items()}
    return {"headers": changed, "body": body.hex(), "now": now, "url": URL, "secrets": TEXT}


def _wrong(right: str, name: str) -> list[dict[str, str]]:
    """Return changes of the header `name` that no longer prove anything."""
    values = ["", "v1,", "v0" + right[2:], right[:-1], right + "=", right.upper(), f"{right},"]
    values += [
        right[:9] + ("A" if right[9] != "A" else "B") + right[10:],
        " ".join(["v1,x"] * 5 + [right]),
    ]
    return [{name: value} for value in values]


def _signed(message_id: str, at: str) -> dict[str, str]:
    """Return headers that are signed rightly, whatever is in them."""
    value = signature(SECRET.key, f"{message_id}.{at}.".encode() + BODY).decode()
    return {"webhook-id": message_id, "webhook-timestamp": at, "webhook-signature": value}


def _asked(message_id: str, at: str) -> dict[str, str]:
    """The same for the headers of a challenge."""
    key = hmac.digest(SECRET.key, proofs.REQUEST, "sha256")
    value = signature(key, f"{message_id}.{at}".encode()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": at, "x-lq-validation": value}


ID, VAL = SIGNED["webhook-id"], ASKED["webhook-id"]
IDS = ["", "a.b", f"{ID}."]
VALS = [
    "",
    ID,
    VAL.upper(),
    f"{VAL}\n",
    f" {VAL}",
    f"{VAL}0",
    VAL[:-1],
    VAL.replace("val_", "val_."),
]
TIMES = ["", "now", f"{AT}.0", f" {AT}", f"{AT}\n", f"+{AT}", f"{AT:016}", "1e9", "\u0661"]

DELIVERIES = [
    *(_case(SIGNED, now=AT + skew) for skew in (0, 300, -300, 301, -301)),
    _case(SIGNED, webhook_signature=f"v1,x {RIGHT}"),
    _case(SIGNED, webhook_signature=f"a b c d {RIGHT}"),
    _case(SIGNED, body=b""),
    _case({**SIGNED, "webhook-signature": sign([SECRET], SIGNED["webhook-id"], AT, b"")}, body=b""),
    _case(
        {**SIGNED, "webhook-signature": sign([SECRET], SIGNED["webhook-id"], AT, b"\xff\x00")},
        body=b"\xff\x00",
    ),
    _case({**SIGNED, "webhook-signature": sign([OTHER], SIGNED["webhook-id"], AT, BODY)}),
    _case({**SIGNED, "webhook-signature": sign([OTHER, SECRET], SIGNED["webhook-id"], AT, BODY)}),
    {**_case(SIGNED), "secrets": f"{OTHER.reveal()} {TEXT}"},
    {**_case(SIGNED), "secrets": OTHER.reveal()},
    *(_case({k: v for k, v in SIGNED.items() if k != missing}) for missing in SIGNED),
    *(_case(SIGNED | change) for change in _wrong(RIGHT, "webhook-signature")),
    _case(SIGNED, webhook_id=ID[:-1]),
    _case(SIGNED, webhook_timestamp=str(AT + 1)),
    *(_case(_signed(message_id, str(AT))) for message_id in [ID, *IDS]),
    *(_case(_signed(ID, at)) for at in TIMES),
]

CHALLENGES = [
    *(_case(ASKED, now=AT + skew) for skew in (0, 300, -300, 301, -301)),
    _case(ASKED, x_lq_validation=f"v1,x {ASK}"),
    _case(dict(challenge([OTHER, SECRET], URL, NONCE, AT))),
    _case(dict(challenge([OTHER], URL, NONCE, AT))),
    _case(dict(challenge([SECRET], f"{URL}/other", NONCE, AT))),
    {**_case(ASKED), "secrets": f"{OTHER.reveal()} {TEXT}"},
    {**_case(ASKED), "url": f"{URL}/"},
    *(_case({k: v for k, v in ASKED.items() if k != missing}) for missing in ASKED),
    *(_case(ASKED | change) for change in _wrong(ASK, "x-lq-validation")),
    _case(ASKED, webhook_id=VAL.replace("0", "1", 1)),
    _case(ASKED, webhook_timestamp=str(AT + 1)),
    *(_case(_asked(message_id, str(AT))) for message_id in [VAL, *VALS]),
    *(_case(_asked(VAL, at)) for at in TIMES),
]


def _ours_verified(case: Any) -> bool:
    secrets = [Secret.parse(each) for each in case["secrets"].split()]
    try:
        verify(secrets, case["headers"], bytes.fromhex(case["body"]), case["now"])
    except InvalidSignature:
        return False
    return True


def _ours_proof(case: Any) -> str | None:
    secrets = [Secret.parse(each) for each in case["secrets"].split()]
    try:
        return answer_challenge(secrets, case["headers"], case["now"], case["url"])
    except InvalidSignature:
        return None


EXPECTED: list[list[Any]] = [
    list(map(_ours_verified, DELIVERIES)),
    list(map(_ours_proof, CHALLENGES)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page."""
    folder = tmp_path_factory.mktemp("files")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def test_there_is_something_to_refuse_and_to_take() -> None:
    for answers in EXPECTED:
        assert sum(map(bool, answers)) >= 5
        assert sum(not answer for answer in answers) >= 15
    assert set(FILES) == {"lambdaqueue.mjs", "endpoint.mjs", "signatures.py", "endpoint.py"}


def test_the_known_answers_are_right() -> None:
    verify([SECRET], SIGNED, BODY, AT)
    told = [
        *SIGNED.values(),
        *ASKED.values(),
        answer_challenge([SECRET], ASKED, AT, URL),
        ASKED["webhook-id"][-32:],
        *(hmac.digest(SECRET.key, label, "sha256").hex() for label in LABELS),
    ]
    assert [each for each in told if each not in PAGE] == []


def test_the_python_decides_as_we_do() -> None:
    module = ModuleType("signatures")
    exec(FILES["signatures.py"], module.__dict__)
    verified: Callable[..., bool] = module.verified
    proof: Callable[..., str | None] = module.proof
    keys_of: Callable[[str], list[bytes]] = module.keys_of
    assert [
        [
            verified(keys_of(c["secrets"]), c["headers"], bytes.fromhex(c["body"]), c["now"])
            for c in DELIVERIES
        ],
        [proof(keys_of(c["secrets"]), c["headers"], c["url"], c["now"]) for c in CHALLENGES],
    ] == EXPECTED
    for nothing in ("", "whsec_", "whsec_c2hvcnQ="):
        with pytest.raises(ValueError, match="isn't a secret"):
            keys_of(nothing)


PROGRAM = """
import { keysOf, proof, verified } from "./lambdaqueue.mjs";
import { readFileSync } from "node:fs";
const [deliveries, challenges] = JSON.parse(readFileSync(0));
const keys = (c) => keysOf(c.secrets);
const refused = ["", "whsec_", "whsec_c2hvcnQ="].filter((each) => {
  try { keysOf(each); return false; } catch { return true; }
});
console.log(JSON.stringify([
  deliveries.map((c) => verified(keys(c), c.headers, Buffer.from(c.body, "hex"), c.now)),
  challenges.map((c) => proof(keys(c), c.headers, c.url, c.now)),
  refused.length,
]));
"""

if NODE is not None:

    def test_the_javascript_decides_as_we_do(folder: Path) -> None:
        assert NODE is not None
        (folder / "cases.mjs").write_text(PROGRAM)
        done = subprocess.run(
            [NODE, "cases.mjs"],
            cwd=folder,
            input=json.dumps([DELIVERIES, CHALLENGES]),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [*EXPECTED, 3]


def test_the_javascript_says_what_the_python_does() -> None:
    javascript = FILES["lambdaqueue.mjs"]
    for label in LABELS:
        assert f'"{label.decode()}"' in javascript
    assert f"const TOLERANCE = {signing.TOLERANCE:.0f};" in javascript
    assert f"const MOST = {signing.MAX_SIGNATURES};" in javascript
    assert f"slice(0, {proofs.URL_DIGITS})" in javascript


COMMANDS = {"endpoint.py": [sys.executable]} | ({} if NODE is None else {"endpoint.mjs": [NODE]})


@contextmanager
def _serving(folder: Path, name: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    env = {"PATH": os.environ["PATH"], "LQ_SECRET": TEXT, "LQ_BASE_URL": base, "PORT": str(port)}
    with (folder / f"{name}.log").open("wb") as log:
        server = subprocess.Popen(
            [*COMMANDS[name], name], cwd=folder, env=env, stdout=log, stderr=log
        )
    try:
        until(lambda: _listens(port) or server.poll() is not None, f"{name} listens")
        yield f"{base}/hook"
    finally:
        server.terminate()
        server.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_the_endpoint_proves_and_verifies(folder: Path, name: str) -> None:
    now = int(time.time())
    body = b'{"name": "Ada"}'
    signed = {
        "webhook-id": "id_1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign([SECRET], "id_1", now, body),
    }
    with _serving(folder, name) as url:
        asked = dict(challenge([SECRET], url, NONCE, now))
        answer = requests.head(url, headers=asked, timeout=10)
        assert answer.status_code == 200
        assert answer.headers["x-lq-validation"] == answer_challenge([SECRET], asked, now, url)
        elsewhere = dict(challenge([SECRET], f"{url}/other", NONCE, now))
        assert requests.head(url, headers=elsewhere, timeout=10).status_code == 401
        assert requests.head(url, timeout=10).status_code == 401
        good = requests.post(url, body, headers=signed, timeout=10)
        assert (good.status_code, good.json()) == (200, {"hello": "Ada"})
        assert requests.post(url, b"{}", headers=signed, timeout=10).status_code == 401
        assert requests.post(url, b"", timeout=10).status_code == 401
