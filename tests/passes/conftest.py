"""Staged programs of small functions, and their text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from wengert.core.aval import Aval
from wengert.graph.program import Program
from wengert.trace.stage import stage


def staged(fun: Callable[..., Any], *shapes: Any) -> Program:
    """`fun` as a program. A shape stands for float64; "f4" and the like behind a shape name another dtype."""
    avals = [Aval(s[0], np.dtype(s[1])) if s and isinstance(s[0], tuple) else Aval(s, np.dtype(float)) for s in shapes]

    def flat(*xs: Any) -> Sequence[Any]:
        out = fun(*xs)
        return out if isinstance(out, (tuple, list)) else (out,)

    return stage(flat, avals)[0]


def text(program: Program) -> list[str]:
    """The equations, without types and lines of source: "v2 = mul(v0, v1)"."""
    lines = str(program).split("\n")[1:]
    return [re.sub(r":\w+\[[\d,]*\]", "", line.partition("  # ")[0]).strip() for line in lines]


@pytest.fixture
def program_of() -> Callable[..., Program]:
    return staged


@pytest.fixture
def lines() -> Callable[[Program], list[str]]:
    return text
