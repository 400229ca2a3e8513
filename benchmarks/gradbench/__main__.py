"""python -m benchmarks.gradbench: speak the suite's protocol on standard input and output."""

import argparse
import contextlib
import sys

import wengert as wg

from .evals import functions
from .tool import Tool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    wg.set_threads(parser.parse_args().threads)
    out, sys.stdout = sys.stdout, sys.stderr  # what user code prints must not come between the responses
    Tool("wengert", functions).serve(sys.stdin, out)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
