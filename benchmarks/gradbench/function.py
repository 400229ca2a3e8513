"""What an eval's functions are: how its input becomes arguments, what is timed, how its result becomes an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Input = Mapping[str, Any]


def plain(result: Any) -> Any:
    """Arrays as nested lists, NumPy's numbers as Python's."""
    return np.asarray(result).tolist()


@dataclass(frozen=True)
class Function:
    """One function of an eval. `run(*prepare(input))` is what a user would call, and what is timed."""

    prepare: Callable[[Input], tuple[Any, ...]]
    run: Callable[..., Any]
    answer: Callable[[Any], Any] = plain
