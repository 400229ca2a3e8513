"""The command line: `wengert demo | doctor | check | coverage | fuzz | bench | profile | cache`. The work is done elsewhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from wengert.cli import profile
from wengert.core.errors import WengertError


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="wengert", description="Automatic differentiation of your own NumPy and SciPy code."
    )
    commands = top.add_subparsers(dest="command", required=True)

    demo = commands.add_parser("demo", help="fit an ecological model and train a classifier, on real data")
    demo.add_argument("--out", default="out", help="folder for the plots (default: out)")
    demo.add_argument("--json", action="store_true", help="print the results for a machine")

    doctor = commands.add_parser("doctor", help="versions, CPU, BLAS, extras, and what works here")
    doctor.add_argument("--json", action="store_true", help="print the report for a machine")

    check = commands.add_parser("check", help="check the derivatives of a function of yours against its values")
    check.add_argument("function", help="package.module:function, or path/to/file.py:function")
    check.add_argument(
        "--args", nargs="+", default=[], metavar="EXPR", help="arguments, in Python with np: 'np.ones(3)' 2.0"
    )
    check.add_argument(
        "--kwargs", nargs="*", default=[], metavar="NAME=EXPR", help="keyword arguments, not differentiated"
    )
    check.add_argument(
        "--shapes", nargs="+", default=[], metavar="SHAPE", help="instead of --args: random arrays: 3,4 5 ()"
    )
    check.add_argument("--order", type=int, default=2, help="highest order of derivative to check (default: 2)")
    check.add_argument("--modes", default="fwd,rev", help="of fwd,rev (default: both)")
    check.add_argument("--method", default="auto", help="auto, differences, 'complex step', extended, mpmath")
    check.add_argument(
        "--rtol", type=float, help="relative tolerance (default: from the dtype and the reference's own error)"
    )
    check.add_argument("--atol", type=float, help="absolute tolerance (default: likewise)")
    check.add_argument("--eps", type=float, help="first step of the differences")
    check.add_argument("--seed", type=int, default=0, help="of the random directions, and of --shapes")
    check.add_argument("--json", action="store_true", help="print the report for a machine")

    coverage = commands.add_parser(
        "coverage", help="execute every op in every mode, dtype and layout; the evidence as a table or page"
    )
    coverage.add_argument("--quick", action="store_true", help="one sample of each op, in under a minute")
    coverage.add_argument("--match", default="", help="ops (or names) that contain this")
    coverage.add_argument("--jobs", type=int, help="processes (default: the CPUs this process may use)")
    coverage.add_argument("--html", metavar="FILE", help="write the matrix as one self-contained page")
    coverage.add_argument("--markdown", metavar="FILE", help="write it as Markdown")
    coverage.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write it (or the table asked for) as JSON; without FILE, print it",
    )
    coverage.add_argument(
        "--baseline", metavar="FILE", help="write its statuses alone, a line per op, to keep in a repository"
    )
    coverage.add_argument(
        "--against", metavar="OLD.json", help="compare with an earlier matrix, or a baseline; regressions exit with 1"
    )
    what = coverage.add_mutually_exclusive_group()
    what.add_argument("--all", action="store_true", help="the matrix, and all of the following in its data and page")
    what.add_argument(
        "--api",
        action="store_true",
        help="instead: the names of NumPy, SciPy and the array API, and what becomes of each",
    )
    what.add_argument(
        "--gaps", action="store_true", help="instead: what is missing, ranked by how often real code uses it"
    )
    what.add_argument(
        "--mutants", action="store_true", help="instead: put wrong rules in, and count how many the checks catch"
    )
    what.add_argument(
        "--peers", action="store_true", help="instead: derivatives beside JAX's and PyTorch's, where they are installed"
    )
    what.add_argument(
        "--degenerate",
        action="store_true",
        help="instead: linear algebra at degenerate and ill-conditioned points, against 80 digits",
    )
    what.add_argument(
        "--accuracy",
        action="store_true",
        help="instead: derivatives of special functions against mpmath, worst ulp of each",
    )
    coverage.add_argument(
        "--only", choices=("differentiable", "constant", "refused", "blank"), help="with --api: rows of one status"
    )
    coverage.add_argument("--run", action="store_true", help="with --api: execute the examples, and show which pass")

    fuzz = commands.add_parser("fuzz", help="random programs and random calls of ops, checked until the time is over")
    fuzz.add_argument("--minutes", type=float, default=1.0, help="how long (default: 1)")
    fuzz.add_argument("--seed", type=int, default=0, help="where to start; a run is repeatable but for how far it gets")
    fuzz.add_argument("--only", choices=("programs", "calls"), help="one of the two kinds")
    fuzz.add_argument("--match", default="", help="calls: ops whose name contains this")
    fuzz.add_argument("--jobs", type=int, help="processes (default: the CPUs this process may use)")
    fuzz.add_argument(
        "--out", default="out/fuzz", help="folder for what was found, as scripts to run (default: out/fuzz)"
    )
    fuzz.add_argument("--json", action="store_true", help="print the summary for a machine")

    bench = commands.add_parser("bench", help="time a function of yours, beside others or an earlier measurement")
    bench.add_argument("function", help="package.module:function, or path/to/file.py:function")
    bench.add_argument("--args", nargs="+", default=[], metavar="EXPR", help="arguments, in Python with np")
    bench.add_argument("--kwargs", nargs="*", default=[], metavar="NAME=EXPR", help="keyword arguments")
    bench.add_argument("--shapes", nargs="+", default=[], metavar="SHAPE", help="instead of --args: random arrays")
    bench.add_argument(
        "--modes",
        default="value",
        help="of value,grad,jit,jit-grad: what is measured, the first is compared with the others",
    )
    bench.add_argument(
        "--against", nargs="+", default=[], metavar="FUNCTION", help="other functions of these arguments"
    )
    bench.add_argument("--seconds", type=float, default=1.0, help="of measuring per function (default: 1)")
    bench.add_argument("--rounds", type=int, help="that many rounds, instead")
    bench.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: time of processors, less disturbed"
    )
    bench.add_argument("--threshold", type=float, default=0.05, help="relative change that counts (default: 0.05)")
    bench.add_argument("--no-memory", action="store_true", help="do not measure the peak of memory")
    bench.add_argument("--seed", type=int, default=0, help="of --shapes, and of the order within rounds")
    bench.add_argument("--save", metavar="FILE", help="write the report as JSON")
    bench.add_argument(
        "--baseline", nargs="?", const="", metavar="FILE",
        help="compare with the report in FILE (default: this machine's own, in .wengert/benchmarks), and exit with 1 if slower;"
        " it is written if it is not there",
    )  # fmt: skip
    bench.add_argument("--update", action="store_true", help="write the baseline anew")
    bench.add_argument("--anyway", action="store_true", help="compare with a baseline of another machine")
    bench.add_argument("--json", action="store_true", help="print the report for a machine")

    profile.add(commands)

    cache = commands.add_parser("cache", help="machine code kept on disk: how much, and where; or delete it")
    cache.add_argument("action", nargs="?", choices=("info", "clear"), default="info")
    cache.add_argument("--json", action="store_true", help="print the result for a machine")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. What follows `--` is for the user's own script."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    given = list(sys.argv[1:] if argv is None else argv)
    end = given.index("--") if "--" in given else len(given)
    options = parser().parse_args(given[:end])
    options.rest = given[end + 1 :]
    import importlib

    command = importlib.import_module(f"wengert.cli.{options.command}")
    try:
        return command.run(options)
    except WengertError as error:
        print(f"wengert {options.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `| head` has seen enough
        sys.stdout = None
        return 0
    except KeyboardInterrupt:
        return 130
