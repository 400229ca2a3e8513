"""`detect_anomaly`: errors where the first NaN or infinity is made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from wengert.core.config import config
from wengert.core.tensor import active
from wengert.trace.tape import Tape, apply_watched


@contextlib.contextmanager
def detect_anomaly() -> Iterator[None]:
    """Raise `NonFinite` where a NaN or an infinity is made, forward or backward, for the length of a `with` block.

        with wg.detect_anomaly():
            wg.grad(loss)(p)

    What an op merely passes on (masks of -inf, missing data) is left alone; the NaN that it makes of them is not. The error names
    the op and the user's line; of a pullback the line of the op that it belongs to, and where the backward pass was started; what
    the operands were, in numbers; and what usually helps.

    Seen are ops on Tensors, of gradients and of forward mode, and all ops of jitted functions, which are run op by op meanwhile.
    It is a switch of the process (`config.detect_anomaly`), and tapes that run already obey it. Ops take several times as long.
    """
    tapes = [trace for trace in active() if isinstance(trace, Tape) and trace.mode is None]
    with config.override(detect_anomaly=True):
        for tape in tapes:
            tape.mode = apply_watched
        try:
            yield
        finally:
            for tape in tapes:
                if tape.mode is apply_watched:
                    tape.mode = None
