"""PyTorch as a peer. Its gradients are the conjugates of ours: it pairs by Re Σ conj(g)·t.

NumPy's names lead to `torch._numpy`, PyTorch's own layer of NumPy's names over its functions, and where that
lacks a name, to the table in `torch_names`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.errors import MissingExtra
from wengert.verify.oracles.peers.peer import DERIVATIVES, Derived, Function
from wengert.verify.oracles.peers.torch_names import namespaces


def load() -> Torch:
    """The peer; MissingExtra where PyTorch is not installed."""
    try:
        import torch
        import torch._numpy  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtra("torch", "peers", "comparing with PyTorch") from None
    return Torch(torch)


class Torch:
    label = "torch"

    def __init__(self, torch: Any) -> None:
        self.torch, self.version = torch, torch.__version__
        self.numpy, self.special, self.linalg, self.nn = namespaces(torch)

    def array(self, x: Any) -> Any:
        return self.torch._numpy.asarray(self.torch.tensor(np.asarray(x)))

    def tensor(self, x: Any) -> Any:
        return self.torch.tensor(np.asarray(x))

    def derive(
        self,
        fun: Function,
        primals: Sequence[Any],
        tangents: Sequence[Any],
        cotangents: Sequence[Any],
        kinds: Sequence[str] = DERIVATIVES,
    ) -> Derived:
        """See `Peer`."""
        torch = self.torch
        wrap = torch._numpy.asarray

        def flat(*ps: Any) -> list[Any]:
            outs = [o.tensor if hasattr(o, "tensor") else torch.as_tensor(o) for o in fun(*map(wrap, ps))]
            return [o.resolve_conj() for o in outs]

        ps = [self.tensor(p).requires_grad_() for p in primals]
        ts = [self.tensor(t) for t in tangents]
        outs = flat(*ps)
        found = Derived([_out(o) for o in outs])
        if not ps or not cotangents:
            return found
        if not all(o.requires_grad for o in outs if o.is_floating_point() or o.is_complex()):
            found.why = "no derivative: a result does not require grad"
            return found
        try:
            found.jvp = self._forward(flat, ps, ts) if "jvp" in kinds else None
        except Exception as error:
            found.why = f"jvp: {_reason(error)}"
        try:
            smooth = [o for o in outs if o.is_floating_point() or o.is_complex()]
            cts = [self.tensor(c).conj().to(o.dtype) for c, o in zip(cotangents, smooth, strict=True)]
            grads = self._pull(smooth, ps, cts)
            found.vjp = [_out(g.conj()) for g in grads]
        except Exception as error:
            found.why += f"{'; ' if found.why else ''}vjp: {_reason(error)}"
            return found
        if "hvp" not in kinds:
            return found
        try:
            found.hvp = [_out(g.conj()) for g in self._pull(grads, ps, ts)]
        except Exception as error:
            found.why += f"{'; ' if found.why else ''}hvp: {_reason(error)}"
        return found

    def _pull(self, outs: Sequence[Any], ins: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
        pairs = [(o, c) for o, c in zip(outs, cotangents, strict=True) if o.requires_grad]
        grads: Sequence[Any] = [None] * len(ins)
        if pairs:
            some, cts = zip(*pairs, strict=True)
            grads = self.torch.autograd.grad(some, ins, cts, create_graph=True, allow_unused=True)
        return [self.torch.zeros_like(p) if g is None else g for g, p in zip(grads, ins, strict=True)]

    def _forward(self, flat: Function, ps: Sequence[Any], ts: Sequence[Any]) -> list[np.ndarray]:
        forward = self.torch.autograd.forward_ad
        with forward.dual_level():
            outs = flat(*[forward.make_dual(p.detach(), t) for p, t in zip(ps, ts, strict=True)])
            outs = [o for o in outs if o.is_floating_point() or o.is_complex()]
            dots = [forward.unpack_dual(o).tangent for o in outs]
            return [np.zeros(o.shape, _out(o).dtype) if d is None else _out(d) for o, d in zip(outs, dots, strict=True)]


def _out(tensor: Any) -> np.ndarray:
    return tensor.detach().resolve_conj().resolve_neg().numpy()


def _reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}"[:160]
