"""Ranges for NVIDIA's Nsight Systems, and whatever else reads NVTX."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from wengert.core.errors import MissingExtra
from wengert.core.events import listening
from wengert.profile.footprint.report import Line

COLOURS = {"op": "blue", "pullback": "orange", "backward pass": "red", "program": "green"}


@contextlib.contextmanager
def nvtx(domain: str = "wengert") -> Iterator[None]:
    """Mark each op, pullback, backward pass and compiled program as an NVTX range, for the length of a `with` block.

    Ranges are named by op and user's line, and nest as what they mark does, in each thread. Tapes that run already are not marked.
    Calls of compiled programs come through Python meanwhile: some ten microseconds each, so do not measure with this.

    Raises
    ------
    MissingExtra : the package `nvtx` is not installed.
    """
    try:
        found = importlib.import_module("nvtx")
    except ImportError:
        raise MissingExtra("nvtx", "nvtx", "marking NVTX ranges") from None
    ranges = _Ranges(found, domain)
    try:
        with listening(**ranges.listeners()):
            yield
    finally:
        ranges.close()


class _Ranges:
    """The ranges that are open, by thread. What has raised left its range open: it is closed with the one around it."""

    def __init__(self, module: Any, domain: str) -> None:
        self.module, self.domain = module, domain
        self.local = threading.local()

    def listeners(self) -> dict[str, Callable[..., None]]:
        return {
            "executing": self._executing, "executed": self._executed, "pulling": self._pulling,
            "cotangent": self._cotangent, "swept": self._swept, "running": self._running, "ran": self._ran,
        }  # fmt: skip

    @property
    def open(self) -> list[Any]:
        if not hasattr(self.local, "open"):
            self.local.open = []
        return self.local.open

    def push(self, kind: str, token: Any, message: str) -> None:
        self.open.append(token)
        self.module.push_range(message=message, color=COLOURS[kind], domain=self.domain)

    def pop(self, token: Any) -> None:
        """Close the range of `token`, and those in it."""
        for i in range(len(self.open) - 1, -1, -1):
            if self.open[i] == token:
                self._close(i)
                return

    def _close(self, size: int) -> None:
        while len(self.open) > size:
            self.open.pop()
            self.module.pop_range(domain=self.domain)

    def close(self) -> None:
        """Close all of this thread's."""
        self._close(0)

    def _executing(self, op: Any, args: Any, source: Any) -> None:
        self.push("op", ("op", op.name), _named(op.name, source))

    def _executed(self, op: Any, *rest: Any) -> None:
        self.pop(("op", op.name))

    def _pulling(self, row: Any, ct: Any) -> None:
        if not self.open or self.open[-1][0] != "backward pass":
            self.push("backward pass", ("backward pass",), "backward pass")
        self.push("pullback", ("pullback", id(row)), _named(f"pullback of {row[0].name}", row[6:8]))

    def _cotangent(self, row: Any, *rest: Any) -> None:
        self.pop(("pullback", id(row)))

    def _swept(self, *rest: Any) -> None:
        if self.open and self.open[-1][0] == "backward pass":
            self.pop(("backward pass",))

    def _running(self, executable: Any, operands: Any) -> None:
        self.push("program", ("program", id(executable)), executable.name)

    def _ran(self, executable: Any, *rest: Any) -> None:
        self.pop(("program", id(executable)))


def _named(name: str, source: Any) -> str:
    return f"{name} ({Line.of(source)})" if source is not None and source[0] is not None else name
