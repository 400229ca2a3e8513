"""What happens at the points of `situations`, here and in the peers: measured, and held against a table with the reasons.

`measured(situation, peer)` gives a short text, such as "½ → 0.5, 0.5" as "0.5, 0.5", "nan" or "raises LinAlgError".
Gradients are the user's: ours and PyTorch's are conjugates of the internal pairing, JAX's are not.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

import wengert.numpy as wnp
import wengert.scipy.linalg
import wengert.scipy.special
from wengert import nn
from wengert.core.tree import leaves
from wengert.verify.oracles.peers.comparison import derive
from wengert.verify.oracles.peers.peer import Derived, Missing, Peer
from wengert.verify.oracles.peers.situations import Situation


class Ours:
    """Our own namespaces, as a peer's."""

    numpy, special, linalg, nn = wnp, wengert.scipy.special, wengert.scipy.linalg, nn


def measured(situation: Situation, peer: Peer | None = None) -> str:
    """The gradient there, ours or a peer's."""
    who: Any = Ours if peer is None else peer

    def fun(*xs: Any) -> list[Any]:
        return leaves(situation.call(who, *xs))

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = _derived(situation, fun, peer)
        except Missing:
            return "-"
        except Exception as error:
            return f"raises {type(error).__name__}"
    numbers = found.hvp if situation.second else found.vjp
    if numbers is None:
        kind = "hvp" if situation.second else "vjp"
        return f"raises {_raised(found.why, kind)}" if kind in found.why else "no derivative"
    conjugated = peer is None or peer.label == "torch"
    return "; ".join(_text(np.conj(n) if conjugated and n.dtype.kind == "c" else n) for n in numbers)


def _raised(why: str, kind: str) -> str:
    return why.partition(f"{kind}: ")[2].partition(":")[0].strip()


def _derived(situation: Situation, fun: Any, peer: Peer | None) -> Derived:
    tangents = [np.ones(a.shape, a.dtype) for a in situation.args]
    outs = [np.asarray(o) for o in _plain(situation)]
    cotangents = [np.arange(1.0, 1 + o.size).reshape(o.shape).astype(o.dtype) for o in outs if o.dtype.kind in "fc"]
    if peer is None:
        return derive(fun, situation.args, tangents, cotangents)
    return peer.derive(fun, situation.args, tangents, cotangents, ("hvp" if situation.second else "vjp",))


def _plain(situation: Situation) -> Sequence[Any]:
    return leaves(situation.call(Ours, *situation.args))


def _text(x: np.ndarray) -> str:
    if x.size == 0:
        return "empty"
    return ", ".join(_number(v) for v in np.ravel(x)) if x.ndim < 2 else f"[{'; '.join(_text(row) for row in x)}]"


def _number(v: Any) -> str:
    if np.iscomplexobj(v):
        return _number(v.real) if v.imag == 0 else f"{_number(v.real)}{'' if v.imag < 0 else '+'}{_number(v.imag)}i"
    return f"{float(v) + 0.0:.4g}"
