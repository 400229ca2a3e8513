"""Our compiled code with two threads against one, in one process, interleaved.

python -m workloads.threads ROUNDS    → JSON on stdout: rows of size, seconds with one and with two
"""

from __future__ import annotations

import json
import sys

from workloads import environment


def main() -> None:
    environment.pin(2)
    import wengert as wg
    from workloads import formulas, libraries, networks, particles
    from workloads.timing import figures, ratio, sampled

    if not hasattr(wg, "set_threads"):
        print(json.dumps({"reason": "this wengert has no set_threads", "rows": []}))
        return
    problems = {
        f"formula, n = {n:,}": formulas.prototype("float64", n) for n in (100, 1000, 10_000, 100_000, 10**6, 10**7)
    }
    problems["Lennard-Jones, N = 500"] = particles.lennard_jones("float64", 500)
    problems["Lennard-Jones, N = 1500"] = particles.lennard_jones("float64", 1500)
    problems["softmax cross-entropy (512, 1000)"] = networks.softmax_cross_entropy("float64", 512, 1000)
    problems["softmax cross-entropy (2048, 1000)"] = networks.softmax_cross_entropy("float64", 2048, 1000)
    rows = []
    for name, problem in problems.items():
        call = libraries.ours(problem)
        libraries.settle(call)

        def on(threads, call=call):
            def run():
                if wg.get_threads() != threads:  # once a turn, not in every call
                    wg.set_threads(threads)
                return call()

            return run

        times = sampled({"1": on(1), "2": on(2)}, int(sys.argv[1]), 4.0)
        sizes = [leaf.size for leaf in libraries.leaves(problem.args)]
        elements = max(sizes)
        seconds = {k: figures(t) for k, t in times.items()}
        rows.append(
            {"name": name, "elements": elements, "seconds": seconds, "ratio": ratio(times["1"], times["2"], "wall")}
        )
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
