"""`checkpoint_sequential`: functions one after the other, checkpointed in segments."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from wengert.core.errors import WengertError
from wengert.core.source import describe, here
from wengert.transforms.checkpoint.function import checkpoint
from wengert.transforms.checkpoint.policies import Value


def checkpoint_sequential(
    fs: Sequence[Callable[..., Any]],
    segments: int | None = None,
    *,
    policy: Callable[[Value], bool] | None = None,
    adopt: bool = True,
) -> Callable[..., Any]:
    """The function `x → fs[-1](… fs[1](fs[0](x)))`, of which only what goes in at the head of each segment is kept.

    Parameters
    ----------
    fs : functions of one pytree, which give the next one's argument; the first may take several arguments
    segments : how many, of nearly equal numbers of functions. Default: about √len(fs), at which memory is least
    policy : what is kept within the segments all the same, see `wengert.policies`
    adopt : as of `checkpoint`

    The last segment is not checkpointed: its backward pass comes first, and would run it again at once.

    Memory: the inputs of `segments` segments, and the residuals of one. Cost: all but the last segment run twice.
    """
    fs = list(fs)
    for i, f in enumerate(fs):
        if not callable(f):
            raise WengertError("checkpoint_sequential", got=f"fs[{i}] = {f!r}", want="functions", at=describe(here(2)))
    if not fs:
        raise WengertError("checkpoint_sequential", got="no functions", want="one or more", at=describe(here(2)))
    count = max(1, round(len(fs) ** 0.5)) if segments is None else segments
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(fs):
        raise WengertError(
            "checkpoint_sequential",
            got=f"segments={segments!r} of {len(fs)} functions",
            want=f"an integer from 1 to {len(fs)}",
            fix="leave it out, for about √len(fs)",
            at=describe(here(2)),
        )
    ends = [len(fs) * i // count for i in range(count + 1)]
    parts = [chain(fs[a:b]) for a, b in itertools.pairwise(ends)]
    return chain([*(checkpoint(part, policy=policy, adopt=adopt) for part in parts[:-1]), parts[-1]])


def chain(fs: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """Functions one after the other, as one."""

    def run(*args: Any) -> Any:
        out = fs[0](*args)
        for f in fs[1:]:
            out = f(out)
        return out

    return run
