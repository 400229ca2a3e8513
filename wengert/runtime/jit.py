"""`jit`: a function staged once per signature, compiled, and called on arrays."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from wengert.core.aval import Aval
from wengert.core.config import config
from wengert.core.source import describe, here
from wengert.core.tensor import Tensor
from wengert.core.tree import TreeDef, flatten, unflatten
from wengert.graph.program import Program
from wengert.runtime.interpreted import Interpreted
from wengert.trace.adopt import adopt as adopt_function
from wengert.transforms.entry import adopted, entry
from wengert.transforms.staging import Staged, admitted, stage_call

log = logging.getLogger("wengert")


class Signature:
    """What a compilation depends on: the arguments' structure, avals and static values, and settings."""

    __slots__ = ("_hash", "avals", "key", "statics", "tree")

    def __init__(self, tree: TreeDef, avals: tuple[Aval, ...], statics: tuple[Any, ...]) -> None:
        self.tree, self.avals, self.statics = tree, avals, statics
        typed = tuple((where, type(value), value) for where, value in statics)
        self.key = tree, avals, typed, config.complex_convention, config.compile
        self._hash = hash(self.key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and self.key == other.key


class Compiled:
    """One signature's executable. Callable as the function was."""

    def __init__(self, staged: Staged, executable: Callable[..., list[Any]]) -> None:
        self.staged, self.executable = staged, executable
        self.weak_outs = [i for i, atom in enumerate(staged.program.outs) if atom.aval.weak]
        self.scalars = [i for i, atom in enumerate(staged.program.outs) if atom.aval.shape == ()]

    def run(self, leaves: Sequence[Any]) -> Any:
        """Results, in the user's structure, of flat arguments."""
        outs = list(self.executable(*leaves))
        for i in self.scalars:
            outs[i] = outs[i][()]
        for i in self.weak_outs:
            outs[i] = outs[i].item()
        staged = self.staged
        for i, new in zip(staged.written, outs[staged.n_out :], strict=True):
            leaves[i][...] = new
        return unflatten(staged.out_tree, outs[: staged.n_out])


class JitFunction:
    """What `jit` returns."""

    def __init__(
        self,
        fun: Callable[..., Any],
        static_argnums: tuple[int, ...],
        static_argnames: tuple[str, ...],
        donate_argnums: tuple[int, ...],
        inline: bool,
        adopt: bool,
    ) -> None:
        functools.update_wrapper(self, fun)
        self.fun, self.inline, self.adopt = fun, inline, adopt
        self.donate_argnums = donate_argnums
        self.static_argnums, self.static_argnames = _both(fun, static_argnums, static_argnames)
        self._cache: dict[Signature, Compiled] = {}
        self._lock = threading.RLock()
        self._last: Signature | None = None

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> Any:
        return JitFunction, (
            self.fun, self.static_argnums, self.static_argnames, self.donate_argnums, self.inline, self.adopt,
        )  # fmt: skip

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(args, kwargs)

    @entry
    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        statics, dynamic, named = self._split(args, kwargs)
        leaves, tree = flatten((dynamic, named))
        if any(type(x) is Tensor for x in leaves):
            return self._traced(args, kwargs)
        found = [admitted(x, lambda i=i: self._name(i, dynamic, named)) for i, x in enumerate(leaves)]
        signature = Signature(tree, tuple(aval for _, aval in found), statics)
        compiled = self._cache.get(signature)
        if compiled is None:
            compiled = self._compile(signature)
            if compiled is None:
                return self._traced(args, kwargs)
        return compiled.run([value for value, _ in found])

    def _traced(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The call within another transform."""
        fun = self.fun
        if self.adopt:
            fun, args = adopt_function(fun), tuple(adopted(args))
            kwargs = dict(zip(kwargs, adopted(tuple(kwargs.values())), strict=True)) if kwargs else kwargs
        return fun(*args, **kwargs)

    # ── signatures ────────────────────────────────────────────────────────────

    def _split(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], tuple[Any, ...], dict[str, Any]]:
        """Static arguments as (position or name, value), the others, and the others by name."""
        if not self.static_argnums and not self.static_argnames:
            return (), args, kwargs
        nums = {i % len(args) if i < 0 and args else i for i in self.static_argnums}
        names = set(self.static_argnames)
        statics = [(i, a) for i, a in enumerate(args) if i in nums]
        statics += [(k, kwargs[k]) for k in sorted(kwargs) if k in names]
        for where, value in statics:
            try:
                hash(value)
            except TypeError:
                raise TypeError(
                    f"jit of {_name_of(self.fun)}: static argument {where!r} is a {type(value).__name__}, which cannot be"
                    f" hashed\n  want: a hashable value (a number, string, tuple, function, frozen dataclass)"
                    f"\n  fix:  pass a tuple for a list, or leave it out of the static arguments\n  at:   {describe(here(3))}"
                ) from None
        return (
            tuple(statics),
            tuple(a for i, a in enumerate(args) if i not in nums),
            {k: v for k, v in kwargs.items() if k not in names},
        )

    def _place(self, statics: tuple[Any, ...]) -> Callable[[Any], tuple[Any, Any]]:
        """Puts static arguments back among the others."""
        by_position = {k: v for k, v in statics if isinstance(k, int)}
        by_name = {k: v for k, v in statics if not isinstance(k, int)}

        def place(both: Any) -> tuple[Any, Any]:
            dynamic, named = both
            rest = iter(dynamic)
            n = len(dynamic) + len(by_position)
            return tuple(by_position[i] if i in by_position else next(rest) for i in range(n)), {**named, **by_name}

        return place

    def _name(self, i: int, dynamic: tuple[Any, ...], named: dict[str, Any]) -> str:
        """What the user calls leaf number `i`."""
        import optree

        paths = optree.tree_paths((dynamic, named), namespace="wengert")
        return f"jit of {_name_of(self.fun)}: argument {self._path(paths[i])}"

    def _path(self, path: tuple[Any, ...]) -> str:
        part, first, *rest = path
        inner = "".join(f"[{p!r}]" for p in rest)
        if part == 1:
            return f"{first}{inner}"
        nums = [i for i in range(first + len(self.static_argnums) + 1) if i not in self.static_argnums]
        position = nums[first]
        try:
            names = list(inspect.signature(self.fun).parameters)
        except (TypeError, ValueError):
            names = []
        return f"{names[position] if position < len(names) else position}{inner}"

    # ── compiling ─────────────────────────────────────────────────────────────

    def _stage(self, signature: Signature) -> Staged:
        return stage_call(self.fun, signature.tree, signature.avals, self._place(signature.statics), self.adopt)

    def _compile(self, signature: Signature) -> Compiled | None:
        """The executable for a signature; None if the function closes over Tensors of a running transform."""
        with self._lock:
            compiled = self._cache.get(signature)
            if compiled is not None:
                return compiled
            self._log(signature)
            staged = self._stage(signature)
            if staged.captured:
                return None
            executable = build(staged.program, self._donated(signature), _name_of(self.fun))
            compiled = self._cache[signature] = Compiled(staged, executable)
            self._last = signature
            return compiled

    def _donated(self, signature: Signature) -> frozenset[int]:
        """The leaves of donated arguments."""
        if not self.donate_argnums:
            return frozenset()
        import optree

        paths = optree.treespec_paths(signature.tree)
        nums = [i for i in range(len(paths) + len(self.static_argnums)) if i not in self.static_argnums]
        return frozenset(i for i, p in enumerate(paths) if p[0] == 0 and nums[p[1]] in self.donate_argnums)

    def _log(self, signature: Signature) -> None:
        if not config.log_compiles:
            return
        name, last = _name_of(self.fun), self._last
        cause = "first call" if last is None else self._difference(last, signature)
        log.warning("wengert: compiling %s: %s (at %s)", name, cause, describe(here(4)) or "?")

    def _difference(self, old: Signature, new: Signature) -> str:
        """Why `new` needs another compilation than `old`."""
        if old.tree != new.tree:
            return f"the arguments' structure changed from {old.tree} to {new.tree}"
        import optree

        paths = optree.treespec_paths(new.tree)
        changes = [
            f"argument {self._path(p)} changed from {_shown(a)} to {_shown(b)}"
            for p, a, b in zip(paths, old.avals, new.avals, strict=True)
            if a != b
        ]
        changes += [
            f"static argument {k!r} changed from {a!r} to {b!r}"
            for (k, a), (_, b) in zip(old.statics, new.statics, strict=False)
            if type(a) is not type(b) or a != b
        ]
        return "; ".join(changes) or "settings in wengert.config changed"


def _shown(aval: Aval) -> str:
    return f"{aval}{' (a Python number)' if aval.weak else ''}"


def build(program: Program, donated: frozenset[int] = frozenset(), name: str = "") -> Callable[..., list[Any]]:
    """Something that runs `program` on flat arrays: machine code where there can be, NumPy otherwise."""
    return Interpreted(program, name)


def _name_of(fun: Any) -> str:
    return getattr(fun, "__qualname__", None) or getattr(fun, "__name__", type(fun).__name__)


def _both(
    fun: Callable[..., Any], argnums: tuple[int, ...], argnames: tuple[str, ...]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Static arguments by position and by name: each named in one way is static in the other too."""
    if not argnums and not argnames:
        return (), ()
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):
        return argnums, argnames
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    variadic = any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)
    unknown = [n for n in argnames if n not in {p.name for p in parameters}]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in parameters):
        raise ValueError(f"static_argnames={unknown}: {_name_of(fun)} has no such arguments")
    nums = {i + len(positional) if i < 0 and not variadic else i for i in argnums}
    if not variadic and any(not 0 <= i < len(positional) for i in nums):
        raise ValueError(f"static_argnums={argnums}: {_name_of(fun)} has {len(positional)} positional arguments")
    nums |= {positional.index(n) for n in argnames if n in positional}
    names = {*argnames, *(positional[i] for i in nums if 0 <= i < len(positional))}
    return tuple(sorted(nums)), tuple(sorted(names))


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

    Returns
    -------
    callable with `fun`'s signature. Results are ndarrays, NumPy scalars for results without axes, and Python numbers
    where only Python numbers went in. Arguments may be written in place, as by `fun` itself.

    Compiled once per structure, shapes, dtypes and static values of the arguments. Calls of `print`, of a random number
    generator or of the clock happen while staging alone; what `fun` closes over is read then too.

    Raises
    ------
    ConcretizationError : `fun` asks for a value while it is staged.
    DTypeError : an argument that is neither an array nor a number, and not static.
    """
    if fun is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, donate_argnums=donate_argnums,
            inline=inline, adopt=adopt,
        )  # fmt: skip
    return JitFunction(
        fun, _several(static_argnums), _several(static_argnames), _several(donate_argnums), inline, adopt
    )
