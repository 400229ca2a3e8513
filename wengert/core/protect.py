"""Write protection of the ndarrays that a tape holds for its backward pass.

A captured array that is mutated between the forward and the backward pass gives a
wrong derivative without a word. While a tape lives, such arrays are read-only, so
NumPy raises at the very line that mutates. The views' bases are protected too; a
sibling view taken earlier is the one hole that NumPy leaves.
"""

from __future__ import annotations

import functools
import threading
import weakref

import numpy as np

_lock = threading.RLock()  # reentrant: the garbage collector may run `release` of another guard inside this module
_held: dict[int, int] = {}  # id of an array made read-only by us → number of guards
_waiting: list[weakref.ref[np.ndarray]] = []  # views let go by their guards whose base another guard still holds


class Guard:
    """The arrays that one tape protects; dropping the guard gives them back."""

    __slots__ = ("_arrays", "_weak")

    def __init__(self) -> None:
        self._arrays: dict[int, np.ndarray] = {}
        self._weak: WeakGuard | None = None

    def add(self, array: np.ndarray) -> None:
        """Protect `array` and what it is a view of."""
        while isinstance(array, np.ndarray) and id(array) not in self._arrays:
            with _lock:
                count = _held.get(id(array), 0)
                # Read-only by its owner's will: not ours to give back. What it is a view of may still be writeable.
                flags = array.flags
                if count or flags.writeable:
                    flags.writeable = False
                    _held[id(array)] = count + 1
                    self._arrays[id(array)] = array
            array = array.base  # pyright: ignore[reportAssignmentType]

    def while_alive(self, array: np.ndarray) -> None:
        """Protect `array` as long as somebody else holds it, without holding it."""
        if self._weak is None:
            self._weak = WeakGuard()
        self._weak.add(array)

    def release(self) -> None:
        """Give every array back as it was."""
        if self._weak is not None:
            self._weak.release()
        if not self._arrays:
            return
        arrays, self._arrays = self._arrays, {}
        with _lock:
            free = []
            for key, array in reversed(arrays.items()):  # bases first, most of the time
                count = _held[key] - 1
                if count:
                    _held[key] = count
                else:
                    del _held[key]
                    free.append(array)
            if _waiting:
                free += [array for ref in _waiting if (array := ref()) is not None]
                _waiting.clear()
            while free:  # bases before views: NumPy frees no view of a read-only base
                refused = [array for array in free if not _freed(array)]
                if len(refused) == len(free):
                    break
                free = refused
            _waiting.extend(map(weakref.ref, free))

    def __contains__(self, array: np.ndarray) -> bool:
        return id(array) in self._arrays or (self._weak is not None and array in self._weak)

    __del__ = release


class WeakGuard(Guard):
    """As `Guard`, but it keeps no array alive: for tapes that keep something else in the place of arrays.

    What `beneath` guards stays guarded, and is given back with the rest.
    """

    __slots__ = ("_refs", "beneath")

    def __init__(self, beneath: Guard | None = None) -> None:
        super().__init__()
        self.beneath = beneath
        self._refs: dict[int, weakref.ref[np.ndarray]] = {}

    def add(self, array: np.ndarray) -> None:
        while isinstance(array, np.ndarray) and id(array) not in self._refs:
            with _lock:
                count = _held.get(id(array), 0)
                if count or array.flags.writeable:
                    array.flags.writeable = False
                    _held[id(array)] = count + 1
                    self._refs[id(array)] = weakref.ref(array, functools.partial(_died, self._refs, id(array)))
            array = array.base  # pyright: ignore[reportAssignmentType]

    def release(self) -> None:
        for ref in list(self._refs.values()):
            if (array := ref()) is not None:
                self._arrays[id(array)] = array
        self._refs.clear()
        super().release()
        if self.beneath is not None:
            self.beneath.release()

    def __contains__(self, array: np.ndarray) -> bool:
        return id(array) in self._refs or (self.beneath is not None and array in self.beneath)

    __del__ = release


def _died(refs: dict[int, weakref.ref[np.ndarray]], key: int, ref: weakref.ref[np.ndarray]) -> None:
    """An array that a guard held weakly is gone, and so is its entry: another may get its number."""
    with _lock:
        if refs.get(key) is ref:
            del refs[key]
            if count := _held.get(key, 0) - 1:
                _held[key] = count
            else:
                _held.pop(key, None)


def _freed(array: np.ndarray) -> bool:
    try:
        array.setflags(write=True)
    except ValueError:
        return False
    return True
