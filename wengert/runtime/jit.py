"""`jit`: a function staged once per signature, compiled, and called on arrays.

A call goes to an *entry*: a built-in function that compiled code provides, which takes arrays of the shapes and dtypes it was
compiled for and hands everything else to the next one, and at last to Python. There is one chain of entries for
each structure of the arguments; where that is flat, the chain is called with the user's arguments themselves.
"""

from __future__ import annotations

import functools
import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from wengert.core.config import config, when_set
from wengert.core.errors import TracerLeak
from wengert.core.events import built, tell
from wengert.core.sizes import bytes_of
from wengert.core.source import describe, here
from wengert.core.tensor import Tensor, staged
from wengert.core.tree import TreeDef, flatten, unflatten
from wengert.runtime.ahead import LoweredFunction
from wengert.runtime.build import build
from wengert.runtime.explain import explain
from wengert.runtime.signature import Parameters, Signature, Statics, arrays_of, typed
from wengert.trace.adopt import adopt as adopt_function
from wengert.transforms.call import run as run_program
from wengert.transforms.entry import adopted, entry
from wengert.transforms.staging import Staged, admitted, stage_call

log = logging.getLogger("wengert")

_staging = threading.RLock()  # one for all functions, since staging one may call another

CHAINED = 4  # entries that are tried one after the other


class Compiled:
    """One signature's executable, and how its results go back into the user's structure."""

    def __init__(self, staged: Staged, executable: Callable[..., list[Any]]) -> None:
        self.staged, self.executable = staged, executable
        atoms = staged.program.outs
        self.weak = [i for i, atom in enumerate(atoms) if atom.aval.weak]
        self.scalars = [i for i, atom in enumerate(atoms) if atom.aval.shape == ()]

    def run(self, leaves: Sequence[Any]) -> Any:
        """Results, in the user's structure, of flat arguments."""
        outs = list(self.executable(*leaves))
        for i in self.scalars:
            outs[i] = outs[i][()]
        for i in self.weak:
            outs[i] = outs[i].item()
        staged = self.staged
        for i, new in zip(staged.written, outs[staged.n_out :], strict=True):
            leaves[i][...] = new
        return unflatten(staged.out_tree, outs[: staged.n_out])

    def entry(self, slow: Callable[..., Any]) -> Callable[..., Any] | None:
        """A built-in function of the leaves; None where there is none."""
        make = getattr(self.executable, "entry", None)
        if make is None or self.staged.written or self.staged.augmented:
            return None
        tree = self.staged.out_tree
        if tree.is_leaf():
            return make(slow, "array")
        if tree.type is tuple and all(child.is_leaf() for child in tree.children()):
            return make(slow, "tuple")
        return make(slow, lambda *outs: unflatten(tree, outs))


class Chain:
    """Entries that are tried one after the other, the latest first, and `last` when none of them serves a call."""

    __slots__ = ("call", "last", "length")

    def __init__(self, last: Callable[..., Any]) -> None:
        self.last, self.call, self.length = last, last, 0

    def add(self, compiled: Compiled) -> None:
        """Put a signature's entry in front."""
        full = self.length >= CHAINED
        new = compiled.entry(self.last if full else self.call)
        if new is not None:
            self.call, self.length = new, 1 if full else self.length + 1


class Site:
    """The calls of a jitted function with one structure of arguments and one set of static values."""

    __slots__ = ("chain", "flat", "owner", "statics", "tree")

    def __init__(self, owner: JitFunction, tree: TreeDef, statics: Statics) -> None:
        self.owner, self.tree, self.statics = owner, tree, statics
        args, kwargs = tree.children()
        self.flat = not statics and not kwargs.num_leaves and all(child.is_leaf() for child in args.children())
        self.chain = Chain(self.slow)

    @entry
    def slow(self, *leaves: Any) -> Any:
        """A call that no entry serves: of a new signature, of arrays in another layout, of Tensors."""
        owner = self.owner
        if any(type(x) is Tensor for x in leaves):
            return owner.within(self, leaves)
        if not config.jit:
            return owner.directly(self, leaves)
        found = [owner.admitted(self, i, x) for i, x in enumerate(leaves)]
        signature = Signature(self.tree, tuple([aval for _, aval in found]), self.statics, arrays_of(found))
        compiled = owner.compiled(signature)
        if compiled is None or _overlap(compiled.staged.written, leaves):
            return owner.directly(self, leaves)
        return compiled.run([value for value, _ in found])


def _overlap(written: Sequence[int], leaves: Sequence[Any]) -> bool:
    """Whether an array that is written may share memory with another argument, so that order matters."""
    return any(
        np.may_share_memory(leaves[i], other)
        for i in written
        for j, other in enumerate(leaves)
        if i != j and isinstance(other, np.ndarray)
    )


