"""The sources of installed packages, found without importing them, and the uses in all of them together."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from wengert.core.errors import MissingPackage
from wengert.verify.gaps.scan import TRACKED, Tally, scan

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """One file. `home` is the package, or for NumPy and SciPy the public subpackage, that it is part of."""

    path: str
    module: str
    package: str
    home: str
    test: bool


@dataclass
class Uses:
    """How often one dotted name is read: per file's home, in library code and in tests."""

    library: Counter[tuple[str, str]] = field(default_factory=Counter)  # (package, home) → uses
    tests: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass
class Reading:
    """Everything that was read."""

    names: dict[str, Uses]
    methods: dict[str, Uses]
    files: dict[str, int]  #: per package
    unreadable: dict[str, str]  #: path → why


def find(package: str) -> list[Source]:
    """The Python files of an installed package; raises MissingPackage."""
    try:
        spec = importlib.util.find_spec(package)
    except ImportError:
        spec = None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise MissingPackage(package)
    return [source for folder in folders for source in _files(package, Path(folder))]


def _files(package: str, folder: Path) -> Iterator[Source]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        module = ".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))
        yield Source(str(path), module, package, _home(package, parts), _is_test(parts))


def _home(package: str, parts: Sequence[str]) -> str:
    public = len(parts) > 1 and not parts[0].startswith("_") and parts[0] not in ("lib", "matrixlib", "tests", "core")
    return f"{package}.{parts[0]}" if package in TRACKED and public else package


def _is_test(parts: Sequence[str]) -> bool:
    return (
        bool({"tests", "test", "testing"} & set(parts[:-1])) or parts[-1].startswith("test_") or parts[-1] == "conftest"
    )


def _read(source: Source) -> Tally:
    path = Path(source.path)
    try:
        return scan(path.read_bytes(), source.module, path.name == "__init__.py")
    except OSError as error:
        return Tally(unreadable=f"{type(error).__name__}: {error}")


def _tallies(sources: Sequence[Source], jobs: int, progress: Progress | None) -> Iterable[tuple[Source, Tally]]:
    def counted(tallies: Iterable[Tally]) -> Iterator[tuple[Source, Tally]]:
        for done, (source, tally) in enumerate(zip(sources, tallies, strict=True), 1):
            if progress is not None:
                progress(done, len(sources))
            yield source, tally

    if jobs <= 1:
        yield from counted(map(_read, sources))
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from counted(pool.map(_read, sources, chunksize=32))


def read(packages: Sequence[str], jobs: int | None = None, progress: Progress | None = None) -> Reading:
    """The uses in the sources of `packages`.

    jobs       processes; None for one per CPU that this process may use
    progress   called with (files read, files in all) after each
    """
    if jobs is None:
        jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    sources = [source for package in packages for source in find(package)]
    reading = Reading(defaultdict(Uses), defaultdict(Uses), dict(Counter(s.package for s in sources)), {})
    for source, tally in _tallies(sources, jobs, progress):
        if tally.unreadable:
            reading.unreadable[source.path] = tally.unreadable
        for found, into in ((tally.names, reading.names), (tally.methods, reading.methods)):
            for name, count in found.items():
                uses = into[name]
                (uses.tests if source.test else uses.library)[source.package, source.home] += count
    return reading
