"""Object code on disk, so that a program is compiled once per machine and not once per process.

A file is named by the hash of everything that its content depends on, and begins with a hash of its content. It is used
only if it belongs to this user, nobody else can write it, and its hash holds; whatever else lies in the folder is never
loaded. Nothing here raises over a disk that is full, read-only or shared: the code is then compiled again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wengert.core.config import config
from wengert.runtime import native

_MAGIC = b"wengert1"
_HEAD = len(_MAGIC) + 32
_SUFFIX = ".o"
_FRESH = 3600.0  # seconds for which a use need not be noted again


def directory() -> Path:
    """`wg.config.cache_dir`, or `$WENGERT_CACHE_DIR`, or where this system keeps caches."""
    chosen = config.cache_dir or os.environ.get("WENGERT_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "wengert"


def key(*parts: str) -> str:
    """The name of what depends on `parts` alone."""
    hashed = hashlib.sha256()
    for part in parts:
        data = part.encode()
        hashed.update(len(data).to_bytes(8, "little"))
        hashed.update(data)
    return hashed.hexdigest()


def load(name: str) -> bytes | None:
    """What was saved under `name`, or None; also where the file is not exactly what `save` has written."""
    if not config.disk_cache:
        return None
    try:
        path = directory() / (name + _SUFFIX)
        if not _private(os.lstat(path.parent), stat.S_ISDIR):
            return None
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            status = os.fstat(file.fileno())
            if not _private(status, stat.S_ISREG):
                return None
            data = file.read()
        content = data[_HEAD:]
        if data[:_HEAD] != _head(name, content):
            return None
        if time.time() - status.st_mtime > _FRESH:
            os.utime(path)
        return content
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None


def save(name: str, content: bytes) -> None:
    """Keep `content` for later processes; all of it appears at once, or none."""
    if not config.disk_cache:
        return
    with contextlib.suppress(OSError, RuntimeError):
        folder = directory()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _private(os.lstat(folder), stat.S_ISDIR):
            return
        part = folder / f"{name}.{os.getpid()}.{time.monotonic_ns()}.part"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with open(os.open(part, flags, 0o600), "wb") as file:
                file.write(_head(name, content) + content)
            os.replace(part, folder / (name + _SUFFIX))
        except OSError:
            part.unlink(missing_ok=True)
            raise
        _note(_HEAD + len(content))


def _name(text: str, tier: native.Tier) -> str:
    """This library's version is not part of it: object code depends on nothing of the library but the text."""
    return key("1", native.version(), *native.cpu(), sys.platform, repr(tier), text)


def holds(text: str, tier: native.Tier) -> bool:
    """Whether there seems to be object code for `text`."""
    if not config.disk_cache:
        return False
    with contextlib.suppress(OSError, RuntimeError):
        return (directory() / (_name(text, tier) + _SUFFIX)).exists()
    return False


def assembled(text: str, tier: native.Tier) -> tuple[bytes, dict[str, float]]:
    """Object code for `text`, from disk where it has been compiled before; and the seconds of each stage, or of "cached"."""
    start = time.perf_counter()
    name = _name(text, tier)
    code = load(name)
    if code is not None:
        return code, {"cached": time.perf_counter() - start}
    code, seconds = native.assemble(text, tier)
    save(name, code)
    return code, seconds


def _head(name: str, content: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(name.encode() + content).digest()


def _private(status: os.stat_result, kind: Callable[[int], bool]) -> bool:
    """Whether this is a folder or file of this user's own, which nobody else can write."""
    if not kind(status.st_mode):
        return False
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)


@dataclass(frozen=True)
class Entry:
    """One file: its size in bytes and when it was last used, to the hour."""

    path: Path
    nbytes: int
    used: float


def entries() -> Iterator[Entry]:
    """The files of the cache."""
    with contextlib.suppress(OSError, RuntimeError), os.scandir(directory()) as found:
        for file in found:
            if file.name.endswith((_SUFFIX, ".part")) and file.is_file(follow_symlinks=False):
                status = file.stat(follow_symlinks=False)
                yield Entry(Path(file.path), status.st_size, status.st_mtime)


_unmeasured: float = float("inf")  # bytes written since the folder was last measured


def _note(nbytes: int) -> None:
    """Something was written: keep to `wg.config.cache_size`, without measuring the folder each time."""
    global _unmeasured
    _unmeasured += nbytes
    if _unmeasured > config.cache_size / 16:
        _unmeasured = 0
        _trim()


def _trim() -> None:
    """Delete what was used longest ago until an eighth of the cache's size is free."""
    found = sorted(entries(), key=lambda entry: entry.used)
    total = sum(entry.nbytes for entry in found)
    if total <= config.cache_size:
        return
    for entry in found:
        if total <= config.cache_size * 7 / 8:
            break
        with contextlib.suppress(OSError):
            entry.path.unlink()
            total -= entry.nbytes


class Info(NamedTuple):
    """Where the cache is, what it holds, and why it is not used, if it is not."""

    folder: str
    files: int
    bytes: int
    limit: int
    problem: str


def info() -> Info:
    """The state of the cache."""
    folder, found = directory(), list(entries())
    problem = "" if config.disk_cache else "wg.config.disk_cache is off"
    with contextlib.suppress(OSError):
        if not _private(os.lstat(folder), stat.S_ISDIR):
            problem = "it is no folder of yours that only you can write"
    return Info(str(folder), len(found), sum(entry.nbytes for entry in found), config.cache_size, problem)


def clear() -> tuple[int, int]:
    """Delete everything; how many files and bytes that was."""
    files = nbytes = 0
    for entry in list(entries()):
        with contextlib.suppress(OSError):
            entry.path.unlink()
            files, nbytes = files + 1, nbytes + entry.nbytes
    return files, nbytes