class JitFunction:
    """What `jit` returns: callable as the function is; `lower`, `explain`."""

    def __init__(
        self,
        fun: Callable[..., Any],
        static_argnums: tuple[int, ...] = (),
        static_argnames: tuple[str, ...] = (),
        donate_argnums: tuple[int, ...] = (),
        inline: bool = True,
        adopt: bool = True,
        memory_budget: int | None = None,
    ) -> None:
        functools.update_wrapper(self, fun)
        self.fun, self.inline, self.adopt, self.donate_argnums = fun, inline, adopt, donate_argnums
        self.memory_budget = memory_budget
        self.parameters = Parameters(fun, static_argnums, static_argnames)
        self._programs: dict[Signature, Staged] = {}
        self._known: dict[Signature, Compiled] = {}
        self._sites: dict[Any, Site] = {}
        self._by_position: dict[TreeDef, Site] = {}  # the same, by the structure of positional arguments alone
        self._lock = threading.RLock()
        self._flat = Chain(self._first)  # for arguments that are leaves, all by position
        self._direct: Callable[..., Any] = self._first
        _functions.add(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            return self._call(args, kwargs)
        return self._direct(*args)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> Any:
        statics = self.parameters.nums, self.parameters.names
        return JitFunction, (self.fun, *statics, self.donate_argnums, self.inline, self.adopt, self.memory_budget)

    def __repr__(self) -> str:
        return f"<jit of {self.parameters.name}>"

    # ── calls ─────────────────────────────────────────────────────────────────

    def _first(self, *args: Any) -> Any:
        """A call by position that no flat entry serves."""
        if self.parameters.static:
            return self._call(args, {})
        leaves, tree = flatten(args)
        site = self._by_position.get(tree)
        if site is None:
            site = self._by_position[tree] = self.site(flatten((args, {}))[1], ())
        return site.slow(*leaves) if site.flat else site.chain.call(*leaves)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        statics: Statics = ()
        if self.parameters.static:
            statics, args, kwargs = self.parameters.split(args, kwargs)
        leaves, tree = flatten((args, kwargs))
        site = self.site(tree, statics)
        return site.slow(*leaves) if site.flat else site.chain.call(*leaves)

    def site(self, tree: TreeDef, statics: Statics) -> Site:
        """The site of calls of this structure."""
        key = (tree, typed(statics)) if statics else tree
        site = self._sites.get(key)
        if site is None:
            site = self._sites.setdefault(key, Site(self, tree, statics))
        return site

    def within(self, site: Site, leaves: Sequence[Any]) -> Any:
        """A call within another transform: one op, or the function itself where that is being staged anyway."""
        if not config.jit or (self.inline and any(map(staged, leaves))):
            return self.directly(site, leaves)
        found = [self.admitted(site, i, x) for i, x in enumerate(leaves)]
        signature = Signature(site.tree, tuple([aval for _, aval in found]), site.statics)
        known = self.staged(signature)
        if known.captured or known.written or known.program.written_out:
            return self.directly(site, leaves)
        outs = run_program(known.program, *[value for value, _ in found], memory=self.memory_budget)
        weak = [atom.aval.weak for atom in known.program.outs]
        return unflatten(
            known.out_tree, [o.item() if w and type(o) is not Tensor else o for o, w in zip(outs, weak, strict=True)]
        )

    def admitted(self, site: Site, number: int, value: Any) -> Any:
        """An argument's leaf as an array, number or Tensor, and its aval."""
        return admitted(
            value, lambda: f"jit of {self.parameters.name}: argument {self.parameters.leaf(number, site.tree)}"
        )

    def directly(self, site: Site, leaves: Sequence[Any]) -> Any:
        """The function itself, run op by op."""
        fun = self.fun
        args, kwargs = self.parameters.place(site.statics)(unflatten(site.tree, leaves))
        if self.adopt:
            fun, args = adopt_function(fun), adopted(args)
            kwargs = dict(zip(kwargs, adopted(tuple(kwargs.values())), strict=True)) if kwargs else kwargs
        return fun(*args, **kwargs)

    # ── ahead of time ─────────────────────────────────────────────────────────

    @entry
    def lower(self, *args: Any, **kwargs: Any) -> LoweredFunction:
        """The function staged for these arguments, of which shapes and dtypes alone matter: arrays, numbers, and
        `ShapeDtype`s; static arguments as they are. Look at it with `as_text`, `cost_analysis` and `memory_analysis`; `compile()`
        makes it callable."""
        return LoweredFunction(self, self.signature(args, kwargs))

    @entry
    def explain(self, *args: Any, **kwargs: Any) -> str:
        """What becomes of the function for these arguments: passes, kernels and what was fused into them, host calls and why,
        memory, and the time that compiling took."""
        lowered = LoweredFunction(self, self.signature(args, kwargs))
        return explain(self.parameters.name, lowered.executable(), len(lowered.program.eqns), self.memory_budget)

    def signature(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Signature:
        """The signature of a call."""
        statics, dynamic, named = self.parameters.split(args, kwargs)
        leaves, tree = flatten((dynamic, named))
        site = self.site(tree, statics)
        signature = Signature(tree, tuple([self.admitted(site, i, x)[1] for i, x in enumerate(leaves)]), statics)
        if self.staged(signature).captured:
            raise TracerLeak(
                f"jit of {self.parameters.name}",
                got="a function that closes over a Tensor of a running transform",
                want="one that stands for itself, to be compiled ahead of time",
                fix="make it an argument",
                at=describe(here(3)),
            )
        return signature

    # ── compiling ─────────────────────────────────────────────────────────────

    def staged(self, signature: Signature) -> Staged:
        """The function's program for a signature, staged now if need be."""
        with _staging:
            found = self._programs.get(signature)
            if found is None:
                self._log(signature)
                place, began = self.parameters.place(signature.statics), perf_counter()
                found = stage_call(self.fun, signature.tree, signature.avals, place, self.adopt, signature.arrays)
                if built:
                    tell(built, self.parameters.name, "trace", began, perf_counter())
                if not found.captured:
                    self._programs[signature] = found
        return found

    def donated(self, signature: Signature) -> frozenset[int]:
        """The leaves of donated arguments."""
        return self.parameters.leaves(self.donate_argnums, signature.tree) if self.donate_argnums else frozenset()

    def compiled(self, signature: Signature) -> Compiled | None:
        """What runs a signature, compiled now if need be; None if the function closes over Tensors of a running transform."""
        found = self._known.get(signature)
        if found is not None:
            return found
        staged = self.staged(signature)
        if staged.captured:
            return None
        with self._lock:
            found = self._known.get(signature)
            if found is None:
                executable = build(staged.program, self.donated(signature), self.parameters.name, self.memory_budget)
                found = self._known[signature] = Compiled(staged, executable)
                self._serve(signature, found)
        return found

    def _serve(self, signature: Signature, compiled: Compiled) -> None:
        site = self.site(signature.tree, signature.statics)
        if site.flat:
            self._flat.add(compiled)
            self._direct = self._flat.call
        else:
            site.chain.add(compiled)

    def forget(self) -> None:
        """Look every signature up again: settings have changed."""
        with self._lock:
            self._flat, self._direct = Chain(self._first), self._first
            self._sites, self._by_position = {}, {}

    def _log(self, signature: Signature) -> None:
        if config.log_compiles:
            cause = self.parameters.cause(list(self._programs), signature)
            log.warning("compiling %s: %s\n  at: %s", self.parameters.name, cause, describe(here(3)))


_functions: weakref.WeakSet[JitFunction] = weakref.WeakSet()


def _forget(name: str) -> None:
    if name in ("complex_convention", "compile", "debug_nans", "detect_anomaly"):
        for function in list(_functions):
            function.forget()


when_set(_forget)


def _several(given: Any) -> tuple[Any, ...]:
    return (given,) if isinstance(given, (int, str)) else tuple(given)


def jit(
    fun: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    donate_argnums: int | Sequence[int] = (),
    inline: bool = True,
    adopt: bool = True,
    memory_budget: int | float | str | None = None,
) -> Any:
    """`fun` as one native function: staged on its first call, compiled, and run as machine code from then on.

    Parameters
    ----------
    fun : callable
        Takes and returns arrays, numbers, and pytrees of them. It runs once per signature, on Tensors
        that have shapes and dtypes but no values: a branch on a value, or a shape that depends on one, raises.
    static_argnums, static_argnames : positions and names of arguments that are constants of the compiled code, and
        hashable; another value compiles again.
    donate_argnums : arguments whose arrays the results may be written over; the caller must not use them again.
    inline : within another jitted function, become part of it (False: one call)
    adopt : run `fun` with its own `np`, `math` and `scipy` bound to wengert's
    memory_budget : bytes that a call may hold at its peak beyond its arguments (results and workspace), as a number or as "64 MiB".
        To obey it, values are computed again where they are read, in the way that costs least time: of `jit(grad(f))` those
        of the forward pass that the backward pass reads. `explain` tells which, and what it costs. Decisions (comparisons,
        places of maxima) are never made twice. Within another jitted function the budget of that one counts. Stacks of `while_loop`s,
        whose length nobody knows beforehand, are not counted: see its `checkpoint`.

    Returns
    -------
    callable with `fun`'s signature. Results are ndarrays, NumPy scalars for results without axes, and Python numbers
    where only Python numbers went in. Arguments may be written in place, as by `fun` itself.

    Compiled once per structure, shapes, dtypes and static values of the arguments. Calls of `print`, of a random number
    generator or of the clock happen while staging alone; what `fun` closes over is read then too. Where NumPy's dtype
    depends on values, it is the wider one here: `eig`, `eigvals`, `roots`, `scipy.linalg.sqrtm`, `logm` and their kin are
    complex. `lstsq` gives residuals of NaN where NumPy, for a matrix without full rank, gives none.

    Raises
    ------
    ConcretizationError : `fun` asks for a value while it is staged.
    DTypeError : an argument that is neither an array nor a number, and not static.
    BudgetError : nothing that was found obeys `memory_budget`; it names the smallest possible one.
    """
    if fun is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, donate_argnums=donate_argnums,
            inline=inline, adopt=adopt, memory_budget=memory_budget,
        )  # fmt: skip
    budget = None if memory_budget is None else bytes_of(memory_budget)
    return JitFunction(
        fun, _several(static_argnums), _several(static_argnames), _several(donate_argnums), inline, adopt, budget
    )
