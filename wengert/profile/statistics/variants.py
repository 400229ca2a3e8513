"""One function in several modes: itself, compiled, its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wengert.api import grad, jit
from wengert.core.errors import WengertError

MODES: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "value": lambda f: f,
    "grad": grad,
    "jit": jit,
    "jit-grad": lambda f: jit(grad(f)),
}


def variants(f: Callable[..., Any], modes: Sequence[str], name: str) -> list[tuple[str, Callable[..., Any]]]:
    """`f` in each of `modes`, with names to tell them apart."""
    unknown = [mode for mode in modes if mode not in MODES]
    if unknown:
        raise WengertError("modes", got=repr(unknown[0]), want=", ".join(MODES))
    return [(name if mode == "value" else f"{mode} of {name}", MODES[mode](f)) for mode in modes]
