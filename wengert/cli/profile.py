"""`wengert profile memory | predict | diff | …`: each a function that reads options, calls, and prints."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wengert.cli import profile_run
from wengert.core.errors import WengertError

if TYPE_CHECKING:
    from wengert.profile.footprint.report import MemoryReport


def add(commands: Any) -> None:
    """The parser of `wengert profile`, with those of its own commands."""
    parser = commands.add_parser("profile", help="memory and time of a script or function")
    of = parser.add_subparsers(dest="profile", required=True)
    for name, (said, arguments, _) in COMMANDS.items():
        arguments(of.add_parser(name, help=said, description=said))


def run(options: argparse.Namespace) -> int:
    return COMMANDS[options.profile][2](options)


def _function(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--args", nargs="+", default=[], metavar="EXPR", help="arguments, in Python with np: 'np.ones(3)' 2.0"
    )
    parser.add_argument("--kwargs", nargs="*", default=[], metavar="NAME=EXPR", help="keyword arguments")
    parser.add_argument(
        "--shapes", nargs="+", default=[], metavar="SHAPE", help="instead of --args: random arrays: 3,4 5 ()"
    )
    parser.add_argument("--seed", type=int, default=0, help="of --shapes")
    parser.add_argument(
        "--of", choices=("gradient", "value"), default="gradient",
        help="of what: the value and the gradient by all arguments of floats (the default), or the function as it is",
    )  # fmt: skip
    parser.add_argument("--jit", action="store_true", help="compiled")


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--save", metavar="FILE", help="write the report as JSON, for `wengert profile diff`")
    parser.add_argument("--html", metavar="FILE", help="write it as one self-contained page")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument(
        "--listed", type=int, default=8, metavar="N", help="rows of each kind that are shown (default: 8)"
    )


# ── memory ────────────────────────────────────────────────────────────────────


def _memory_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        help="path/to/script.py (its own arguments after --), package.module:function, or path/to/file.py:function",
    )
    parser.add_argument(
        "--function", default="", metavar="NAME", help="of a script: measure the calls of this function of it"
    )
    _function(parser)
    _output(parser)


def _memory(options: argparse.Namespace) -> int:
    from wengert.profile.footprint import commands

    _folders(options)
    if ":" not in options.target:
        if not options.target.endswith(".py"):
            want = "path/to/script.py, package.module:function, or path/to/file.py:function"
            raise WengertError("target", got=repr(options.target), want=want)
        report, status = commands.memory_of_script(options.target, options.rest, options.function)
        _shown(report, options)
        return status
    if options.function or options.rest:
        raise WengertError("--function, and arguments after --", got=repr(options.target), want="a script beside them")
    _shown(_called(options, commands.memory_of), options)
    return 0


def _called(options: argparse.Namespace, action: Callable[..., MemoryReport]) -> MemoryReport:
    from wengert.verify.checker import target

    found = target.read(
        options.target, args=options.args, kwargs=options.kwargs, shapes=options.shapes, seed=options.seed
    )
    with target.usage(found):
        return action(found.function, found.args, found.kwargs, options.of, options.jit)


def _folders(options: argparse.Namespace) -> None:
    """Those of the files to write: a long run should not fail at its end."""
    for path in filter(None, (options.save, options.html)):
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WengertError(f"file {path}", got=str(error), want="a folder that can be written") from None


def _shown(report: MemoryReport, options: argparse.Namespace) -> None:
    if options.save:
        report.save(options.save)
    if options.html:
        report.html(options.html)
    if options.json:
        print(json.dumps(report.to_dict()))
    else:
        report.show(options.listed)
    for path in filter(None, (options.save, options.html)):
        print(f"wrote {path}", file=sys.stderr)


# ── predict ───────────────────────────────────────────────────────────────────


def _predict_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="package.module:function, or path/to/file.py:function")
    _function(parser)
    _output(parser)


def _predict(options: argparse.Namespace) -> int:
    from wengert.profile.footprint import commands

    _folders(options)
    _shown(_called(options, commands.prediction_of), options)
    return 0


# ── diff ──────────────────────────────────────────────────────────────────────


def _diff_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", help="what --save wrote")
    parser.add_argument("after", help="what --save wrote later")
    parser.add_argument(
        "--threshold", default="5%", metavar="SIZE",
        help="exit with 1 if the peak grew by more: a percentage, or bytes such as 1MiB (default: 5%%)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("--save", metavar="FILE", help="write it as JSON")
    parser.add_argument("--html", metavar="FILE", help="write it as one self-contained page")


def _diff(options: argparse.Namespace) -> int:
    _folders(options)
    try:
        found = _read(options.before).diff(_read(options.after), options.threshold)
    except ValueError as error:
        raise WengertError(str(error)) from None
    if options.save:
        found.save(options.save)
    if options.html:
        found.html(options.html)
    if options.json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        found.show()
    return 1 if found.worse else 0


def _read(path: str) -> MemoryReport:
    from wengert.profile.footprint.report import MemoryReport

    try:
        return MemoryReport.load(path)
    except OSError as error:
        raise WengertError(f"report {path}", got=error.strerror or str(error), want="a file") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "write one with `wengert profile memory … --save FILE`"
        raise WengertError(
            f"report {path}", got=f"no memory report ({error})", want="what --save wrote", fix=fix
        ) from None


#: of each command: what it is for, its options, what it does
COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int]]] = {
    "memory": ("run a script or function, and see every byte by line, op and phase", _memory_arguments, _memory),
    "predict": ("the same of a function, without running it", _predict_arguments, _predict),
    "run": ("run a script, and see where its time goes", profile_run.arguments, profile_run.run),
    "diff": ("compare two saved reports; exits with 1 if the peak grew past the threshold", _diff_arguments, _diff),
}
