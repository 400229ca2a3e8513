"""Object code on disk: found again, never trusted."""

import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from wengert.core.config import config
from wengert.runtime import cache, engine, native
from wengert.runtime.support import support

posix = pytest.mark.skipif(os.name != "posix", reason="owners and permissions are those of POSIX")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    support()  # the runtime's own code, which would otherwise be among what is counted
    where = tmp_path / "cache"
    monkeypatch.setattr(config, "cache_dir", str(where))
    monkeypatch.setattr(config, "disk_cache", True)
    return where


@pytest.fixture
def assembled(monkeypatch):
    """Texts that LLVM compiles, as they come."""
    seen = []
    real = native.assemble

    def assemble(text, tier):
        seen.append(text)
        return real(text, tier)

    monkeypatch.setattr(native, "assemble", assemble)
    return seen


def only(folder):
    (path,) = folder.glob("*.o")
    return path


def test_found_again(made, folder, assembled):
    first = engine.compile(made.twice(7))
    again = engine.compile(made.twice(7))
    assert len(assembled) == 1
    assert "optimise" in first.seconds and "optimise" not in again.seconds and "cached" in again.seconds
    np.testing.assert_array_equal(again(np.ones(7))[0], np.full(7, 2.0))


def test_what_the_name_depends_on(made, folder, assembled, monkeypatch):
    engine.compile(made.twice(7))
    engine.compile(made.twice(7), tier="fast")
    monkeypatch.setattr(native, "cpu", lambda: ("generic", ""))
    engine.compile(made.twice(7))
    monkeypatch.setattr(native, "version", lambda: "another LLVM")
    engine.compile(made.twice(7))
    assert len(assembled) == 4 and len(list(folder.glob("*.o"))) == 4


@posix
def test_permissions(made, folder):
    engine.compile(made.twice(7))
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(only(folder)).st_mode) == 0o600


