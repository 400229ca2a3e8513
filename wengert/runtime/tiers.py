"""Very large programs run at once as quickly made code; what is called again is compiled anew in the background.

LLVM takes 1 to 3 ms per kilobyte of text to make code that runs up to 15 times as fast as what it makes in a tenth of that time. What
was measured stands in docs/adr/010-tiers.md.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
from typing import TYPE_CHECKING

from wengert.core.config import config
from wengert.lowering.lowered import Lowered
from wengert.runtime import native

if TYPE_CHECKING:
    from wengert.runtime.engine import Executable

LARGE = 500_000  # characters of text, functions that are equal counted once: about a second in the full tier
BUSY = 1e7  # operations of one call that would take longer in the first tier than compiling does in the full one
CALLS = 2  # from which call on a program counts as called again

log = logging.getLogger("wengert")


def chosen(lowered: Lowered) -> native.Tier:
    """The tier that a program begins in."""
    quick = config.tiered == "always" or (config.tiered and _size(lowered.text) >= LARGE)
    return native.FIRST if quick and lowered.flops <= BUSY else native.FULL


def _size(text: str) -> int:
    """Characters of the functions in `text`, each kernel counted once however often it occurs."""
    if len(text) < LARGE:
        return len(text)
    heads_and_bodies = (function.partition("\n") for function in text.split("\ndefine "))
    return sum(map(len, {body for _, _, body in heads_and_bodies}))


_waiting: queue.SimpleQueue[Executable | None] = queue.SimpleQueue()
_worker: threading.Thread | None = None
_guard = threading.Lock()
_closing = False


def promote(executable: Executable) -> None:
    """Compile `executable` again, in the full tier and in the background."""
    global _worker
    with _guard:
        if _closing:
            return
        if _worker is None or not _worker.is_alive():
            _worker = threading.Thread(target=_work, name="wengert compiler", daemon=True)
            _worker.start()
    _waiting.put(executable)


def _work() -> None:
    while (executable := _waiting.get()) is not None and not _closing:
        try:
            executable.recompile(native.FULL)
        except Exception as error:  # the code that there is stays
            log.warning("%s: the full tier failed: %s: %s", executable.name, type(error).__name__, error)
        del executable


def drain() -> None:
    """Wait until everything that was called again is compiled."""
    done = threading.Event()

    class Last:
        name = "drain"

        def recompile(self, tier: native.Tier) -> None:
            done.set()

    promote(Last())  # type: ignore[arg-type]
    done.wait()


@atexit.register
def _close() -> None:
    """LLVM must not be at work while the process takes itself apart."""
    global _closing
    _closing = True
    _waiting.put(None)
    if _worker is not None and _worker.is_alive():
        _worker.join()


def _forked() -> None:
    global _worker, _guard, _waiting
    _worker, _guard, _waiting = None, threading.Lock(), queue.SimpleQueue()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
