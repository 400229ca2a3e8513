"""The API table: what becomes of every public name of NumPy, of ndarray's methods, and of the array API standard.

The names are enumerated by program from the NumPy that is installed, and looked up in `wengert.numpy.registry`;
a name that is found nowhere is *blank*, and a test fails. The array API standard's names are data, since
the standard is a text: version 2024.12, https://data-apis.org/array-api/2024.12/API_specification/.
"""

from __future__ import annotations

import types
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import Any, Literal

import numpy as np
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

import wengert.numpy  # noqa: F401  # fills the registry
from wengert.core.tensor import Tensor
from wengert.numpy.registry import NAMES, Entry, theirs
from wengert.numpy.rest import REFUSED_METHODS
from wengert.verify import examples, names
from wengert.verify.workers import available, single_threaded

STANDARD = "2024.12"

ARRAY_API: dict[str, str] = {
    "creation": "arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid ones ones_like tril triu"
    " zeros zeros_like",
    "data types": "astype can_cast finfo iinfo isdtype result_type",
    "elementwise": "abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_invert bitwise_or"
    " bitwise_right_shift bitwise_xor ceil clip conj copysign cos cosh divide equal exp expm1 floor floor_divide greater"
    " greater_equal hypot imag isfinite isinf isnan less less_equal log log1p log2 log10 logaddexp logical_and logical_not"
    " logical_or logical_xor maximum minimum multiply negative nextafter not_equal positive pow real reciprocal remainder"
    " round sign signbit sin sinh square sqrt subtract tan tanh trunc",
    "indexing": "take take_along_axis",
    "inspection": "__array_namespace_info__",
    "linear algebra": "matmul matrix_transpose tensordot vecdot",
    "manipulation": "broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims repeat reshape roll squeeze"
    " stack tile unstack",
    "searching": "argmax argmin count_nonzero nonzero searchsorted where",
    "sets": "unique_all unique_counts unique_inverse unique_values",
    "sorting": "argsort sort",
    "statistics": "cumulative_prod cumulative_sum max mean min prod std sum var",
    "utility": "all any diff",
    "linalg extension": "linalg.cholesky linalg.cross linalg.det linalg.diagonal linalg.eigh linalg.eigvalsh linalg.inv"
    " linalg.matmul linalg.matrix_norm linalg.matrix_power linalg.matrix_rank linalg.matrix_transpose linalg.outer linalg.pinv"
    " linalg.qr linalg.slogdet linalg.solve linalg.svd linalg.svdvals linalg.tensordot linalg.trace linalg.vecdot"
    " linalg.vector_norm",
    "fft extension": "fft.fft fft.ifft fft.fftn fft.ifftn fft.rfft fft.irfft fft.rfftn fft.irfftn fft.hfft fft.ihfft"
    " fft.fftfreq fft.rfftfreq fft.fftshift fft.ifftshift",
}

ARRAY_OBJECT = (
    "dtype device mT ndim shape size T __abs__ __add__ __and__ __array_namespace__ __bool__ __complex__ __dlpack__"
    " __dlpack_device__ __eq__ __float__ __floordiv__ __ge__ __getitem__ __gt__ __index__ __int__ __invert__ __le__"
    " __lshift__ __lt__ __matmul__ __mod__ __mul__ __ne__ __neg__ __or__ __pos__ __pow__ __rshift__ __setitem__ __sub__"
    " __truediv__ __xor__ to_device"
).split()

Status = Literal["differentiable", "constant", "refused", "blank"]
A_TYPE = "a type"
KNOWN = "known without the values"

# ndarray's methods and attributes which are no function of NumPy's of the same name.
METHODS: dict[str, tuple[Status, str]] = {
    **dict.fromkeys("T mT flat astype copy fill item tolist flatten view".split(), ("differentiable", "")),
    **dict.fromkeys("base device dtype flags itemsize nbytes ndim shape size strides".split(), ("constant", KNOWN)),
    "to_device": ("differentiable", ""),
}


@dataclass(frozen=True)
class Row:
    """One name. `space` is where it is public: "numpy", "numpy.linalg", "numpy.fft", "ndarray" or "array API"."""

    name: str
    space: str
    status: Status
    reason: str
    remedy: str
    examples: int


def public(module: Any) -> Iterator[str]:
    """The public callables of a module of NumPy's; warnings of deprecated names are not set off."""
    for name in sorted(dir(module)):
        if name.startswith("_") or name in vars(module).get("__expired_attributes__", ()):
            continue
        found = getattr(module, name, None)
        if callable(found) and not isinstance(found, types.ModuleType):
            yield name


def _aliases() -> dict[int, Entry]:
    """Entries by the identity of NumPy's object: `acos` is `arccos`."""
    return {id(theirs(name)): entry for name, entry in NAMES.items() if theirs(name) is not None}


