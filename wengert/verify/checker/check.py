"""`check_grads`: the derivatives of a user's function, checked against its values, with a diagnosis.

First, random projections: one direction v, one cotangent u, and a reference for Jv, which costs a number of
evaluations that does not depend on the sizes. What looks suspicious there is confirmed column by column (`columns`), looked
at from both sides (`sides`), and named (`diagnosis`, `patterns`). `structure` adds the identities that hold without a reference.

Source  Central differences: Ridders, Adv. Eng. Software 4 (1982). Projections: as in PyTorch's fast gradcheck.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.api import config
from wengert.core.source import fold
from wengert.verify.checker.blame import blame, finding
from wengert.verify.checker.comparison import Tolerance, epsilon, largest
from wengert.verify.checker.report import Comparison, Finding, GradientCheckError, GradientCheckWarning, Report
from wengert.verify.checker.subject import Level, Subject, same
from wengert.verify.checker.suspicion import Directions, Fast
from wengert.verify.reference import Method, NoReference

MODES = {"fwd": "forward", "rev": "reverse", "forward": "forward", "reverse": "reverse"}
METHODS = ("auto", "differences", "complex step", "extended", "mpmath")
STEP = 1e-2  # the first, in units of the arguments
POINT = {"kink", "discontinuity", "vertical", "edge", "unclear"}  # what a point may be that has no derivative


def check_grads(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] | None = None,
    order: int = 2,
    modes: Sequence[str] = ("fwd", "rev"),
    rtol: float | None = None,
    atol: float | None = None,
    eps: float | None = None,
    method: Method = "auto",
    rng: np.random.Generator | int | None = None,
    raise_exception: bool = True,
    **kwargs: Any,
) -> Report:
    """Check the derivatives of `f` at a point against differences of its values.

    Parameters
    ----------
    f : callable
        Takes and returns arrays and numbers, in any pytrees; at least one float or complex in, and one out.
    args, kwargs : the point. Keyword arguments are not differentiated.
    argnums : the positional arguments to differentiate; by default all. Leaves that are no floats are constants.
    order : highest order of derivative
    modes : of "fwd" and "rev"; orders above the first take every combination
    rtol, atol : in place of the tolerance that follows from the dtype (see docs/checking)
    eps : the first step of the differences, relative to the arguments' size (default 1e-2; it is halved up to 27 times)
    method : "auto", "differences", "complex step", "extended" (np.longdouble) or "mpmath"
    rng : a generator or a seed, for the random directions (default 0)
    raise_exception : raise GradientCheckError if a derivative is wrong, and warn if something could not be decided

    Returns
    -------
    Report : true if all is right; `verdict`, `findings`, `comparisons`; prints itself; `to_dict()`.

    Cost: some 25 evaluations of `f`, 20 of its derivatives, and as many again of second derivatives, whatever the
    sizes; a multiple of that only where something is wrong.

    Raises
    ------
    GradientCheckError : a derivative is wrong.
    What differentiating `f` raises, with a note of the mode and the order, unless `raise_exception` is False.
    """
    began = time.perf_counter()
    chosen = tuple(_mode(m) for m in modes)
    if not chosen or order < 1:
        raise ValueError(
            f"check_grads: got modes={tuple(modes)!r}, order={order}; want some of 'fwd', 'rev', and an order of 1 or more"
        )
    if method not in METHODS:
        raise ValueError(f"check_grads: got method={method!r}; want one of {', '.join(map(repr, METHODS))}")
    generator = rng if isinstance(rng, np.random.Generator) else np.random.default_rng(0 if rng is None else rng)
    checker = _Checker(Subject(f, args, kwargs, argnums), order, chosen, (rtol, atol, eps or STEP, method), generator)
    report = checker.run(raise_exception)
    report.seconds = time.perf_counter() - began
    if raise_exception:
        if report.verdict == "wrong":
            raise GradientCheckError(report)
        if report.verdict == "undecided" or any(n.kind == "mutation" for n in report.findings):
            warnings.warn(str(report), GradientCheckWarning, stacklevel=2)
    return report


def _mode(mode: str) -> str:
    if mode not in MODES:
        raise ValueError(f"check_grads: got the mode {mode!r}; want 'fwd' or 'rev'")
    return MODES[mode]


class _Checker:
    def __init__(
        self, subject: Subject, order: int, modes: tuple[str, ...], options: tuple[Any, ...], rng: np.random.Generator
    ) -> None:
        self.subject, self.order, self.modes, self.rng = subject, order, modes, rng
        self.rtol, self.atol, self.step, self.method = options
        self.report = Report(subject.title, _described(subject), order, modes)

    def run(self, loud: bool) -> Report:
        subject, report = self.subject, self.report
        with np.errstate(all="ignore"):
            centre = subject.first()
            if self._steady(centre):
                level = Level(subject.plain, subject.traced, subject.leaves, subject.names, subject.outputs, centre)
                self._levels(level, loud)
                report.derivatives = level.counts[0]
        if subject.left_out:
            text = f"results without a derivative: {', '.join(subject.left_out)}"
            report.findings.append(Finding("left out", "note", text))
        report.evaluations = subject.calls
        return report

    def _steady(self, centre: list[Any]) -> bool:
        """Whether the function is a function: the same values again, arguments left alone."""
        subject, findings = self.subject, self.report.findings
        if subject.mutated:
            findings.append(Finding(
                "mutation", "note", f"the function writes into its arguments: {', '.join(subject.mutated)}",
                "Called plainly it changes the caller's array; called by grad, jvp or vjp it does not, so the two see different points"
                " afterwards. Work on a copy (x = x.copy()). The checks below were made on copies.",
            ))  # fmt: skip
        again = subject.plain(*(np.array(x)[()] for x in subject.leaves))
        if all(same(a, b) for a, b in zip(again, centre, strict=True)):
            return True
        off = max(
            largest(np.asarray(a) - np.asarray(b)) / (largest(b) or 1.0) for a, b in zip(again, centre, strict=True)
        )
        if off <= 1e-12:
            findings.append(
                Finding("nondeterministic", "note", f"two equal calls differ by {off:.1g}, as sums in varying order do")
            )
            return True
        findings.append(Finding(
            "nondeterministic", "undecided", f"two equal calls give different values (relative difference {off:.2g})",
            "Differences of such a function mean nothing. Make the randomness an argument: pass the noise itself, or a seed from which"
            " the function makes its own generator; do not keep state between calls.",
            numbers={"difference": off},
        ))  # fmt: skip
        return False

    def _levels(self, level: Level, loud: bool) -> None:
        """This order, and while all is well the next."""
        levels = [level]
        for order in range(1, self.order + 1):
            following: list[Level] = []
            for one in levels:
                try:
                    with config.override(debug_nans=False):
                        directions = self._check(one)
                        if order < self.order:
                            following += [one.derived(m, directions.v, directions.u) for m in self.modes]
                except NoReference:
                    raise
                except Exception as error:
                    if loud:
                        error.add_note(_refusal(one, self.modes))
                        fold(error)
                        raise
                    self.report.findings.append(Finding(
                        "refused", "undecided", f"{type(error).__name__}: {error}", _refusal(one, self.modes), one.order,
                    ))  # fmt: skip
                    return
            if any(f.level == "wrong" and f.order <= order for f in self.report.findings):
                break
            if order < self.order and any(f.level == "undecided" and f.kind in POINT for f in self.report.findings):
                self.report.findings.append(Finding(
                    "not checked", "note", f"derivatives above order {order}: the function has none at this point", order=order + 1,
                ))  # fmt: skip
                break
            levels = following
        if self.report.verdict == "wrong":
            self._summary(order)  # pyright: ignore[reportPossiblyUnboundVariable]

    # ── one level ──

    def _check(self, level: Level) -> Directions:
        tolerance = Tolerance(epsilon([*level.leaves, *level.centre]), self.rtol, self.atol)
        before = [np.array(x) for x in level.leaves]
        fast = Fast(level, self.modes, tolerance, self.method, self.step, self.rng)
        structure = fast.structure
        if not all(same(a, b) for a, b in zip(before, level.leaves, strict=True)):
            text = "differentiating changed the arguments"
            self.report.findings.append(Finding("mutation", "wrong", text, "This is a bug of wengert's.", level.order))
        structure.linear()
        found = structure.findings[:]
        if not any(f.kind == "values" for f in found):
            found += fast.explained()
        self._add(found)
        levels = {f.level for f in found}
        for mode, gap in fast.gaps.items():
            wrong = any(f.level == "wrong" and (not f.mode or mode in f.mode) for f in found)
            status = "wrong" if wrong else "undecided" if "undecided" in levels else "right"
            title, method = level.title(mode), fast.slope.method
            self.report.comparisons.append(
                Comparison(level.order, title, method, gap.relative(), gap.resolution(), status)
            )
        if level.order == 1 and any(f.level == "wrong" and f.kind not in POINT | {"values"} for f in found):
            self.report.findings[:0] = _blamed(level, fast.d.v)
        if "wrong" not in levels:
            if level.order == 1:
                structure.first()
                if self.order > 1 and not any(f.kind in POINT for f in found):
                    structure.second()
            self._add([f for f in structure.findings if f not in found])
        self.report.properties += structure.properties
        return fast.d

    def _add(self, findings: list[Finding]) -> None:
        """Into the report, but for what derivatives of one order say alike of the point."""
        said = {(f.kind, f.order) for f in self.report.findings if f.level == "undecided"}
        said |= {(kind, order + 1) for kind, order in said if kind == "dtype"}
        self.report.findings += [f for f in findings if f.level != "undecided" or (f.kind, f.order) not in said]

    def _summary(self, order: int) -> None:
        """What is worth saying about where the mistakes are, and where they are not."""
        report = self.report
        here = [c for c in report.comparisons if c.order == order]
        if order > 1:
            report.findings.insert(0, Finding(
                "second order only" if order == 2 else f"order {order} only", "wrong",
                f"derivatives of order {order - 1} are right, those of order {order} are wrong",
                "A rule that is right once computes with something that no derivative flows through: a residual that was detached"
                " (stop_gradient, .item(), np.array of a value), or a custom rule whose own derivative was not meant.",
                order,
            ))  # fmt: skip
        rules = {"reverse": "pullback (vjp)", "forward": "tangent rule (jvp)"}
        for mode, other in (("reverse", "forward"), ("forward", "reverse")):
            ours = {c.status for c in here if c.mode.startswith(mode)}
            theirs = {c.status for c in here if c.mode.startswith(other)}
            if (
                ours == {"wrong"}
                and theirs == {"right"}
                and any(f.level == "wrong" and f.kind not in POINT for f in report.findings)
            ):
                report.findings.insert(0, Finding(
                    f"{mode} only", "wrong", f"{other} mode is right here, {mode} mode is wrong",
                    f"The mistake is in a {rules[mode]}: an op's two rules are no transposes of each other.",
                    order, mode,
                ))  # fmt: skip


def _blamed(level: Level, tangents: list[Any]) -> list[Finding]:
    """Which op is at fault, as far as the function can be run op by op."""
    try:
        return [finding(blame(level, tangents), level.order)]
    except Exception as error:
        text = f"the ops on the way could not be checked one by one: {type(error).__name__}: {error}".splitlines()[0]
        return [Finding("wrong rule", "note", text)]


def _refusal(level: Level, modes: Sequence[str]) -> str:
    where = f" ({level.title(' and '.join(modes))} mode)" if level.path else ""
    less = f"order={level.order - 1}" if level.order > 1 else "modes=('fwd',) or ('rev',)"
    return f"wengert.verify: while checking order {level.order}{where}; {less} checks without it"


def _described(subject: Subject) -> str:
    """`x: float64[3], w: float32[]`."""
    kinds = (
        f"{n}: {np.asarray(x).dtype}{list(np.shape(x))}" for n, x in zip(subject.names, subject.leaves, strict=True)
    )
    shown = list(kinds)
    return ", ".join(shown[:6]) + (f", … {len(shown)} in all" if len(shown) > 6 else "")
