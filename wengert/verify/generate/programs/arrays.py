"""Instructions that reduce, move, index, join, select from and scan whole arrays."""

from __future__ import annotations

from wengert.verify.generate.programs.scope import Scope
from wengert.verify.generate.programs.slots import Slots, table

# ── reductions ────────────────────────────────────────────────────────────────

REDUCE = table("""
    np.sum({x}, {how})
    np.mean({x}, {how})
    np.max({x}, {how})
    np.min({x}, {how})
    np.prod({x}, {how})
    np.ptp({x}, {how})
    np.amax({x}, {how}, initial=-9.0)
    np.nansum({x}, {how})
    np.nanmean({x}, {how})
    np.nanmax({x}, {how})
    {x}.sum({how})
    {x}.mean({how})
    {x}.var({how})
    {x}.max({how})
    np.sqrt(np.var({x}, {how}) + 0.3)
    np.sum({x} * {x}, {how}) ** 0.5
    np.sum({x}, {how}, where={x} > {number})
    np.mean({x}, {how}, where=({x} > {number}) | (np.ones({shape}) > 0))
    np.max({x}, {how}, where={x} > {number}, initial=-2.0)
    np.prod({x}, {how}, where={bits})
    np.sum({x}, {how}, initial=0.5)
    np.sum({x}, {how}, dtype=complex)
    np.median({x}, {how})
    np.quantile({x}, 0.25, {how})
    np.quantile({x}, [0.1, 0.9], {how})
    np.percentile({x}, 30, {how}, method='weibull')
    np.linalg.norm({x} + 2.0)
    np.count_nonzero({x} > {number}) * {x}
    sum({x}.ravel())
""")
REDUCE_SOME = table("""
    np.add.reduce({x}, axis={axis})
    np.multiply.reduce({x}, axis={axis})
    np.maximum.reduce({x}, axis={axis})
    np.logaddexp.reduce({x}, axis={axis})
    np.hypot.reduce({x} + 0.1, axis={axis})
    np.add.reduceat({x}, [0, {row}], axis={axis})
    np.average({x}, axis={axis}, weights={along})
    np.linalg.norm({x} + 0.1, axis={axis})
    np.linalg.norm({x}, ord=1, axis={axis})
    np.linalg.norm({x}, ord=3, axis={axis}, keepdims=True)
    np.linalg.norm({x}, ord=np.inf, axis={axis})
    np.trapezoid({x}, axis={axis})
    np.std(np.sin({x}) + {const}, axis={axis})
    np.var({x}, axis={axis}, ddof=1)
    np.array([np.sum(row) for row in {x}])
    np.array([row * 0.5 for row in {x}])
    sum({x})
    np.apply_along_axis(lambda r: np.sin(r) * r[0], {axis}, {x})
    np.apply_over_axes(np.sum, {x}, [0])
    np.cov({x}.reshape({first}, -1).T, bias=True)
""")
REDUCE_SPECIAL = table("""
    special.logsumexp({x}, axis={axis})
    special.softmax({x}, axis={axis})
    special.log_softmax({x}, axis={axis})
""")
REDUCE_NEURAL = table("""
    nn.softmax({x}, axis={axis})
    nn.log_softmax({x}, axis={axis})
    nn.logsumexp({x}, axis={axis})
""")


def reduce(s: Scope) -> str | None:
    x = s.any()
    if x is None:
        return None
    tables = [REDUCE]
    if s[x].ndim:
        tables.append(REDUCE_SOME)
        tables += [REDUCE_SPECIAL] if "special" in s.story.allowed else []
        tables += [REDUCE_NEURAL] if "neural" in s.story.allowed else []
    return Slots(s, x).pick(*tables)


# ── movement ──────────────────────────────────────────────────────────────────