def spoil(path, how):
    data = bytearray(path.read_bytes())
    match how:
        case "a flipped bit":
            data[len(data) // 2] ^= 1
        case "a flipped bit of the hash":
            data[20] ^= 1
        case "truncated":
            data = data[: len(data) // 2]
        case "empty":
            data = bytearray()
        case "longer":
            data += b"x"
        case "another format":
            data[:8] = b"wengert0"
    path.write_bytes(data)


@pytest.mark.parametrize(
    "how", ["a flipped bit", "a flipped bit of the hash", "truncated", "empty", "longer", "another format"]
)
def test_a_damaged_file_is_not_loaded(made, folder, assembled, how):
    engine.compile(made.twice(7))
    good = only(folder).read_bytes()
    spoil(only(folder), how)
    np.testing.assert_array_equal(engine.compile(made.twice(7))(np.ones(7))[0], np.full(7, 2.0))
    assert len(assembled) == 2
    assert len(only(folder).read_bytes()) == len(good)  # written anew
    engine.compile(made.twice(7))
    assert len(assembled) == 2


def test_another_programs_file_is_not_loaded(made, folder, assembled):
    engine.compile(made.twice(7))
    seven = only(folder)
    code = seven.read_bytes()
    seven.unlink()
    engine.compile(made.twice(8))
    only(folder).write_bytes(code)  # whole and unspoilt, but not what was asked for
    np.testing.assert_array_equal(engine.compile(made.twice(8))(np.ones(8))[0], np.full(8, 2.0))
    assert len(assembled) == 3


@posix
@pytest.mark.parametrize("bits", [0o020, 0o002])
def test_what_others_can_write_is_not_loaded(made, folder, assembled, bits):
    engine.compile(made.twice(7))
    only(folder).chmod(0o600 | bits)
    engine.compile(made.twice(7))
    assert len(assembled) == 2
    folder.chmod(0o700 | bits)
    engine.compile(made.twice(7))
    assert len(assembled) == 3


@posix
def test_what_belongs_to_others_is_not_loaded(made, folder, assembled, monkeypatch):
    engine.compile(made.twice(7))
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    engine.compile(made.twice(7))
    assert len(assembled) == 2


@posix
def test_links_are_not_followed(made, folder, assembled):
    engine.compile(made.twice(7))
    path = only(folder)
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")
    engine.compile(made.twice(7))
    assert len(assembled) == 2


@posix
@pytest.mark.skipif(os.name == "posix" and os.getuid() == 0, reason="root can write anywhere")
def test_a_folder_that_cannot_be_written(made, tmp_path, monkeypatch):
    tmp_path.chmod(0o500)
    monkeypatch.setattr(config, "cache_dir", str(tmp_path / "cache"))
    np.testing.assert_array_equal(engine.compile(made.twice(7))(np.ones(7))[0], np.full(7, 2.0))


def test_a_file_in_place_of_the_folder(made, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("")
    monkeypatch.setattr(config, "cache_dir", str(tmp_path / "cache"))
    np.testing.assert_array_equal(engine.compile(made.twice(7))(np.ones(7))[0], np.full(7, 2.0))


def test_switched_off(made, folder, assembled, monkeypatch):
    monkeypatch.setattr(config, "disk_cache", False)
    engine.compile(made.twice(7))
    engine.compile(made.twice(7))
    assert len(assembled) == 2 and not folder.exists()


def test_size(folder, monkeypatch):
    monkeypatch.setattr(config, "cache_size", 100_000)
    monkeypatch.setattr(cache, "_unmeasured", float("inf"))
    for i in range(30):
        cache.save(f"{i:064}", bytes(10_000))
        os.utime(folder / f"{i:064}.o", (i, i))
    kept = sorted(int(e.path.stem) for e in cache.entries())
    assert sum(e.nbytes for e in cache.entries()) <= 110_000
    assert kept == list(range(30 - len(kept), 30)) and kept  # those used last


def test_use_is_noted(folder):
    cache.save("a" * 64, b"code")
    path = only(folder)
    os.utime(path, (1000, 1000))
    assert cache.load("a" * 64) == b"code"
    assert path.stat().st_mtime > 1e9


def test_clear(made, folder):
    engine.compile(made.twice(7))
    (folder / "notes.txt").write_text("not ours")
    files, nbytes = cache.clear()
    assert files == 1 and nbytes > 100
    assert [p.name for p in folder.iterdir()] == ["notes.txt"]


def test_where(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "cache_dir", None)
    monkeypatch.setenv("WENGERT_CACHE_DIR", str(tmp_path / "here"))
    assert cache.directory() == tmp_path / "here"
    monkeypatch.setattr(config, "cache_dir", "~/there")
    assert cache.directory().name == "there" and "~" not in str(cache.directory())


def test_several_processes_at_once(folder):
    """Each writes and reads the same names; what is read is always whole."""
    script = (
        "from wengert.runtime import cache\n"
        "for i in range(200):\n"
        "    name = f'{i % 5:064}'\n"
        "    cache.save(name, name.encode() * 1000)\n"
        "    assert cache.load(name) == name.encode() * 1000\n"
    )
    env = {**os.environ, "WENGERT_CACHE_DIR": str(folder)}
    running = [subprocess.Popen([sys.executable, "-c", script], env=env) for _ in range(3)]
    assert [p.wait() for p in running] == [0, 0, 0]
    assert len(list(folder.iterdir())) == 5


def test_command(made, folder, capsys):
    from wengert.cli import main

    engine.compile(made.twice(7))
    nbytes = only(folder).stat().st_size
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.startswith(f"{folder}: 1 compiled programs, {nbytes} of at most")
    assert main(["cache", "info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == 1
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"1 files, {nbytes} bytes deleted\n"
    assert main(["cache", "clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"files": 0, "bytes": 0}
    assert list(folder.iterdir()) == []


@posix
def test_info_tells_of_a_folder_that_is_not_private(made, folder):
    engine.compile(made.twice(7))
    assert cache.info().problem == ""
    folder.chmod(0o777)
    assert "only you" in cache.info().problem
