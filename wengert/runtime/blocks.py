"""Memory of large results that have died, kept for the next ones; the blocks themselves are in `support/blocks.ll`."""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple

from wengert.runtime import support

LEAST = 4 << 20  # bytes from which on a result comes from a block: C libraries reuse smaller ones well enough


def default() -> int:
    """An eighth of the machine's memory, at most 512 MB."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        memory = 4 << 30
    return min(512 << 20, memory // 8)


support.configure("blocks_limit", default())
support.configure("pooled_least", LEAST)


class Blocks(NamedTuple):
    """Bytes held in dead blocks, and how often a block was reused, or made."""

    held: int
    reused: int
    made: int


def blocks() -> Blocks:
    """What the blocks have done so far."""
    code = support.support()
    return Blocks(*(code.get(f"blocks_{name}") for name in Blocks._fields))


def release() -> None:
    """Give the memory of all dead blocks back to the system."""
    support.support().function("trim", None, ctypes.c_int64)(0)
