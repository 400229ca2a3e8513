"""Values that are made where another one lies: a sum to a part of an array, an array with some elements replaced, what
a loop carries and changes in place. What is not changed is not copied then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wengert.core.form import Region
from wengert.graph.program import Var
from wengert.lowering.clusters import Cluster
from wengert.lowering.library import EMITTERS
from wengert.lowering.order import needs
from wengert.lowering.values import (
    Accumulation,
    Alias,
    Assembly,
    Gather,
    Opaque,
    Place,
    Scatter,
    Values,
    View,
)

Over = dict[Var, Var]  # a value → the one in whose memory it is made, and which nobody reads any more


def begun(values: Values, allowed: Callable[[Var, int], bool], banned: set[Var], plans: Mapping[int, Any]) -> Over:
    """What can be made in place. `allowed(value, i)`: whether a result may take over operand `i` of the Program."""
    results = {values.base(v) for v in values.program.outs if isinstance(v, Var)}
    over: Over = {}
    for var in values.order:
        if var in banned or isinstance(values.definitions[var], (Place, Alias)):
            continue
        source = _source(values, var, plans)
        if source is None or source.aval != var.aval or source not in values.stored:
            continue
        source = values.base(source)
        if source in over.values() or (source in results and not _is_input(values, source)):
            continue
        if _is_input(values, source) or not isinstance(values.definitions[source], Place):
            over[var] = source
    for var in list(over):  # operands of the Program may be written over by the end of a chain that is allowed to
        source = over.get(var)
        place = None if source is None else values.definitions[source]
        if isinstance(place, Place):
            end = var
            while (following := next((v for v, s in over.items() if s is end), None)) is not None:
                end = following
            if end not in results or not allowed(end, place.index):
                del over[var]
    for var, source in list(over.items()):
        if not _settle(values, var, source):
            del over[var]
    return over


def _is_input(values: Values, var: Var) -> bool:
    d = values.definitions[var]
    return isinstance(d, Place) and d.kind == "input"


def _source(values: Values, var: Var, plans: Mapping[int, Any]) -> Var | None:
    """The array that `var` is but for what is written to it."""
    d = values.definitions[var]
    if isinstance(d, Accumulation):
        more = any(isinstance(region, Scatter) or 0 not in region.shape for region, _ in d.regions)
        return d.start if more and isinstance(d.start, Var) else None
    if isinstance(d, Assembly):
        first, *rest = d.regions
        more = any(0 not in region.shape for region in rest)
        return d.operands[first.operand] if more and first.operand is not None and _whole(first, var.shape) else None
    if isinstance(d, Opaque):
        number = next(i for i, v in enumerate(d.outs) if v is var)
        at = None
        if id(d) in plans:
            at = plans[id(d)].over.get(number)
        elif d.emitter is not None and d.emitter is EMITTERS["index_put"] and 0 not in d.strided:
            at = 0
        if at is None:
            return None
        found = d.operands[at]
        others = [d.strided[i][0] if i in d.strided else a for i, a in enumerate(d.operands) if i != at]
        if not isinstance(found, Var) or any(
            values.base(a) is values.base(found) for a in others if isinstance(a, Var)
        ):
            return None
        return found
    return None


def small_reads(values: Values, over: Over) -> None:
    """Have pieces of what is written over made by themselves, so that they can be made before."""
    sources = set(over.values())
    for var in list(values.order):
        d = values.definitions[var]
        if isinstance(d, (Gather, View)) and values.base(d.operand) in sources:
            if SMALLER * var.aval.size <= d.operand.aval.size:
                values.store(var)


SMALLER = 4  # times smaller than what it is a piece of is a piece that is worth its memory


def ordered(values: Values, over: Over) -> list[Var]:
    """The values in an order in which what is written over is read before, where there is one."""
    if not over:
        return values.order
    place = {var: i for i, var in enumerate(values.order)}
    own = {var: needs(values, var) for var in values.order}
    wants = dict(own)
    for var, source in over.items():
        later = _dependents(values, own, var)
        wants[var] = wants[var] | {
            u for u in values.order if u not in later and source in own[u] and _is_made(values, u)
        }
    together = {v: d.outs for d in values.definitions.values() if isinstance(d, Opaque) for v in d.outs}
    found: dict[Var, None] = {}
    entered: set[Var] = set()
    for first in values.order:
        stack = [(first, False)]
        while stack:
            var, done = stack.pop()
            if done:
                found[var] = None
            elif var not in entered:
                entered.add(var)
                stack.append((var, True))
                wanted = {u for v in together.get(var, (var,)) for u in wants[v]}
                stack += [(u, False) for u in sorted(wanted - entered, key=place.__getitem__, reverse=True)]
    at = {var: i for i, var in enumerate(found)}
    # Wishes of several values may contradict each other: what is read too late then is no longer made in place.
    kept = all(at[u] < i for var, i in at.items() for u in own[var] if u in at and u is not var)
    return list(found) if kept else values.order


def _dependents(values: Values, own: Mapping[Var, set[Var]], var: Var) -> set[Var]:
    """`var`, and what cannot be made before it."""
    found = {var}
    for later in values.order:
        if own[later] & found:
            found.add(later)
    return found


def _is_made(values: Values, var: Var) -> bool:
    return var in values.stored and not isinstance(values.definitions[var], (Place, Alias))


def _whole(region: Region, shape: tuple[int, ...]) -> bool:
    return region.shape == shape and not any(region.start) and all(s == 1 for s in region.step)


def _settle(values: Values, var: Var, source: Var) -> bool:
    """Have what is written to parts of `source`, and is read from it, made beforehand; False if it is `source` itself."""
    d = values.definitions[var]
    if isinstance(d, Opaque):
        return True
    parts: list[Any] = []
    if isinstance(d, Accumulation):
        for region, operand in d.regions:
            parts.append(operand)
            parts += region.places.arrays if isinstance(region, Scatter) else ()
    elif isinstance(d, Assembly):
        parts += [d.operands[r.operand] for r in d.regions[1:] if r.operand is not None]
    for part in parts:
        if isinstance(part, Var) and _reads(values, part, source):
            if values.base(part) is source:
                return False
            values.store(part)
    return True


def _reads(values: Values, var: Var, source: Var) -> bool:
    """Whether computing `var` where it is read reads `source`."""
    return values.base(var) is source or (var not in values.stored and source in needs(values, var))


def reads(values: Values, step: Any) -> set[Var]:
    """The values whose memory a step reads, but for those that a cluster only finds there."""
    if isinstance(step, Cluster):
        found = {values.base(base) for base, _ in step.loads}
        return found | {i.point.operand for m in step.members for i in m.body if isinstance(i.point, Gather)}
    places = [step.strided[j][0] if j in step.strided else a for j, a in enumerate(step.operands)]
    return {values.base(a) for a in places if isinstance(a, Var)}


def misplaced(values: Values, steps: Sequence[Any], over: Over) -> set[Var]:
    """Values in `over` that are written before the last step that reads what was there."""
    wrong = set()
    read = [reads(values, step) for step in steps]
    for var, source in over.items():
        writers = [i for i, step in enumerate(steps) if var in (step.made if isinstance(step, Cluster) else step.outs)]
        own = writers[0] if writers and not isinstance(steps[writers[0]], Cluster) else None
        last = max((i for i, found in enumerate(read) if source in found and i != own), default=-1)
        if writers and last >= writers[0]:
            wrong.add(var)
    return wrong
