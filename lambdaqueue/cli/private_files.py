"""Files in the data folder that only their owner can read: written whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lambdaqueue.errors import ConfigurationError

__all__ = ["read_private", "remove_private", "write_private"]


def read_private(path: Path) -> str | None:
    """Return the text of `path`, or None where there is no such file.

    Raises:
        ConfigurationError: it is there and can't be read.
    """
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from error


def write_private(path: Path, text: str, *, replace: bool = True) -> bool:
    """Write `path`, never readable for others, not even for a moment; it outlives a power cut.

    Returns:
        False when it was there already and `replace` is false: then it stays as it is.

    Raises:
        ConfigurationError: it can't be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
        new = Path(name)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                new.replace(path)
            else:
                os.link(new, path)
        except FileExistsError:
            return False
        finally:
            new.unlink(missing_ok=True)
        _flush_folder(path.parent)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error}") from error
    return True


def remove_private(path: Path) -> None:
    """Remove `path`, if it is there.

    Raises:
        ConfigurationError: it can't be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be removed: {error}") from error


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
