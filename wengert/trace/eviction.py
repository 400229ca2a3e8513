"""What to let go first: values that are cheap to make again, large, and were not used for long.

Source  Kirisame et al. (2021), Dynamic Tensor Rematerialization: h = cost / (bytes × staleness), where the cost of a value is that
        of making it and everything gone that it is made of, or that is made of it.
Cost    O(log n) for each value taken in or let go. Values are sorted in classes of about equal cost per byte, each by last use; a
        class is led by the one that would be let go first, and the leaders are compared.
"""

from __future__ import annotations

import heapq
import itertools
import math
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from wengert.core.tensor import Array, raw

LEAST_SECONDS = 1e-6  # what making a value costs at least: an op's call
PER_CLASS = 2.0  # by how many powers of two costs per byte differ between classes


class Ledger:
    """Bytes of the arrays that were made on a tape, each buffer once, for as long as anybody holds it."""

    def __init__(self) -> None:
        self.used = 0
        self.outside: dict[int, Any] = {}  # buffers that were there before
        self._roots: dict[int, weakref.ref[Any]] = {}

    def ignore(self, value: Array) -> None:
        """`value` was there before: it and its views do not count."""
        array = raw(value)
        if isinstance(array, np.ndarray):
            owner = root(array)
            self.outside[id(owner)] = owner

    def hold(self, value: Array) -> None:
        """Count the buffer of `value`, until it goes."""
        array = raw(value)
        if not isinstance(array, np.ndarray):
            return
        owner = root(array)
        key, nbytes = id(owner), owner.nbytes
        if key in self._roots or key in self.outside:
            return
        self._roots[key] = weakref.ref(owner, lambda _: self._gone(key, nbytes))
        self.used += nbytes

    def _gone(self, key: int, nbytes: int) -> None:
        if self._roots.pop(key, None) is not None:
            self.used -= nbytes


def root(array: np.ndarray) -> np.ndarray:
    """The array whose memory it is."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class Gone:
    """A set of values that were let go, each made of another: the root of a union-find tree knows what making them costs."""

    __slots__ = ("parent", "seconds")

    def __init__(self, seconds: float) -> None:
        self.parent: Gone | None = None
        self.seconds = seconds

    def find(self) -> Gone:
        """The set it is part of now."""
        top = self
        while top.parent is not None:
            top = top.parent
        node = self
        while node.parent is not None:
            node.parent, node = (top if node.parent is not top else node.parent), node.parent
        return top

    def join(self, other: Gone) -> None:
        """Make one set of two."""
        a, b = self.find(), other.find()
        if a is not b:
            b.parent, a.seconds = a, a.seconds + b.seconds


class Pool:
    """The values that may be let go, found in the order of h."""

    def __init__(self, is_free: Callable[[Any], bool]) -> None:
        self._is_free = is_free  # whether nobody but the tape holds the value
        self._classes: dict[int, list[tuple[int, int, Any]]] = {}
        self._busy: dict[int, Any] = {}  # values that somebody else held when they were looked at
        self._order = itertools.count()
        self._moved = False  # whether a value has changed its class while classes were looked through

    def add(self, s: Any) -> None:
        """Take in a value; again, after it was away."""
        s.place = self._class(s)
        heapq.heappush(self._classes.setdefault(s.place, []), (s.clock, next(self._order), s))

    def victim(self, now: int) -> Any:
        """The value with the least h, taken out; None if there is none."""
        found = self._least(now)
        if found is None and self._busy:
            waiting, self._busy = self._busy, {}
            for s in waiting.values():
                if s.array is not None:
                    self.add(s)
            found = self._least(now)
        return found

    def _least(self, now: int) -> Any:
        while True:
            self._moved = False
            best = self._best(now)
            if best is not None or not self._moved:  # else it may be in a class that was passed by
                return best

    def _best(self, now: int) -> Any:
        best, least = None, math.inf
        for place in list(self._classes):
            heap = self._classes[place]
            s = self._head(place, heap)
            if s is None:
                del self._classes[place]
                continue
            h = self._cost(s) / (s.nbytes * (now - s.clock + 1))
            if h < least:
                best, least = s, h
        if best is not None:
            best.place = None  # which makes its entry void
        return best

    def _head(self, place: int, heap: list[tuple[int, int, Any]]) -> Any:
        """The value of a class that was not used for longest, and is free."""
        while heap:
            clock, _, s = heap[0]
            if s.array is None or s.place != place:  # gone meanwhile, or in another class
                heapq.heappop(heap)
            elif s.clock != clock:  # used meanwhile
                heapq.heapreplace(heap, (s.clock, next(self._order), s))
            elif not self._is_free(s):
                heapq.heappop(heap)
                s.place = None
                self._busy[id(s)] = s
            elif (right := self._class(s)) != place:  # what it is made of has gone or come meanwhile
                heapq.heappop(heap)
                s.place = right
                heapq.heappush(self._classes.setdefault(right, []), (clock, next(self._order), s))
                self._moved = True
            else:
                return s
        return None

    def _class(self, s: Any) -> int:
        return math.floor(math.log2(self._cost(s) / s.nbytes) / PER_CLASS)

    @staticmethod
    def _cost(s: Any) -> float:
        """Seconds to make it again, with what is gone around it."""
        seconds = s.producer.seconds
        seen = set()
        for gone in neighbours(s):
            top = gone.find()
            if id(top) not in seen:
                seen.add(id(top))
                seconds += top.seconds
        return max(seconds, LEAST_SECONDS)


def neighbours(s: Any) -> Iterator[Gone]:
    """The sets of values gone that a value is made of, or that are made of it."""
    for o in s.producer.made_of():
        if o.gone is not None:
            yield o.gone
    yield from s.below


def let_go(s: Any) -> None:
    """Note that `s` is gone, for the costs of its neighbours."""
    gone = Gone(s.producer.seconds)
    for other in list(neighbours(s)):
        gone.join(other)
    s.gone = gone
    for o in s.producer.made_of():
        if len(o.below) >= 8:  # of much-used values: the costs of what is made of them, in one set
            first = o.below[0].find()
            for other in o.below[1:]:
                first.join(other)
            o.below[:] = [first]
        o.below.append(gone)


def back(s: Any) -> None:
    """Note that `s` is there again."""
    if s.gone is not None:
        top = s.gone.find()
        top.seconds = max(0.0, top.seconds - s.producer.seconds)
        s.gone = None