MOVE = table("""
    np.ravel({x})
    {x}.reshape(-1)
    np.reshape({x}, {reversed})
    np.reshape({x}, {factors}, order={major})
    np.expand_dims({x}, {new})
    np.squeeze({x})
    np.broadcast_to({x}, {doubled}) * 1.0
    np.broadcast_to({x}, {doubled})
    np.tile({x}, 2)
    np.tile({x}, (2, 1))
    np.atleast_1d({x})
    np.atleast_2d({x})
    np.atleast_3d({x})
    np.repeat({x}, 2)
    np.resize({x}, (2, 3))
    np.full_like({x}, 0.5) * {x}
    np.full(3, {scalar})
    np.asarray({x})
    np.array({x})
    {x}.copy()
    np.roll({x}, {shift})
    {x}.flatten(order={major})
""")
MOVE_SOME = table("""
    {x}.T
    np.transpose({x}, {perm})
    np.swapaxes({x}, {axis}, {other})
    np.moveaxis({x}, {axis}, {other})
    np.rollaxis({x}, {front})
    np.flip({x}, axis={axis})
    np.flip({x})
    np.roll({x}, {shift}, axis={axis})
    np.repeat({x}, {times}, axis={axis})
    np.pad({x}, {pads}, constant_values=0.3)
    np.pad({x}, 1, mode={mode})
    np.delete({x}, {row}, axis={axis})
    np.insert({x}, {row}, {number}, axis={axis})
    np.insert({x}, {row}, {scalar}, axis={axis})
    np.append({x}, {x} * 0.5, axis={axis})
    np.split({x}, [{row}], axis={axis})[-1]
    np.array_split({x}, 2, axis={axis})[0]
    np.unstack({x}, axis={axis})[0]
    np.lib.stride_tricks.sliding_window_view({x}, 1, axis={axis}) * 1.0
    np.lib.stride_tricks.sliding_window_view({x}, 2, axis={axis})[..., ::-1]
    np.diagflat({x})
    np.diag(np.ravel({x})[:3])
    np.vander(np.ravel({x})[:4], 3)
    np.meshgrid(np.ravel({x})[:3], [0.5, -1.0])[0]
    np.array([*{x}])
    np.concatenate([np.ravel({x}), [0.5]])
""")
MOVE_TWO = table("""
    np.rot90({x}, {shift})
    np.diagonal({x}, axis1=0, axis2=-1)
    np.triu({x}, {shift})
    np.tril({x})
    np.trace({x})
    np.diag({x}[..., 0])
    np.fliplr({x})
    np.flipud({x})
    np.matrix_transpose({x})
    {x}.mT
    {x}.diagonal(1)
""")


def move(s: Scope) -> str | None:
    x = s.any(kind="fc" if s.choices.chance(0.3) else "f")
    if x is None:
        return None
    n = s[x].ndim
    return Slots(s, x).pick(*(MOVE, MOVE_SOME, MOVE_TWO)[: 1 + min(n, 2)])


# ── indexing ──────────────────────────────────────────────────────────────────

INDEX = table("""
    {x}[{many}]
    {x}[{fancy}]
    {x}[{many}][0]
    np.take({x}, {rows}, axis={axis})
    np.take({x}, [0, -1, 7], mode='wrap')
    {x}.take({rows}, axis={axis})
    np.compress({keep}, {x}, axis={axis})
    {x}[{bits}]
    {x}.ravel()[{place}]
    {x}.flat[{place}]
    np.take_along_axis({x}, np.argsort({x}, axis={axis}), axis={axis})
    np.choose([0, 1], [{x}.ravel()[:2], {x}.ravel()[-2:]])
    {x}[np.ix_([0, -1])]
    np.extract({bits}, {x})
    {x}[..., None] * {x}[..., :1]
""")
INDEX_REAL = table("""
    {x}.ravel()[np.argmax({x})]
    {x}[np.argsort({x}, axis=0).reshape({first}, -1)[:, 0]]
    {x}[[np.argmin({x}.reshape({first}, -1)[:, 0])]]
""")


def index(s: Scope) -> str | None:
    x = s.array(kind="fc" if s.choices.chance(0.3) else "f")
    if x is None:
        return None
    slots = Slots(s, x)
    if s.choices.chance(0.6):
        return slots.fill("{x}[{key}]")
    return slots.pick(INDEX, INDEX_REAL if s[x].dtype.kind == "f" else ())


