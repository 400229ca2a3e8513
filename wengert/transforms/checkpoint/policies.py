"""Which values of a checkpointed function are kept for its second run; the others are computed again.

A policy is asked about each value that the function computes, the first time that it runs: `policy(value) -> bool`, True to
keep it. Any callable will do; those of this module combine with `|`, `&` and `~`.

    wg.checkpoint(layer, policy=wg.policies.contractions)
    wg.checkpoint(layer, policy=wg.policies.names("attn") | wg.policies.cheaper_than(50))
    wg.checkpoint(layer, policy=lambda v: v.op == "contract" and v.nbytes < 2**20)

Arguments of the function, and what it closes over, are kept in any case. A value and its views (reshapes, slices, transposes) are
one value: a policy is asked about the array, not about the views.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from wengert.core.aval import Aval
from wengert.core.errors import WengertError
from wengert.core.op import Op
from wengert.core.source import Source, describe, here
from wengert.transforms.checkpoint.offload import Disk
from wengert.transforms.costs import CONTRACTIONS, flops

__all__ = [
    "Policy",
    "Value",
    "both",
    "but_not",
    "cheaper_than",
    "contractions",
    "contractions_without_batch",
    "either",
    "everything",
    "names",
    "nothing",
    "offload",
]


class Value:
    """A value that a checkpointed function computes, as its policy sees it: no elements, for they may not be known yet.

    op : name of the op that made it ("contract", "exp", …); of `matmul`, `einsum`, `dot`, `tensordot` it is "contract" or "matmul"
    shape, dtype, nbytes : of the result; of an op of several results those of the first, and the bytes of all
    operands : (shape, dtype) of each operand
    names : labels given to it, or to a view of it, by `wg.name`; the policy is asked again when one is given
    flops : what computing it again would cost, in additions (estimated when asked for)
    line : the user's line
    """

    def __init__(
        self, op: Op, operands: Sequence[Aval], results: Sequence[Aval], params: dict[str, Any], source: Source | None
    ) -> None:
        self._op, self._results, self._params, self._source = op, tuple(results), params, source
        self.op = op.name
        self.operands = tuple(operands)
        self.shape, self.dtype = self._results[0].shape, self._results[0].dtype
        self.nbytes = sum(aval.size * aval.dtype.itemsize for aval in self._results)
        self.names: tuple[str, ...] = ()

    @cached_property
    def flops(self) -> float:
        return flops(self._op, self.operands, self._results, self._params)

    @property
    def line(self) -> str:
        return describe(self._source)

    @property
    def params(self) -> dict[str, Any]:
        return dict(self._params)

    def __repr__(self) -> str:
        named = f", named {', '.join(map(repr, self.names))}" if self.names else ""
        return f"<{self.op} {self.dtype}{list(self.shape)}{named}>"


class Policy:
    """What keeps some values. `a | b` keeps what either keeps, `a & b` what both do, `~a` what `a` does not."""

    def __call__(self, value: Value) -> bool:
        raise NotImplementedError

    def disk(self, value: Value) -> Disk | None:
        """Where a value that is kept goes; None: nowhere, it stays in memory."""
        return None

    def __or__(self, other: Callable[[Value], bool]) -> Policy:
        return either(self, other)

    def __ror__(self, other: Callable[[Value], bool]) -> Policy:
        return either(other, self)

    def __and__(self, other: Callable[[Value], bool]) -> Policy:
        return both(self, other)

    def __rand__(self, other: Callable[[Value], bool]) -> Policy:
        return both(other, self)

    def __invert__(self) -> Policy:
        return but_not(self)


@dataclass(frozen=True)
class _Fixed(Policy):
    name: str
    keeps: bool

    def __call__(self, value: Value) -> bool:
        return self.keeps

    def __repr__(self) -> str:
        return self.name


nothing = _Fixed("nothing", False)
everything = _Fixed("everything", True)


@dataclass(frozen=True)
class _Contractions(Policy):
    name: str
    batched: bool

    def __call__(self, value: Value) -> bool:
        return value.op in CONTRACTIONS and (self.batched or not _batched(value))

    def __repr__(self) -> str:
        return self.name


def _batched(value: Value) -> bool:
    """Whether a contraction is many small ones: both operands, and the result, share an axis."""
    if value.op == "contract":
        operands, out = value._params["subscripts"].split("->")
        x, y = operands.split(",")
        return bool(set(x) & set(y) & set(out))
    if value.op == "matmul":
        return min(len(aval.shape) for aval in value.operands[:2]) > 2
    return False


contractions = _Contractions("contractions", True)
contractions_without_batch = _Contractions("contractions_without_batch", False)


@dataclass(frozen=True)
class _Names(Policy):
    labels: frozenset[str]

    def __call__(self, value: Value) -> bool:
        return not self.labels.isdisjoint(value.names)

    def __repr__(self) -> str:
        return f"names({', '.join(map(repr, sorted(self.labels)))})"


def names(*labels: str) -> Policy:
    """Keeps what `wg.name(x, label)` has given one of these labels."""
    if not labels or not all(isinstance(label, str) for label in labels):
        raise WengertError(
            "policies.names",
            got=f"{labels}",
            want="one label, or more, as text",
            fix='names("attn")',
            at=describe(here(2)),
        )
    return _Names(frozenset(labels))


@dataclass(frozen=True)
class _CheaperThan(Policy):
    flops_per_byte: float

    def __call__(self, value: Value) -> bool:
        return value.flops >= self.flops_per_byte * value.nbytes

    def __repr__(self) -> str:
        return f"cheaper_than({self.flops_per_byte:g})"


def cheaper_than(flops_per_byte: float) -> Policy:
    """What costs fewer additions than this for each byte that keeping it would take is computed again; the rest is kept.

    An elementwise product of float64 costs 1/8, exp about 3, a product of matrices over n inner elements n/4.
    """
    if isinstance(flops_per_byte, bool) or not flops_per_byte >= 0:
        raise WengertError(
            "policies.cheaper_than",
            got=f"{flops_per_byte!r}",
            want="a number of flops per byte, 0 or more",
            at=describe(here(2)),
        )
    return _CheaperThan(float(flops_per_byte))


@dataclass(frozen=True)
class _Either(Policy):
    parts: tuple[Callable[[Value], bool], ...]

    def __call__(self, value: Value) -> bool:
        return any(asked(part, value) for part in self.parts)

    def disk(self, value: Value) -> Disk | None:
        first = next((part for part in self.parts if asked(part, value)), None)
        return first.disk(value) if isinstance(first, Policy) else None

    def __repr__(self) -> str:
        return f"either({', '.join(map(repr, self.parts))})"


@dataclass(frozen=True)
class _Both(Policy):
    parts: tuple[Callable[[Value], bool], ...]

    def __call__(self, value: Value) -> bool:
        return all(asked(part, value) for part in self.parts)

    def disk(self, value: Value) -> Disk | None:
        found = (part.disk(value) for part in self.parts if isinstance(part, Policy))
        return next((disk for disk in found if disk is not None), None)

    def __repr__(self) -> str:
        return f"both({', '.join(map(repr, self.parts))})"


@dataclass(frozen=True)
class _ButNot(Policy):
    part: Callable[[Value], bool]

    def __call__(self, value: Value) -> bool:
        return not asked(self.part, value)

    def __repr__(self) -> str:
        return f"but_not({self.part!r})"


def either(*policies: Callable[[Value], bool]) -> Policy:
    """Keeps what any of them keeps; the first one that does says where (in memory, or on disk)."""
    return _Either(tuple(map(policy_of, policies)))


def both(*policies: Callable[[Value], bool]) -> Policy:
    """Keeps what all of them keep; on disk, if one of them says so."""
    return _Both(tuple(map(policy_of, policies)))


def but_not(policy: Callable[[Value], bool]) -> Policy:
    """Keeps what `policy` does not keep."""
    return _ButNot(policy_of(policy))


@dataclass(frozen=True)
class _Offload(Policy):
    where: Disk
    of: Callable[[Value], bool]

    def __call__(self, value: Value) -> bool:
        return asked(self.of, value)

    def disk(self, value: Value) -> Disk | None:
        return self.where

    def __repr__(self) -> str:
        return f"offload(to={self.where.folder!r}, of={self.of!r}, compress={self.where.compress!r})"


def offload(to: str, of: Callable[[Value], bool] = everything, compress: bool | str = False) -> Policy:
    """What `of` keeps goes to files in the folder `to`, and comes back, memory-mapped, when it is needed.

    Parameters
    ----------
    to : an existing folder, on a disk with room for it
    of : the policy that says what is kept
    compress : False; "zlib" (or True); "lzma", which is smaller and much slower. Floats in full precision compress little.

    A file is deleted once its value has been used, when the tape that needs it goes away, and at the latest at the end of the
    process; names are unique among threads and processes. Values under 4 KiB stay in memory. Cost: the disk's time, in the
    thread that computes. For eager gradients: within a program that is being compiled it raises.
    """
    return _Offload(Disk.of(to, compress), policy_of(of))


def policy_of(policy: Any) -> Callable[[Value], bool]:
    """`policy`, if it can be one."""
    if not callable(policy) or isinstance(policy, type):
        raise WengertError(
            "checkpoint policy",
            got=f"{policy!r}",
            want="one of wengert.policies, or a function of a value that says whether it is kept",
            fix="policy=wengert.policies.contractions, or policy=lambda value: value.nbytes < 2**20",
            at=describe(here(2)),
        )
    return policy  # type: ignore[return-value]  # what it answers is looked at whenever it is asked


def asked(policy: Callable[[Value], bool], value: Value) -> bool:
    """The policy's answer, which must be a truth value."""
    answer = policy(value)
    if answer is True or answer is False:
        return answer
    if type(answer).__name__ in ("bool", "bool_"):  # NumPy's
        return bool(answer)
    raise WengertError(
        "checkpoint policy",
        got=f"{answer!r} of {policy!r}, asked about {value!r}",
        want="True, to keep the value, or False, to compute it again",
        fix="a function that makes policies (names, cheaper_than, offload) is called first: policy=names('attn')",
    )
