"""Names that wengert does not differentiate, ranked by how often real code uses them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from wengert.verify.gaps import aside
from wengert.verify.gaps.limits import Limit, limits
from wengert.verify.gaps.names import Name, NoName, Standing, canonical, method_kind, method_standing, standing
from wengert.verify.gaps.sources import Progress, Reading, Uses, read

PACKAGES = ("numpy", "scipy", "sklearn")
SERVED = ("differentiable", "constant")


@dataclass(frozen=True)
class Gap:
    """A name, and how often it is used.

    uses    outside the part of NumPy or SciPy that the name is of: `scipy.fft.fft` in scipy.signal counts, in scipy.fft not
    by      the same, per package that was read
    tests   how many of `uses` are in tests
    own     uses in the part that the name is of, its own tests included
    also    for a method: a common type other than ndarray that has it too, so that `uses` is an upper bound
    """

    name: str
    space: str
    uses: int
    by: dict[str, int]
    tests: int
    own: int
    status: str
    reason: str = ""
    remedy: str = ""
    also: str = ""

    @property
    def all(self) -> int:
        return self.uses + self.own


@dataclass
class Aside:
    """Uses of names that are ranked apart, for one reason."""

    reason: str
    uses: int = 0
    names: Counter[str] = field(default_factory=Counter)


@dataclass
class Survey:
    """Every use that was read, in one of: `gaps`, `served`, `ambiguous` (methods), `aside`.

    gaps         what is missing, the next to add first
    ambiguous    methods that would be gaps if their receiver were known to be an array
    served       differentiable names, and constants with a stated reason
    limits       what served names refuse: parameters, modes
    aside        no derivative possible or needed, or no name: with reasons
    files        per package; `unreadable`: path → why
    total        all uses
    """

    packages: tuple[str, ...]
    gaps: list[Gap]
    ambiguous: list[Gap]
    served: list[Gap]
    limits: list[Limit]
    aside: list[Aside]
    files: dict[str, int]
    unreadable: dict[str, str]
    total: int


def survey(packages: Sequence[str] = PACKAGES, jobs: int | None = None, progress: Progress | None = None) -> Survey:
    """Read the sources of `packages`, and say of every use of NumPy's and SciPy's names what becomes of it.

    jobs       processes (default: the CPUs this process may use); one core takes about 15 s for the default packages
    progress   called with (files read, files in all)

    Raises MissingPackage.
    """
    return judged(read(packages, jobs, progress), packages)


def judged(reading: Reading, packages: Sequence[str]) -> Survey:
    """What becomes of each use that was read."""
    counted, apart = _by_name(reading)
    found = Survey(tuple(packages), [], [], [], [], [], reading.files, reading.unreadable, 0)
    for name, uses in counted.items():
        _place(found, apart, _count(name, uses, standing(name)), name)
    for method, uses in reading.methods.items():
        name = Name(f"ndarray.{method}", "ndarray", None)
        row = replace(_count(name, uses, method_standing(method)), also=method_kind(method))
        _place(found, apart, row, name)
    for rows in (found.gaps, found.ambiguous, found.served):
        rows.sort(key=lambda g: (-g.uses, -g.own, g.name))
    found.aside = sorted(apart.values(), key=lambda a: -a.uses)
    found.limits = limits({g.name: g.uses for g in found.served})
    found.total = sum(g.all for g in (*found.gaps, *found.ambiguous, *found.served)) + sum(a.uses for a in found.aside)
    return found


def gaps(packages: Sequence[str] = PACKAGES, jobs: int | None = None, progress: Progress | None = None) -> list[Gap]:
    """`survey`'s gaps alone: the names of which a derivative would make sense and is missing, most used first."""
    return survey(packages, jobs, progress).gaps


def _by_name(reading: Reading) -> tuple[dict[Name, Uses], dict[str, Aside]]:
    """Uses per public name, and those of dotted names that are none."""
    counted: dict[Name, Uses] = defaultdict(Uses)
    apart: dict[str, Aside] = {}
    known: dict[str, Name] = {}
    for dotted, uses in reading.names.items():
        name = canonical(dotted)
        if isinstance(name, NoName):
            _set_aside(apart, name.why, dotted, _sum(uses))
            continue
        into = counted[known.setdefault(name.name, name)]
        into.library.update(uses.library)
        into.tests.update(uses.tests)
    return counted, apart


def _sum(uses: Uses) -> int:
    return uses.library.total() + uses.tests.total()


def _count(name: Name, uses: Uses, status: Standing) -> Gap:
    owner = "numpy" if name.space == "ndarray" else ".".join(name.space.split(".")[:2])
    owner = "numpy" if owner == "numpy.lib" else owner
    by: Counter[str] = Counter()
    tests = own = 0
    for counts, in_tests in ((uses.library, False), (uses.tests, True)):
        for (package, home), n in counts.items():
            if home == owner:
                own += n
            else:
                by[package] += n
                tests += n if in_tests else 0
    return Gap(name.name, name.space, by.total(), dict(by), tests, own, status.status, status.reason, status.remedy)


def _place(found: Survey, apart: dict[str, Aside], row: Gap, name: Name) -> None:
    if row.status in SERVED:
        found.served.append(row)
    elif why := aside.reason(name, Standing(row.status)):
        _set_aside(apart, why, row.name, row.all)
    else:
        (found.ambiguous if row.also else found.gaps).append(row)


def _set_aside(apart: dict[str, Aside], why: str, name: str, uses: int) -> None:
    group = apart.setdefault(why, Aside(why))
    group.uses += uses
    group.names[name] += uses
