"""What `perf` is told: maps and dumps of code that really lies there, and lines that are those of the text."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import wengert as wg
from wengert.core.config import config
from wengert.lowering.lower import lower
from wengert.runtime import engine, native, perf
from wengert.runtime.elf import Object

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="perf is of Linux")


def noisy(x):
    return (np.exp(x) * np.tanh(x)).sum() + x @ x


LINE = noisy.__code__.co_firstlineno + 1


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Code is compiled anew, and dumped to a folder of the test's."""
    for name in ("WENGERT_PERF_MAP", "WENGERT_JITDUMP"):
        monkeypatch.delenv(name, raising=False)
    engine.forget()
    yield tmp_path
    engine.forget()
    perf._dumps.clear()


def mapped_lines():
    path = Path(f"/tmp/perf-{os.getpid()}.map")
    return path.read_text().splitlines() if path.exists() else []


def memory(at, size):
    return ctypes.string_at(at, size)


def test_nothing_is_written_unless_asked(fresh):
    before = mapped_lines()
    wg.jit(lambda x: noisy(x) - 0.5625)(np.ones(8))
    assert mapped_lines() == before and not list(fresh.iterdir())


def test_the_map_names_what_lies_there(fresh):
    before = len(mapped_lines())
    with config.override(perf_map=True):
        wg.jit(noisy)(np.ones(19))
    lines = mapped_lines()[before:]
    assert lines and all(re.fullmatch(r"[0-9a-f]+ [0-9a-f]+ \S.*", line) for line in lines)
    (executable,) = [e for e in list(engine.made) if [a.shape for a in e.lowered.ins] == [(19,)]]
    found = {}
    for line in lines:
        at, size, name = line.split(" ", 2)
        found[name] = int(at, 16), int(size, 16)
    assert found["noisy"][0] == executable._run
    kernels = [name for name in found if re.match(r"noisy k\d+ \w", name)]
    assert any("tanh+exp" in name and name.endswith(f"test_perf.py:{LINE}") for name in kernels)
    assert len(kernels) >= len(executable.lowered.kernels)
    code, _ = native.assemble(perf.APART + executable.lowered.text, native.FULL)
    sizes = {s.name: s.size for s in Object(code).symbols()}
    assert found["noisy"][1] == sizes["run"]
    spans = sorted(found.values())
    assert all(a + n <= b for (a, n), (b, _) in pairwise(spans))  # no two overlap
    for at, size in spans:
        assert memory(at, size).strip(b"\0")


def records(path):
    """A dump by its specification: header, then records of (kind, time, body)."""
    data = path.read_bytes()
    magic, version, size, machine, _, pid, stamp, flags = struct.unpack_from("<IIIIIIQQ", data)
    assert magic == 0x4A695444 and version == 1 and size == 40 and flags == 0
    assert machine == Object(Path(sys.executable).resolve().read_bytes()).machine
    assert pid == os.getpid()
    at, found = size, []
    while at < len(data):
        kind, total, when = struct.unpack_from("<IIQ", data, at)
        assert total >= 16 and when >= stamp
        found.append((kind, when, data[at + 16 : at + total]))
        at, stamp = at + total, when
    assert at == len(data)
    return found


def loads(found):
    """(name, address, code, lines) of each function; its lines come before it."""
    lines: dict[int, list[tuple[int, int, str]]] = {}
    for kind, _, body in found:
        if kind == perf.DEBUG:
            address, count = struct.unpack_from("<QQ", body)
            at, rows = 16, []
            for _ in range(count):
                where, line, discriminator = struct.unpack_from("<QII", body, at)
                end = body.index(b"\0", at + 16)
                rows.append((where, line, body[at + 16 : end].decode()))
                assert discriminator == 0
                at = end + 1
            assert at == len(body)
            lines[address] = rows
        else:
            assert kind == perf.LOAD
            pid, _, vma, address, size, _ = struct.unpack_from("<IIQQQQ", body)
            end = body.index(b"\0", 40)
            assert pid == os.getpid() and vma == address and len(body) == end + 1 + size
            yield body[40:end].decode(), address, body[end + 1 :], lines.get(address, [])


