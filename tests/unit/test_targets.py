from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.targets import check_target

LONGEST = "http://localhost/" + "a" * (2_048 - len("http://localhost/"))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "https://localhost",
        "http://localhost:1/",
        "http://localhost:65535/hook",
        "http://[::1]:9000/hook?x=1&y=%C3%A9",
        "http://127.0.0.1:9000/a/b;c=1,2/@me/~you/!$&'()*+",
        "http://127.0.0.1?x",
        "http://127.0.0.1:80?x=http://a@b/c?d",
        "http://127.0.0.1//a/../b/./",
        "http://127.0.0.1/%00%2F",
        "http://localhost/a@b:c",
        LONGEST,
    ],
)
def test_what_is_accepted(url: str) -> None:
    assert check_target(url) is url


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (LONGEST + "a", "too_long"),
        ("", "scheme_not_allowed"),
        ("localhost:80", "scheme_not_allowed"),
        ("//localhost/", "scheme_not_allowed"),
        ("ftp://localhost/", "scheme_not_allowed"),
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("javascript:alert(1)", "scheme_not_allowed"),
        ("HTTP://localhost/", "scheme_not_allowed"),
        ("http:/localhost/", "scheme_not_allowed"),
        ("http:localhost", "scheme_not_allowed"),
        ("http://user@localhost/", "userinfo"),
        ("http://user:pw@127.0.0.1/", "userinfo"),
        ("http://@localhost/", "userinfo"),
        ("http://localhost:80@example.org/", "userinfo"),
        ("http://localhost/#", "fragment"),
        ("http://localhost#@example.org/", "fragment"),
        (" http://localhost/", "whitespace"),
        ("http://localhost/ ", "whitespace"),
        ("http://localhost/\n", "whitespace"),
        ("http://local\thost/", "whitespace"),
        ("http://localhost/a\r\nX: y", "whitespace"),
        ("http://localhost/\x00", "control_character"),
        ("http://localhost/\x7f", "control_character"),
        ("http://localhost\\@example.org/", "backslash"),
        ("http:\\\\localhost/", "backslash"),
        ("http://localhost/\u00e9", "not_ascii"),
        ("http://\uff4cocalhost/", "not_ascii"),
        ("http://localhost\u3002/", "not_ascii"),
        ("http://localhost/\u2028", "not_ascii"),
        ("http://localhost/\ud800", "not_ascii"),
        ("http://127.1/", "host_not_allowed"),
        ("http://0x7f.1/", "host_not_allowed"),
        ("http://0x7f000001/", "host_not_allowed"),
        ("http://2130706433/", "host_not_allowed"),
        ("http://017700000001/", "host_not_allowed"),
        ("http://127.0.0.01/", "host_not_allowed"),
        ("http://127.0.0.1./", "host_not_allowed"),
        ("http://127.0.0.2/", "host_not_allowed"),
        ("http://127.0.0.10/", "host_not_allowed"),
        ("http://0.0.0.0/", "host_not_allowed"),
        ("http://0/", "host_not_allowed"),
        ("http://LOCALHOST/", "host_not_allowed"),
        ("http://Localhost/", "host_not_allowed"),
        ("http://localhost./", "host_not_allowed"),
        ("http://localhost.example.org/", "host_not_allowed"),
        ("http://localhos%74/", "host_not_allowed"),
        ("http://[::1%25lo]/", "host_not_allowed"),
        ("http://[0:0:0:0:0:0:0:1]/", "host_not_allowed"),
        ("http://[::ffff:127.0.0.1]/", "host_not_allowed"),
        ("http://::1/", "host_not_allowed"),
        ("http://[::1]x/", "host_not_allowed"),
        ("http://127x0x0x1/", "host_not_allowed"),
        ("http:///hook", "host_not_allowed"),
        ("http://", "host_not_allowed"),
        ("https://example.org/", "host_not_allowed"),
        ("http://169.254.169.254/", "host_not_allowed"),
        ("http://localhost:/", "port_not_allowed"),
        ("http://localhost:", "port_not_allowed"),
        ("http://localhost:0/", "port_not_allowed"),
        ("http://localhost:080/", "port_not_allowed"),
        ("http://localhost:65536/", "port_not_allowed"),
        ("http://localhost:99999", "port_not_allowed"),
        ("http://localhost:100000/", "port_not_allowed"),
        ("http://localhost:-1/", "port_not_allowed"),
        ("http://localhost:http/", "port_not_allowed"),
        ("http://localhost:80:80/", "port_not_allowed"),
        ("http://localhost/%", "malformed"),
        ("http://localhost/%zz", "malformed"),
        ("http://localhost/?a=%4", "malformed"),
        ("http://localhost/[", "malformed"),
        ("http://localhost/{id}", "malformed"),
        ('http://localhost/"', "malformed"),
        ("http://localhost/<x>", "malformed"),
        ("http://localhost/a|b", "malformed"),
        ("http://localhost/?a^b`", "malformed"),
    ],
)
def test_what_is_refused(url: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_target(url)
    assert [(i.path, i.code) for i in caught.value.issues] == [(("target",), code)]


@given(
    st.text(max_size=40)
    | st.builds("http://{}{}".format, st.text("localhst127.0:@[]%/?#", max_size=30), st.text())
)
def test_nothing_else_is_raised(url: str) -> None:
    try:
        assert check_target(url) == url
    except InvalidRequest:
        return
    authority = url.split("://")[1].replace("?", "/").split("/")[0]
    host = authority if authority.endswith("]") else authority.split("]:")[0]
    assert host.startswith(("127.0.0.1", "localhost", "[::1"))
    assert "@" not in authority
