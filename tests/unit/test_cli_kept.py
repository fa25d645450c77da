"""What `lambdaqueue up` keeps in its data folder: private files, and the master keys in one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lambdaqueue.cli.master_keys import MasterKeys
from lambdaqueue.cli.private_files import read_private, remove_private, write_private
from lambdaqueue.errors import ConfigurationError

# Fixed ones: they are in the names of tests, which every process of a run must agree on.
OLD, NEW = "b2xk" * 10 + "b2w=", "bmV3" * 10 + "bmU="


def test_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    assert read_private(path) is None
    assert write_private(path, "a")
    assert read_private(path) == "a"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert write_private(path, "b")
    assert not write_private(path, "c", replace=False)
    assert read_private(path) == "b"
    assert list(path.parent.iterdir()) == [path]
    remove_private(path)
    remove_private(path)
    assert list(path.parent.iterdir()) == []


def test_a_file_that_others_could_read_is_replaced_by_one_that_they_can_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    path.chmod(0o644)
    write_private(path, "b")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "bytes").write_bytes(b"\xff")
    for broken in (
        lambda: write_private(tmp_path / "file" / "below", "a"),
        lambda: read_private(tmp_path / "file" / "below"),
        lambda: read_private(tmp_path / "bytes"),
        lambda: remove_private(tmp_path),
    ):
        with pytest.raises(ConfigurationError, match=f"^{tmp_path}.* can't be "):
            broken()


def test_a_master_key_is_made_once(tmp_path: Path) -> None:
    assert MasterKeys.find(tmp_path, {}) is None
    made = MasterKeys.keep(tmp_path / "data", {})
    assert made.made
    assert MasterKeys.find(tmp_path, made.env()) == MasterKeys(made.words)
    assert made.env() == {"LQ_MASTER_KEYS": made.words[0]}
    found = MasterKeys.keep(tmp_path / "data", {})
    assert (found.words, found.made) == (made.words, False)
    (file,) = (tmp_path / "data").iterdir()
    assert file.name == "master_keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_variable_wins_and_is_not_kept(tmp_path: Path) -> None:
    given = {"LQ_MASTER_KEYS": f"{NEW},\n{OLD}"}
    assert MasterKeys.keep(tmp_path, given) == MasterKeys((NEW, OLD))
    assert list(tmp_path.iterdir()) == []
    made = MasterKeys.keep(tmp_path, {"LQ_MASTER_KEYS": ""})
    assert MasterKeys.keep(tmp_path, given).words == (NEW, OLD)
    assert MasterKeys.keep(tmp_path, {}).words == made.words


def test_a_new_key_stands_above_the_old(tmp_path: Path) -> None:
    made = MasterKeys.keep(tmp_path, {})
    file = tmp_path / "master_keys"
    file.write_text(f"{NEW}\n{file.read_text()}")
    assert MasterKeys.keep(tmp_path, {}).words == (NEW, *made.words)


@pytest.mark.parametrize("text", ["", "# only a comment\n", f"{NEW}\npa55word\n", f"{NEW[:-2]}\n"])
def test_a_file_without_keys_is_named_and_stays(tmp_path: Path, text: str) -> None:
    file = tmp_path / "master_keys"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=f"{file} must hold master keys") as said:
        MasterKeys.keep(tmp_path, {})
    assert "pa55word" not in str(said.value)
    assert file.read_text() == text


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="LQ_MASTER_KEYS must be Fernet keys") as said:
        MasterKeys.keep(tmp_path, {"LQ_MASTER_KEYS": "pa55word"})
    assert "pa55word" not in str(said.value)
    assert list(tmp_path.iterdir()) == []


def test_they_do_not_show_in_a_representation() -> None:
    assert NEW not in repr(MasterKeys((NEW,)))