class _Table:
    def __init__(self) -> None:
        self.counts = Counter(e.name for e in examples.load())
        self.aliases = _aliases()

    def count(self, entry: Entry) -> int:
        """Examples of an entry, under any of the names that NumPy gives it."""
        shared = theirs(entry.name)
        names = {n for n in NAMES if n == entry.name or (shared is not None and theirs(n) is shared)}
        names |= {n for n, e in NAMES.items() if e.function is entry.function}
        return sum(self.counts[n] for n in names)

    def row(self, name: str, space: str) -> Row:
        """The row of a function."""
        found = theirs(name)
        entry = NAMES.get(name) or (self.aliases.get(id(found)) if found is not None else None)
        if entry is not None:
            return Row(name, space, entry.status, entry.reason, entry.remedy, self.count(entry))
        if isinstance(found, type):
            return Row(name, space, "constant", A_TYPE, "", 0)
        if name == "__array_namespace_info__":
            return Row(name, space, "constant", "about the namespace", "", 0)
        return Row(name, space, "blank", "", "", 0)

    def method(self, name: str) -> Row:
        """The row of a method or attribute of ndarray, as a Tensor has it."""
        full = f"ndarray.{name}"
        own = self.counts[full]
        if name in REFUSED_METHODS:
            return Row(full, "ndarray", "refused", *REFUSED_METHODS[name], own)
        if hasattr(Tensor, name):
            if name in METHODS:
                status, reason = METHODS[name]
                return Row(full, "ndarray", status, reason, "", own)
            entry = NAMES.get(name)
            if entry is not None:
                return Row(full, "ndarray", entry.status, entry.reason, entry.remedy, own + self.count(entry))
        return Row(full, "ndarray", "blank", "", "", own)


def rows() -> list[Row]:
    """The whole table, space by space."""
    table = _Table()
    out = [table.row(name, "numpy") for name in public(np)]
    for module in ("linalg", "fft"):
        out += [table.row(f"{module}.{name}", f"numpy.{module}") for name in public(getattr(np, module))]
    out += [table.method(name) for name in dir(np.ndarray) if not name.startswith("_")]
    out += [table.row(name, "array API") for group in ARRAY_API.values() for name in group.split()]
    return out + list(_scipy_rows(table.counts))


def _scipy_rows(counts: Counter[str]) -> Iterator[Row]:
    """SciPy's served modules; examples count under their dotted names, "scipy.linalg.expm" or "special.gamma"."""
    from wengert.scipy import fft, linalg, special

    for module, served in (("special", special.NAMES), ("linalg", linalg.NAMES), ("fft", fft.NAMES)):
        for name, entry in sorted(served.items()):
            full = f"scipy.{module}.{name}"
            count = counts[full] + (counts[f"special.{name}"] if module == "special" else 0)
            yield Row(full, f"scipy.{module}", entry.status, entry.reason, entry.remedy, count)


def blank() -> list[str]:
    """The names that have no entry."""
    return sorted({row.name for row in rows() if row.status == "blank"})


# ── executed ──────────────────────────────────────────────────────────────────


def execute(
    wanted: set[str], jobs: int | None = None, progress: Callable[[int, int, str], None] = lambda *a: None
) -> dict[str, list[str]]:
    """Run the examples of the names `wanted`: values, both modes, second order, vmap. Returns what fails, by name."""
    chosen = [k for k, e in enumerate(examples.load()) if e.name in wanted]
    failures: dict[str, list[str]] = defaultdict(list)
    jobs = min(jobs or available(), max(1, len(chosen) // 20))
    if jobs == 1:
        for done, k in enumerate(chosen, 1):
            name, found = _executed(k)
            failures[name] += found
            progress(done, len(chosen), name)
    else:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=single_threaded) as pool:
            for done, (name, found) in enumerate(pool.map(_executed, chosen, chunksize=8), 1):
                failures[name] += found
                progress(done, len(chosen), name)
    return {name: found for name, found in failures.items() if found}


def _executed(k: int) -> tuple[str, list[str]]:
    """One example: its name, and what fails."""
    example = examples.load()[k]
    found = []
    for dtype in names.dtypes_of(example):
        for which in names.CHECKS:
            try:
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    names.check(example, which, dtype)
            except Exception as error:  # any failure is a finding, to be listed with the rest
                found.append(f"{which} in {dtype}: {type(error).__name__}: {error}".splitlines()[0])
    return example.name, found


def data(table: Sequence[Row], failures: dict[str, list[str]]) -> list[dict[str, Any]]:
    """The rows for JSON, each with what fails."""
    return [asdict(row) | {"failures": failures.get(row.name, [])} for row in table]


COLOURS = {"differentiable": "green", "constant": "cyan", "refused": "yellow", "blank": "red"}


def terminal(table: Sequence[Row], failures: dict[str, list[str]]) -> RenderableType:
    """The rows as a table, and totals."""
    shown = Table("name", "where", "status", "examples")
    shown.add_column("reason and remedy", overflow="fold")
    for r in table:
        note = escape(f"{r.reason}{' — ' + r.remedy if r.remedy else ''}")
        if r.name in failures:
            note = f"[red]{escape('; '.join(failures[r.name]))}[/]"
        shown.add_row(r.name, r.space, f"[{COLOURS[r.status]}]{r.status}[/]", str(r.examples or ""), note)
    totals = Table("where", *COLOURS)
    counts = Counter((r.space, r.status) for r in table)
    for space in dict.fromkeys(r.space for r in table):
        totals.add_row(space, *(str(counts[space, status] or "") for status in COLOURS))
    return Group(shown, totals, *([f"[red]{len(failures)} names fail[/]"] if failures else []))
