"""`GradientTape`: record what happens in a `with` block, and ask for gradients, as in TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from wengert.core.errors import ShapeError, TapeError, Unconnected
from wengert.core.source import describe, here
from wengert.core.tensor import CONSTANTS, Array, Tensor, active, paused, running
from wengert.core.tree import flatten, map_tree, unflatten
from wengert.graph.program import Program, Var
from wengert.ops.basis import reshape, transpose
from wengert.trace.admission import inexact
from wengert.trace.budget import budgeted
from wengert.trace.rows import start
from wengert.trace.tape import Lease, Tape
from wengert.transforms.batch import batch_flat
from wengert.transforms.entry import entry, outward
from wengert.transforms.gradients import like
from wengert.transforms.jacobians import basis
from wengert.transforms.reverse import own, sweep, zeros


class GradientTape:
    """Records the ops on watched arrays while its `with` block runs.

        with wg.GradientTape() as tape:
            x = tape.watch(np.array([2.0, 3.0]))
            z = (x * x).sum()
        gx = tape.gradient(z, x)

    Parameters
    ----------
    persistent : bool
        Keep the record, so that `gradient` can be called more than once. Otherwise the first
        call consumes it, and frees each residual as soon as it has been used.
    memory_budget : int or str, optional
        Bytes ("64 MiB") that the arrays made since the block began may take, the backward pass and its temporaries with them.
        Values that nobody but the tape holds are let go when it is reached, and made again when they are needed: gradients are
        the same, bit for bit. What variables hold counts too. `BudgetError` names the smallest budget where this one cannot be obeyed.

    The block itself is not adopted: in it, what cannot dispatch (`math.sin(x)`, `np.array([x, y])`)
    raises and says so; call a function wrapped in `wengert.adopt`, or use numpy's functions. Tapes nest: an outer tape records
    the gradients that an inner one computes within its block. A tape belongs to the thread that entered it.
    """

    def __init__(self, persistent: bool = False, memory_budget: int | str | None = None) -> None:
        self.persistent = persistent
        self._begin = budgeted(memory_budget, "GradientTape(memory_budget=...)") or start
        self._tape: Tape | None = None
        self._lease: Lease | None = None
        self._watched: list[Tensor] = []
        self._inputs: dict[int, Var] = {}  # by a watched Tensor's id: what it held when it was watched
        self._running: contextlib.AbstractContextManager[None] | None = None
        self._spent = False

    def __enter__(self) -> GradientTape:
        if self._tape is not None:
            raise TapeError(
                "GradientTape",
                got="a second `with` on the same tape",
                want="one",
                fix="make a new tape, or call reset()",
            )
        self._start()
        return self

    def _start(self) -> None:
        self._tape = self._begin()
        self._lease = Lease(self._tape)
        self._running = running(self._tape)
        self._running.__enter__()

    def __exit__(self, *exc: Any) -> None:
        if self._tape is not None:
            self._tape.mode = paused
        if self._running is not None:
            self._running.__exit__(*exc)
            self._running = None

    @property
    def program(self) -> Program:
        """What has been recorded; print it to read it."""
        return self._recorded("program").program

    def _recorded(self, what: str) -> Tape:
        if self._tape is None:
            raise TapeError(
                f"GradientTape.{what}",
                got="a tape that has recorded nothing",
                want="use inside or after its `with` block",
                fix="with wengert.GradientTape() as tape: ...",
                at=describe(here(3)),
            )
        return self._tape

    def watch(self, tree: Any) -> Any:
        """Tensors that stand for the arrays of `tree` on this tape; compute with these.

        Integers raise DTypeError. An array that the tape holds is read-only while the tape lives.
        """
        tape = self._recorded("watch")

        def one(leaf: Any) -> Tensor:
            tensor = tape.watch(inexact(leaf, "GradientTape.watch"))
            self._watched.append(tensor)
            self._inputs[id(tensor)] = tensor._node
            return tensor

        return map_tree(one, tree)

    def watched_variables(self) -> tuple[Tensor, ...]:
        """The Tensors that `watch` returned, in order."""
        return tuple(self._watched)

    @contextlib.contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Within this block ops are not recorded."""
        tape = self._recorded("stop_recording")
        mode, tape.mode = tape.mode, paused
        try:
            yield
        finally:
            tape.mode = mode

    def reset(self) -> None:
        """Forget everything recorded and watched. Inside the block, recording starts anew: watch again."""
        was_running = self._running is not None
        self.__exit__(None, None, None)
        self._tape, self._lease, self._watched, self._inputs, self._spent = None, None, [], {}, False
        if was_running:
            self._start()

    # ── derivatives ──

    def _consume(self, what: str) -> tuple[Tape, bool]:
        tape = self._recorded(what)
        if self._spent:
            raise TapeError(
                f"GradientTape.{what}",
                got="a tape that has already given its gradient",
                want="a record",
                fix="GradientTape(persistent=True) keeps it",
                at=describe(here(3)),
            )
        if self.persistent and tape.mode is not paused:
            raise TapeError(
                f"GradientTape.{what}",
                got="a persistent tape that is still recording, to which its own gradients are constants",
                want="a call after its `with` block",
                fix="dedent the call; for second derivatives nest two tapes;"
                " or say so with `with tape.stop_recording():`",
                at=describe(here(3)),
            )
        self._spent = not self.persistent
        return tape, self._spent

    def _vars(self, tape: Tape, sources: Sequence[Any]) -> list[Var]:
        found = []
        for s in sources:
            var = self._var(tape, s)
            if var is None:
                raise TapeError(
                    "GradientTape",
                    got=f"a source that this tape does not know ({type(s).__name__})",
                    want="Tensors from tape.watch, or computed from them",
                    fix="x = tape.watch(x) inside the block, and use that x",
                    at=describe(here(4)),
                )
            if var is not self._inputs.get(id(s), var):
                raise TapeError(
                    "GradientTape",
                    got="a source that was written to in place since tape.watch returned it",
                    want="the value that the target was computed from",
                    fix="write into a copy (y = x.copy()), and ask for the gradient with respect to x",
                    at=describe(here(4)),
                )
            found.append(var)
        return found

    def _var(self, tape: Tape, x: Any) -> Var | None:
        """The variable of `x`; an error if a transform that runs within the tape would lose its part in the result."""
        inner = x
        while type(inner) is Tensor and not tape.owns(inner) and inner._trace is not CONSTANTS:
            trace = inner._trace
            if trace.level > tape.level and trace in active() and trace.mode is not paused:
                raise TapeError(
                    "GradientTape",
                    got=f"a Tensor of a {type(trace).__name__.lower()} that runs within the tape,"
                    " and to which the tape's gradient would be a constant",
                    want="a call after the inner transform has ended",
                    fix="make the tape inside the inner function, or call gradient outside",
                    at=describe(here(4)),
                )
            inner = inner._value
        return tape.var(x)

    @entry
    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected: Literal["zero", "raise"] | None = None,
    ) -> Any:
        """The gradient of `target` with respect to `sources`, in the structure of `sources`.

        Parameters
        ----------
        target : Tensor, or any pytree of them: gradients of all elements are added up
        sources : pytree of watched Tensors (or of intermediate ones)
        output_gradients : cotangents of `target`, in its structure; default ones
        unconnected : what to give for a source that `target` does not depend on: None, "zero", or "raise"
        """
        tape, consume = self._consume("gradient")
        targets, _ = flatten(target)
        leaves, tree = flatten(sources)
        wanted = self._vars(tape, leaves)
        cts = [None] * len(targets) if output_gradients is None else flatten(output_gradients)[0]
        if len(cts) != len(targets):
            raise ShapeError(
                "GradientTape.gradient", got=f"{len(cts)} output_gradients", want=f"{len(targets)}, one per target"
            )
        seeds = []
        for t, ct in zip(targets, cts, strict=True):
            if (var := self._var(tape, t)) is not None:
                given = np.ones(var.shape, var.dtype)[()] if ct is None else outward(like(ct, _peel(tape, t)))
                seeds.append((var, given))
        found = sweep(tape.program, seeds, wanted, consume=consume)
        if unconnected == "raise" and (missing := [i for i, ct in enumerate(found) if ct is None]):
            raise Unconnected(
                "GradientTape.gradient",
                got=f"a target that does not depend on source {missing[0]}",
                want="a result computed from every source",
                fix="compute with the Tensors that tape.watch returned, inside the block; or pass unconnected='zero'",
                at=describe(here(3)),
            )
        if unconnected == "zero":
            found = [zeros(v) if ct is None else ct for v, ct in zip(wanted, found, strict=True)]
        connected = [ct for ct in found if ct is not None]
        owned = iter(own([outward(ct) for ct in connected], borrowed=[c for c in cts if c is not None]))
        return unflatten(tree, [None if ct is None else next(owned) for ct in found])

    def _pull(self, tape: Tape, var: Var, wanted: list[Var]) -> Callable[[Array], list[Array]]:
        def pull(seed: Array) -> list[Array]:
            found = sweep(tape.program, [(var, seed)], wanted)
            return [zeros(v) if ct is None else ct for v, ct in zip(wanted, found, strict=True)]

        return pull

    @entry
    def jacobian(self, target: Tensor, sources: Any, unconnected: Literal["zero"] | None = None) -> Any:
        """∂target/∂source for each source: shape `target.shape + source.shape`. One batched sweep."""
        tape, _ = self._consume("jacobian")
        leaves, tree = flatten(sources)
        wanted = self._vars(tape, leaves)
        var = self._var(tape, target)
        if var is None or all(
            ct is None for ct in sweep(tape.program, [(var, np.ones(var.shape, var.dtype)[()])], wanted)
        ):
            shape = np.shape(target) if var is None else var.shape
            return unflatten(
                tree, [np.zeros((*shape, *w.shape), w.dtype) if unconnected == "zero" else None for w in wanted]
            )
        rows, flags = batch_flat(self._pull(tape, var, wanted), [basis(var)], [True], _size(var.shape))
        full = [r if f else np.broadcast_to(r, (_size(var.shape), *r.shape)) for r, f in zip(rows, flags, strict=True)]
        return unflatten(tree, own([reshape(r, shape=(*var.shape, *r.shape[1:])) for r in full]))

    @entry
    def batch_jacobian(self, target: Tensor, source: Tensor) -> Array:
        """Per-example Jacobians of target (b, …) with respect to source (b, …), whose examples do not mix.

        Shape `(b,) + target.shape[1:] + source.shape[1:]`. Cost: one batched sweep over an example's outputs.
        """
        tape, _ = self._consume("batch_jacobian")
        (wanted,) = self._vars(tape, [source])
        var = self._var(tape, target)
        if var is None:
            raise Unconnected(
                "GradientTape.batch_jacobian", got="a target that this tape did not record", at=describe(here(3))
            )
        if not var.shape or not wanted.shape or var.shape[0] != wanted.shape[0]:
            raise ShapeError(
                "GradientTape.batch_jacobian",
                got=f"target {var.aval} and source {wanted.aval}",
                want="the same leading axis of examples",
                at=describe(here(3)),
            )
        b, inner = var.shape[0], var.shape[1:]
        n = _size(inner)
        seeds = np.broadcast_to(np.eye(n, dtype=var.dtype).reshape(n, 1, *inner), (n, b, *inner))
        rows, flags = batch_flat(self._pull(tape, var, [wanted]), [seeds], [True], n)
        (row,) = [r if f else np.broadcast_to(r, (n, *r.shape)) for r, f in zip(rows, flags, strict=True)]
        moved = transpose(row, axes=(1, 0, *range(2, row.ndim)))
        return own([reshape(moved, shape=(b, *inner, *wanted.shape[1:]))])[0]


def _size(shape: tuple[int, ...]) -> int:
    n = 1
    for d in shape:
        n *= d
    return n


def _peel(tape: Tape, tensor: Array) -> Array:
    """The value that `tensor` has on `tape`."""
    while type(tensor) is Tensor and tensor._trace is not tape:
        tensor = tensor._value
    return tape.lower(tensor)
