"""Values on disk: one file each, mapped into memory when they are read, deleted in every case.

A page belongs to whoever holds it. When the last one lets go (the sweep has used it, an exception has unwound, the tape was
dropped), and at the latest when the process ends, its file goes. A process that was forked reads its parent's files, and deletes
its own alone.
"""

from __future__ import annotations

import contextlib
import lzma
import os
import tempfile
import weakref
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.errors import WengertError
from wengert.core.events import packed, tell, unpacked
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, held, raw

LEAST = 4096  # bytes: less than that is no gain
PREFIX = "wengert-"
_CODECS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "zlib": (lambda data: zlib.compress(data, 1), zlib.decompress),
    "lzma": (lambda data: lzma.compress(data, preset=1), lzma.decompress),
}


@dataclass(frozen=True)
class Disk:
    """A folder, and how what goes there is compressed ("": not at all)."""

    folder: str
    compress: str = ""

    @staticmethod
    def of(folder: Any, compress: Any) -> Disk:
        """The folder, which must be one, and the name of a codec."""
        path = os.path.abspath(os.fspath(folder))
        if not os.path.isdir(path) or not os.access(path, os.W_OK):
            raise WengertError(
                "policies.offload",
                got=f"to={os.fspath(folder)!r}",
                want="an existing folder that can be written to",
                fix="os.makedirs(folder, exist_ok=True), or to=tempfile.mkdtemp()",
                at=describe(here(3)),
            )
        name = "zlib" if compress is True else compress or ""
        if name and name not in _CODECS:
            raise WengertError(
                "policies.offload", got=f"compress={compress!r}", want='False, "zlib" or "lzma"', at=describe(here(3))
            )
        return Disk(path, name)

    def put(self, value: Array) -> Any:
        """`value` as a page; the value itself if it is no array, or small."""
        bottom = raw(value)
        if type(bottom) is not np.ndarray or bottom.nbytes < LEAST or bottom.dtype.hasobject:
            return value
        page = Page(self, value)
        if packed:
            tell(packed, None, value, page)
        return page


class Page:
    """A value whose elements are on disk; `fetch` gives it back, as often as it is asked."""

    __slots__ = ("__weakref__", "_axes", "_codec", "_layers", "_path", "dtype", "nbytes", "shape")

    def __init__(self, disk: Disk, value: Array) -> None:
        self._layers: list[
            tuple[Any, Any]
        ] = []  # the traces that the value is a Tensor of, and what they keep beside it
        while type(value) is Tensor:
            value = held(value)
            self._layers.append((value._node, value._trace))
            value = value._value
        array: np.ndarray = value
        self.shape, self.dtype, self.nbytes = array.shape, array.dtype, array.nbytes
        # As it lies in memory, so that what was a view of it the first time will be one the second time.
        self._axes = tuple(sorted(range(array.ndim), key=lambda i: (-abs(array.strides[i]), i)))
        self._codec = disk.compress
        number, self._path = tempfile.mkstemp(
            prefix=f"{PREFIX}{os.getpid()}-", suffix=_suffix(disk.compress), dir=disk.folder
        )
        weakref.finalize(self, _delete, self._path, os.getpid())
        with os.fdopen(number, "wb") as file:
            laid = np.ascontiguousarray(array.transpose(self._axes))
            if self._codec:
                file.write(_CODECS[self._codec][0](laid.tobytes()))
            else:
                np.lib.format.write_array(file, laid, allow_pickle=False)

    def fetch(self) -> Array:
        """The value: a read-only array over the file, or over what was compressed in it."""
        laid = self._read()
        back = [0] * len(self._axes)
        for i, axis in enumerate(self._axes):
            back[axis] = i
        value: Any = laid.transpose(back)
        for node, trace in reversed(self._layers):
            value = Tensor(value, node, trace)
        if unpacked:
            tell(unpacked, None, self, value)
        return value

    def _read(self) -> np.ndarray:
        shape = tuple(self.shape[axis] for axis in self._axes)
        try:
            if self._codec:
                with open(self._path, "rb") as file:
                    data = _CODECS[self._codec][1](file.read())
                return np.frombuffer(data, self.dtype).reshape(shape)
            if os.name == "nt":  # where a file that is mapped cannot be deleted
                return np.load(self._path, allow_pickle=False)
            found = np.load(self._path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
            return (
                found if found.dtype == self.dtype else found.view(self.dtype)
            )  # a dtype that the format does not know
        except (OSError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise WengertError(
                "offload",
                got=f"a value that cannot be read back from {self._path} ({type(error).__name__}: {error})",
                want="the file as it was written",
                fix="leave the files of a running gradient alone, and the disk room for them",
            ) from error

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("cannot copy or pickle a Page: it belongs to a running computation")


def _suffix(codec: str) -> str:
    return f".{codec}" if codec else ".npy"


def _delete(path: str, owner: int) -> None:
    if os.getpid() == owner:
        with contextlib.suppress(OSError):
            os.unlink(path)
