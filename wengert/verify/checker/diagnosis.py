"""From a suspicion to a diagnosis: is ours wrong, and how; or is there no derivative, or no reference, at this point?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from wengert.verify.checker.columns import Columns, Matrix, weigh
from wengert.verify.checker.comparison import COARSE, Tolerance
from wengert.verify.checker.patterns import Block, recognise
from wengert.verify.checker.report import Entry, Finding
from wengert.verify.checker.subject import Level, pair
from wengert.verify.reference import OUTSIDE, along
from wengert.verify.reference import sides as one_sided

SHOWN = 5  # elements in a table
EXAMINED = 12  # columns whose two sides are looked at

NO_DERIVATIVE = {
    "discontinuity": (
        "{noun} jumps at this point along {where}: values on the two sides do not meet, so there is no derivative",
        "Check at a point away from the jump (np.floor, np.round, comparisons, an index or a branch that depends on the value).",
    ),
    "vertical": (
        "the slope of {noun} along {where} grows without bound towards this point ({growth}), so there is no finite"
        " derivative; ours is {ours}",
        "Check away from it, or keep the argument of sqrt, norm, log or a power off zero: np.sqrt(x**2 + 1e-12),"
        " np.maximum(x, 1e-12).",
    ),
    "edge": (
        "the point lies on the edge of the domain of {noun} along {where}: on one side there are no finite values. The slope on"
        " the other side is {slope}, ours is {ours}",
        "Check at a point inside the domain.",
    ),
    "unclear": (
        "no reference could be had along {where}: values of {noun} are not finite, or too irregular, at every step",
        "Check at a point around which the function has finite values; a smaller eps takes smaller steps.",
    ),
}


def examine(columns: Columns, matrix: Matrix) -> list[Finding]:
    """Findings about one level, from the full check."""
    level, tolerance = columns.level, columns.tolerance
    findings: list[Finding] = []
    if columns.known is not None:
        off = sum(matrix.bad(mode, tolerance).sum(axis=0) for mode in matrix.ours)
        for c in np.argsort(-np.asarray(off), kind="stable")[:EXAMINED]:
            columns.renew(matrix, int(c))
    kinked = matrix.kinked()
    scale = np.max(np.abs(matrix.reference), axis=1, initial=0.0, where=np.isfinite(matrix.reference))[:, None]
    coarse = ~(matrix.error <= np.maximum(COARSE * scale, 1e-300) + 1e-9 * matrix.sizes)
    bad = {mode: matrix.bad(mode, tolerance) for mode in matrix.ours}
    lost = {mode: ~np.isfinite(matrix.ours[mode]) for mode in matrix.ours}
    strange = kinked | coarse | np.any([x & ~np.isfinite(matrix.reference) for x in lost.values()], axis=0)
    settled = np.zeros(matrix.reference.shape, bool)  # explained by the point, not by a rule
    looked = np.flatnonzero(strange.any(axis=0))
    for c in sorted(looked, key=lambda c: -_interest(matrix, bad, int(c)))[:EXAMINED]:
        found, clear = _look(columns, matrix, int(c), strange[:, c])
        findings += found
        settled[:, c] = ~clear
    if len(looked) > EXAMINED and settled.any() and not any(f.level == "wrong" for f in findings):
        rest = [c for c in looked if not settled[:, c].any()]
        settled[:, rest] = True  # more of the same
    findings = _merged(findings, len(looked))
    wrong = {mode: b & ~settled for mode, b in bad.items()}
    for mode, c in {(m, int(c)) for m, w in wrong.items() for c in np.flatnonzero(w.any(axis=0))}:
        absorbed = _absorbed(columns, matrix, mode, c)
        if absorbed:
            wrong[mode][:, c] = False
            findings.append(absorbed)
    findings = _merged(findings, 0)
    findings += _wrong(level, matrix, wrong, tolerance)
    if not findings and coarse.any():
        findings.append(_coarse(matrix, level, coarse))
    return findings


def _interest(matrix: Matrix, bad: dict[str, np.ndarray], c: int) -> float:
    jump = np.abs(matrix.jump[:, c])
    return (
        float(sum(b[:, c].sum() for b in bad.values()))
        + float(np.max(np.where(np.isfinite(jump), jump, 1e6), initial=0.0)) * 1e-6
    )


# ── the point ─────────────────────────────────────────────────────────────────


def _look(columns: Columns, matrix: Matrix, c: int, strange: np.ndarray) -> tuple[list[Finding], np.ndarray]:
    """What the two sides of one column say, and the rows for which they say that all is smooth."""
    level = columns.level
    direction, size = columns.direction(matrix.columns[c])

    def projected(*leaves: Any) -> list[np.ndarray]:
        outs = level.plain(*leaves)
        return [np.array([pair(u, outs) for u in matrix.cotangents])]

    centre = projected(*columns.wide)
    sigma = columns.slope(direction).noise
    noise = [np.array([weigh(u, sigma) for u in matrix.cotangents])]
    both = one_sided.sides(projected, columns.wide, direction, centre, noise, columns.step)
    where = matrix.columns[c].label(level.names)
    findings = []
    clear = np.ones(len(matrix.rows), bool)
    known = np.where(np.isfinite(matrix.reference[:, c]), np.abs(matrix.reference[:, c]), 0)
    scale = size * float(max(np.max(known, initial=0.0), 1e-6 * np.max(matrix.sizes[:, c], initial=0.0)))
    for r in np.flatnonzero(strange):
        kind = both.kind(0, int(r), scale)
        if kind == "smooth":
            continue
        clear[r] = False
        findings.append(_at(kind, both, level, matrix, int(r), c, size, where))
    return findings, clear


def _at(
    kind: str, both: one_sided.Sides, level: Level, matrix: Matrix, r: int, c: int, size: float, where: str
) -> Finding:
    right, left = (float(s.value[0][r]) / size for s in (both.right, both.left))
    error = (float(both.right.error[0][r]) + float(both.left.error[0][r])) / size
    ours = {mode: float(a[r, c]) for mode, a in matrix.ours.items()}
    any_ours = next(iter(ours.values()))
    entry = Entry(
        matrix.row_label(r, level.outputs), where, any_ours, float(matrix.reference[r, c]), float(matrix.error[r, c])
    )
    place = matrix.columns[c]
    point = np.asarray(level.leaves[place.leaf])[place.index]
    at = f"{where} (= {float(point.imag if place.imaginary else point.real):.6g})"
    if kind == "unclear" and both.right.exists[0][r] and both.left.exists[0][r]:
        return noisy(level, [entry], float(matrix.error[r, c]))
    if kind != "kink":
        message, advice = NO_DERIVATIVE[kind]
        growth = max(float(both.right.growth[0][r]), float(both.left.growth[0][r]))
        slope = right if both.right.exists[0][r] else left
        text = message.format(
            noun=_noun(level), where=at, growth=f"like h^−{growth:.2g}", ours=f"{any_ours:.6g}", slope=f"{slope:.6g}"
        )
        return Finding(kind, "undecided", text, advice, level.order, "", {"growth": growth, "ours": ours}, [])
    entry.left, entry.right = left, right
    low, high = min(left, right), max(left, right)
    slack = error + 1e-6 * (high - low)
    outside = [m for m, v in ours.items() if not low - slack <= v <= high + slack]
    numbers = {"left": left, "right": right, "ours": ours}
    if outside:
        entry.ours = ours[outside[0]]
        return Finding(
            "kink", "wrong",
            f"{_noun(level)} has a kink at {at}, with slope {left:.6g} on the left and {right:.6g} on the right, and ours"
            f" ({ours[outside[0]]:.6g}) is not between them",
            "At a kink a derivative may be any number between the two slopes. Ours is none of them: the rule is wrong there, or a"
            " 0/0 needs a guard.",
            level.order, " and ".join(outside), numbers, [entry],
        )  # fmt: skip
    return Finding(
        "kink", "undecided",
        f"{_noun(level)} has a kink at {at}: the slopes on the two sides differ, and ours lies between them",
        "There is no derivative here to check: ours is one of the subgradients. Check at a point moved a little (x + 1e-3);"
        " if descent needs it, smooth the kink.",
        level.order, "", numbers, [entry],
    )  # fmt: skip


def _absorbed(columns: Columns, matrix: Matrix, mode: str, c: int) -> Finding | None:
    """A reference of exactly zero, because a small change of the argument is lost to rounding within the function."""
    ours = matrix.ours[mode][:, c]
    if np.any(matrix.reference[:, c]) or not np.all(np.isfinite(ours)):
        return None
    direction, size = columns.direction(matrix.columns[c])
    for step in (1e-1, 1e-2, 1e-3):
        try:
            up, down = (columns.level.plain(*along(columns.wide, direction, s)) for s in (step, -step))
        except OUTSIDE:
            continue
        change = [(np.asarray(a) - np.asarray(b)) / (2 * step * size) for a, b in zip(up, down, strict=True)]
        slopes = np.array(
            [p.read(change) if p else pair(u, change) for p, u in zip(matrix.rows, matrix.cotangents, strict=True)]
        )
        if np.all(np.sign(slopes) == np.sign(ours)) and np.all(
            (np.abs(slopes) <= 10 * np.abs(ours)) & (np.abs(ours) <= 10 * np.abs(slopes))
        ):
            where = matrix.columns[c].label(columns.level.names)
            return Finding(
                "ill-conditioned", "undecided",
                f"{_noun(columns.level)} does not move at all when {where} changes a little: the change is lost to rounding inside."
                f" Over larger changes its slope is about {_top(slopes)}, ours is {_top(ours)}",
                "No difference can decide this. Check at a point where the argument is not negligible beside what it is added to.",
                columns.level.order,
            )  # fmt: skip
    return None


def _top(x: np.ndarray) -> str:
    return f"{x[np.argmax(np.abs(x))]:.2g}"


def _noun(level: Level) -> str:
    """What is differentiated at a level."""
    names = {1: "the function", 2: "the first derivative", 3: "the second derivative"}
    return names.get(level.order, f"the derivative of order {level.order - 1}")


def _merged(findings: list[Finding], looked: int) -> list[Finding]:
    """One finding of each kind and level, with the elements of all."""
    out: dict[tuple[str, str], Finding] = {}
    counts: dict[tuple[str, str], int] = {}
    for f in findings:
        key = f.kind, f.level
        counts[key] = counts.get(key, 0) + 1
        if key in out:
            out[key].entries += f.entries
        else:
            out[key] = f
    for key, f in out.items():
        f.entries = f.entries[:SHOWN]
        more = max(counts[key], looked if len(out) == 1 else 0) - 1
        if more:
            f.message += f"; and so at {more} more element{'s' if more > 1 else ''}"
    return list(out.values())


def _coarse(matrix: Matrix, level: Level, coarse: np.ndarray) -> Finding:
    r, c = np.argwhere(coarse)[0]
    entry = Entry(
        matrix.row_label(r, level.outputs), matrix.columns[c].label(level.names), float(next(iter(matrix.ours.values()))[r, c]),
        float(matrix.reference[r, c]), float(matrix.error[r, c]),
    )  # fmt: skip
    return noisy(level, [entry], float(np.max(np.where(np.isfinite(matrix.error), matrix.error, np.inf))))


def noisy(level: Level, entries: list[Entry], error: float) -> Finding:
    """The reference is the problem."""
    return Finding(
        "ill-conditioned", "undecided",
        "the reference is the problem, not ours: the function's values are too noisy for differences to resolve the slope",
        "The values carry noise beyond rounding: cancellation inside, an iteration that stops early, single precision on the way, or a"
        " badly scaled point. Tighten tolerances, compute in float64, check at a better conditioned point, or scale the arguments.",
        level.order, "", {"reference error": error}, entries,
    )  # fmt: skip


# ── the rules ─────────────────────────────────────────────────────────────────


def _wrong(level: Level, matrix: Matrix, wrong: dict[str, np.ndarray], tolerance: Tolerance) -> list[Finding]:
    modes = [m for m, w in wrong.items() if w.any()]
    if len(modes) == 2 and np.allclose(*(matrix.ours[m] for m in modes), rtol=1e-6, atol=1e-12, equal_nan=True):
        groups = [(" and ".join(modes), modes[0])]
    else:
        groups = [(m, m) for m in modes]
    findings = []
    for title, mode in groups:
        leaves = sorted({matrix.columns[c].leaf for c in np.flatnonzero(wrong[mode].any(axis=0))})
        findings += [_of_leaf(level, matrix, mode, title, wrong[mode], leaf, tolerance) for leaf in leaves]
    return findings


def _of_leaf(
    level: Level, matrix: Matrix, mode: str, title: str, wrong: np.ndarray, leaf: int, tolerance: Tolerance
) -> Finding:
    mine = np.array([c.leaf == leaf for c in matrix.columns])
    ours, reference, error = (a[:, mine] for a in (matrix.ours[mode], matrix.reference, matrix.error))
    marked = wrong[:, mine]
    places = [p for p in matrix.columns if p.leaf == leaf]
    x = np.asarray(level.leaves[leaf])
    others = [
        (level.names[k], matrix.reference[:, [c.leaf == k for c in matrix.columns]])
        for k in range(len(level.leaves)) if k != leaf
    ]  # fmt: skip
    shapes = [
        (n, np.shape(a))
        for n, a in [*zip(level.names, level.leaves, strict=True), *zip(level.outputs, level.centre, strict=True)]
    ]
    digits = max(1e-6, 100 * tolerance.eps ** (2 / 3))
    block = Block(
        ours, reference, marked, digits, matrix.rows, places, level.names[leaf], x, [np.asarray(o) for o in level.centre],
        level.outputs, shapes, len(places) == x.size * (2 if np.iscomplexobj(x) else 1), others,
    )  # fmt: skip
    pattern = recognise(block)
    small = tolerance.rtol is None and tolerance.atol is None and _small(ours, reference, marked)
    with np.errstate(all="ignore"):
        off = (ours - reference)[marked]
        order = np.argsort(np.where(np.isfinite(off), -np.abs(off), -np.inf), kind="stable")[:SHOWN]
    indices = np.argwhere(marked)[order]
    entries = [
        Entry(
            matrix.row_label(r, level.outputs), places[c].label(level.names),
            *(float(a[r, c]) for a in (ours, reference, error)),
        )
        for r, c in indices
    ]  # fmt: skip
    numbers = {
        "wrong": int(marked.sum()), "of": int(marked.size), "mean signed error": float(np.mean(off)),
        "rms error": float(np.sqrt(np.mean(off**2))), "largest error": float(np.max(np.abs(off))),
        "reference": ", ".join(matrix.methods),
    }  # fmt: skip
    verdict: Literal["wrong", "undecided"] = "undecided" if small else "wrong"
    if small:
        kind = "inaccurate"
        message = (
            f"ours and the reference differ by {level.names[leaf]} in late digits only, more than the reference's error"
        )
        advice = (
            "Rounding that is amplified inside does this (an ill-conditioned solve, cancellation), and so does a rule that is an"
            " approximation. rtol and atol say what you accept."
        )
    elif pattern is None:
        kind, message = (
            "mismatch",
            f"ours differs from the reference by {level.names[leaf]}, in no pattern that is known",
        )
        if off.size < 3:
            ratios = " and ".join(
                {f"{o / r:.6g}": None for o, r in zip(ours[marked], reference[marked], strict=True) if r}
            )
            message = f"ours differs from the reference in {off.size} element{'s' if off.size > 1 else ''} by {level.names[leaf]}"
            message += f": {ratios} times the reference" if ratios else ""
        advice = "Above are the elements that differ most. Check the parts of the function one by one, unless the rule is named."
    else:
        kind, message, advice = pattern.kind, pattern.message, pattern.advice
    message += f" ({_bias(off, marked)}{'; ' + matrix.stopped if matrix.stopped else ''})"
    return Finding(
        kind, verdict, message, advice, level.order, level.title(title) if level.path else title, numbers, entries
    )


def _small(ours: np.ndarray, reference: np.ndarray, marked: np.ndarray) -> bool:
    """Whether all differences are smaller than mistakes in rules are. (What single precision does has been looked at before.)"""
    eps = float(np.finfo(np.float64).eps)
    with np.errstate(all="ignore"):
        scale = np.maximum(
            np.abs(reference), 1e-3 * np.max(np.abs(reference), initial=0.0, where=np.isfinite(reference))
        )
        return bool(np.all((np.abs(ours - reference) <= eps ** (2 / 5) * scale)[marked]))


def _bias(off: np.ndarray, marked: np.ndarray) -> str:
    text = f"{off.size} of {marked.size} elements looked at are wrong"
    finite = off[np.isfinite(off)]
    if finite.size < 2:
        return text
    mean, rms = float(np.mean(finite)), float(np.sqrt(np.mean(finite**2)))
    text += f", mean signed error {mean:+.2g}, rms {rms:.2g}"
    if finite.size > 3 and (np.all(finite > 0) or np.all(finite < 0)):
        text += ": all of one sign, a bias"
    return text


def worst_places(
    masks: Sequence[np.ndarray], sizes: Sequence[np.ndarray], limit: int
) -> list[tuple[int, tuple[int, ...]]]:
    """Where the marked elements are largest, as (output, index)."""
    found = []
    for k, (mask, size) in enumerate(zip(masks, sizes, strict=True)):
        marked = np.argwhere(mask)
        weight = np.where(np.isfinite(size[mask]), size[mask], np.inf)
        found += [(float(w), k, tuple(map(int, i))) for w, i in zip(weight, marked, strict=True)]
    found.sort(key=lambda f: -f[0])
    return [(k, i) for _, k, i in found[:limit]]