# ── joining, selecting, scanning ──────────────────────────────────────────────

JOIN = table("""
    np.stack([{same}, {x}], axis={new})
    np.hstack([{x}, {same}])
    np.vstack(({x}, {same}))
    np.dstack([{x}, {same}])
    np.column_stack([{same}, {x}])
    np.array([{x}, {same}])
    np.array([[{x}, {same}], [{same}, 0.5 * {x}]])
    np.concatenate(({same}, {x}), axis=None)
""")
JOIN_SOME = table("""
    np.concatenate([{x}, {same} * 0.5], axis={axis})
    np.concatenate([{x}, {const}], axis={axis})
    np.concatenate([{x}[:1], {same}, {x}], axis=0)
    np.block([{x}, {same}])
    np.block([[{x}], [{same}]])
    np.r_[{x}, {same}]
""")
SELECT = table("""
    np.sort({x}, axis={axis})
    np.sort({x}, axis=None)
    np.sort({x})[..., ::-1]
    np.partition({x}, {half})
    np.where({bits}, {x}, {y})
    np.where({bits}, {number}, {x})
    np.diff({x}, axis={axis})
    np.diff({x}, n=2, append=0.3)
    np.ediff1d({x}, to_begin=0.2)
    np.gradient({x}, 0.7, axis={axis})
    np.clip({x}, {number}, None)
    np.fmax.accumulate({x}, axis={axis})
    np.convolve(np.ravel({x}), [0.5, -1.0, 0.2], 'same')
    np.convolve(np.ravel({x}), {line})
    np.correlate(np.ravel({x}), [0.5, -1.0], 'full')
    np.searchsorted([-0.5, 0.5], {x}) * {x}
    np.digitize({x}, [-0.5, 0.5]) * {x}
    np.unwrap({x} * 3.0)
    np.interp([0.2, 1.4], [0.0, 1.0, 2.0], np.resize({x}, 3))
    np.bincount([0, 1, 0], weights=np.resize({x}, 3))
    np.polyval(np.ravel({x})[:3], 0.7)
    np.cross(np.resize({x}, 3), [0.3, -0.5, 1.0])
""")
SCAN = table("""
    np.cumsum({x}, axis={axis}) * 0.5
    np.cumsum({x})
    {x}.cumsum(axis={axis})
    np.cumprod({x}, axis={axis})
    np.cumulative_sum({x}, axis={axis}, include_initial=True)
    np.nancumsum({x}, axis={axis})
    np.maximum.accumulate({x}, axis={axis})
    np.minimum.accumulate({x}, axis={axis})
    np.add.accumulate({x}, axis={axis})
    np.multiply.accumulate({x}, axis={axis})
    np.logaddexp.accumulate({x}, axis={axis})
""")
BRANCHING = table("""
    {x}[{x} > {number}]
    np.unique({x})
    {x} * 2.0 if {x}.ravel()[0] > {number} else np.sin({x})
    max({x}.ravel()) * {x}
    np.sum(np.sort({x}.ravel())[: int(np.sum({x} > {number})) + 1])
    {x} if np.all({x} < {number}) else {x} * {x}
    {x}[np.nonzero({x} > {number})]
""")


def join(s: Scope) -> str | None:
    x = s.any(kind="fc" if s.choices.chance(0.2) else "f")
    return x and Slots(s, x).pick(JOIN, JOIN_SOME if s[x].ndim else ())


def select(s: Scope) -> str | None:
    x = s.array()
    return x and Slots(s, x).pick(SELECT)


def scan(s: Scope) -> str | None:
    x = s.array()
    return x and Slots(s, x).pick(SCAN)


def branch(s: Scope) -> str | None:
    """What one example decides and many cannot: shapes and branches by values."""
    x = None if s.batched else s.array()
    if x is not None:
        s.story.traits.add("branches on values")
    return x and Slots(s, x).pick(BRANCHING)