def test_the_dump_is_as_specified_and_has_the_lines(fresh):
    with config.override(jitdump=str(fresh)):
        result = wg.jit(noisy)(np.ones(23))
    assert np.allclose(result, noisy(np.ones(23)))
    (dump,), (listing,) = fresh.glob("*.dump"), fresh.glob("*noisy.ll")
    found = list(loads(records(dump)))
    indices = [struct.unpack_from("<Q", body, 32)[0] for kind, _, body in records(dump) if kind == perf.LOAD]
    assert len(set(indices)) == len(indices)
    text = listing.read_text().splitlines()
    assert any(f"test_perf.py:{LINE} in noisy" in line for line in text)
    kernel = next(one for one in found if "tanh+exp" in one[0])
    for _, address, code, _ in found:
        assert memory(address, len(code)) == code
    _, address, code, rows = kernel
    assert len(rows) > 5
    assert all(address <= where < address + len(code) and path == str(listing.resolve()) for where, _, path in rows)
    shown = {text[line - 1].strip() for _, line, _ in rows}
    assert any("fmul" in line or "fadd" in line for line in shown) and not any(line.startswith(";") for line in shown)


def test_lines_do_not_change_the_code(fresh):
    lowered = lower(wg.trace(lambda x: np.exp(x) * np.tanh(x) + 2.0, np.ones(50)))
    plain, _ = native.assemble(perf.APART + lowered.text, native.FULL)
    lined, _ = native.assemble(perf.lined(perf.listing(lowered)), native.FULL)
    a, b = Object(plain), Object(lined)
    assert [(s.name, s.size) for s in a.symbols()] == [(s.name, s.size) for s in b.symbols()]
    assert not a.lines() and b.lines()


@pytest.mark.skipif(shutil.which("readelf") is None, reason="no readelf")
def test_symbols_and_lines_are_those_of_readelf(fresh, tmp_path):
    wg.jit(noisy)(np.ones(29))
    (executable,) = [e for e in list(engine.made) if [a.shape for a in e.lowered.ins] == [(29,)]]
    code, _ = native.assemble(perf.lined(perf.listing(executable.lowered)), native.FULL)
    (tmp_path / "a.o").write_bytes(code)

    def told(*arguments):
        return subprocess.run(
            ["readelf", "-W", *arguments, str(tmp_path / "a.o")], capture_output=True, text=True
        ).stdout

    symbols = re.findall(r": ([0-9a-f]{16}) +(\d+) FUNC +\w+ +\w+ +(\d+) (\S+)", told("-s"))
    found = Object(code)
    assert sorted((int(v, 16), int(n), int(s), name) for v, n, s, name in symbols) == sorted(
        (s.start, s.size, s.section, s.name) for s in found.symbols()
    )
    rows = re.findall(r"^program\.ll +(\d+|-) +(0x[0-9a-f]+|0)", told("--debug-dump=decodedline"), re.MULTILINE)
    assert [(0 if line == "-" else int(line), int(at, 16)) for line, at in rows if line != "-"] == [
        (row.line, row.address) for row in found.lines() if not row.last
    ]


def test_what_is_no_elf_is_refused():
    with pytest.raises(ValueError, match="no ELF"):
        Object(b"MZ" + bytes(100))


SCRIPT = """
import numpy as np, wengert as wg
def noisy(x):
    return (np.exp(x) * np.tanh(x)).sum()
f = wg.jit(noisy)
x = np.ones(200_000)
for _ in range(150):
    f(x)
"""


@pytest.mark.skipif(shutil.which("perf") is None, reason="no perf")
def test_perf_itself(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    root = Path(wg.__file__).parent.parent
    environment = os.environ | {
        "WENGERT_JITDUMP": str(tmp_path), "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1",
        "WENGERT_CACHE_DIR": str(tmp_path / "cache"), "HOME": str(tmp_path),
    }  # fmt: skip

    def perf_(*arguments):
        return subprocess.run(["perf", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)

    ran = perf_("record", "-k", "mono", "-e", "cpu-clock", "-o", "perf.data", sys.executable, "script.py")
    if ran.returncode or not (tmp_path / "perf.data").exists():
        pytest.skip(f"perf cannot record here: {ran.stderr[-200:]}")
    injected = perf_("inject", "--jit", "-i", "perf.data", "-o", "jit.data")
    assert injected.returncode == 0, injected.stderr
    report = perf_("report", "-i", "jit.data", "--stdio").stdout
    (symbol,) = re.findall(r"\[\.\] (noisy k0 tanh\+exp\S* script\.py:4)", report)
    shown = perf_("annotate", "-i", "jit.data", "--stdio", "-l", symbol).stdout
    assert "fmul" in shown and ".ll:" in shown
