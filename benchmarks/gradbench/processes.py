"""Tools as processes: those that speak the suite's protocol, and its C++ programs, which take a file."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

from .suite import Workload

Timings = list[dict[str, Any]]


class Failed(Exception):
    """A tool gave no output. `unexpected`: though it has such an eval."""

    def __init__(self, message: str, unexpected: bool = True) -> None:
        super().__init__(message)
        self.unexpected = unexpected


class Process(Protocol):
    def run(self, workload: Workload, seconds: float) -> tuple[Any, Timings]: ...

    def close(self) -> None: ...


def timed(workload: Workload, seconds: float) -> Any:
    """The input, with how often to run: a first run may have to ask the system for memory."""
    if not isinstance(workload.input, dict):
        return workload.input
    return workload.input | {"min_runs": 2, "min_seconds": seconds}


class Worker:
    """A process that speaks the protocol; begun anew after one that took too long."""

    def __init__(self, command: list[str], env: dict[str, str], core: int, limit: float) -> None:
        self.command, self.env, self.core, self.limit = command, env, core, limit
        self.process: subprocess.Popen[bytes] | None = None
        self.id = 0
        self.lacking: set[str] = set()

    def started(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            self.process = subprocess.Popen(
                self.command, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                preexec_fn=lambda: os.sched_setaffinity(0, {self.core}),
            )  # fmt: skip
        return self.process

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        process = self.started()
        assert process.stdin and process.stdout
        self.id += 1
        try:
            process.stdin.write(json.dumps({"id": self.id} | message).encode() + b"\n")
            process.stdin.flush()
            line = self.line(process)
        except (BrokenPipeError, EOFError):
            self.close()
            raise Failed("ended before it answered") from None
        response = json.loads(line)
        if response["id"] != self.id:
            raise Failed(f"answered {response['id']}, not {self.id}")
        return response

    def line(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout
        pieces, end = [], time.monotonic() + self.limit
        while not (pieces and pieces[-1].endswith(b"\n")):
            if not select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
                self.close()
                raise Failed(f"over {self.limit:g} s")
            piece = os.read(process.stdout.fileno(), 1 << 20)
            if not piece:
                raise EOFError
            pieces.append(piece)
        return b"".join(pieces)

    def run(self, workload: Workload, seconds: float) -> tuple[Any, Timings]:
        if workload.eval in self.lacking:
            raise Failed("has no such eval", unexpected=False)
        if not self.ask({"kind": "define", "module": workload.eval})["success"]:
            self.lacking.add(workload.eval)
            raise Failed("has no such eval", unexpected=False)
        asked = {"kind": "evaluate", "module": workload.eval, "function": workload.function}
        response = self.ask(asked | {"input": timed(workload, seconds)})
        if not response["success"]:
            raise Failed(response["error"].strip().splitlines()[-1])
        return response["output"], response["timings"]

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    if pipe:
                        pipe.close()
        self.process = None


class Manual:
    """The suite's C++ programs with derivatives by hand: one for each eval."""

    def __init__(self, checkout: Path, core: int, limit: float) -> None:
        self.folder, self.core, self.limit = checkout / "tools" / "manual" / "bin", core, limit

    def run(self, workload: Workload, seconds: float) -> tuple[Any, Timings]:
        program = self.folder / workload.eval
        if not program.exists():
            raise Failed("is not there", unexpected=False)
        with tempfile.NamedTemporaryFile("w") as file:
            json.dump(timed(workload, seconds), file)
            file.flush()
            try:
                done = subprocess.run(
                    [str(program), file.name, workload.function], capture_output=True, text=True, timeout=self.limit,
                    preexec_fn=lambda: os.sched_setaffinity(0, {self.core}),
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise Failed(f"over {self.limit:g} s") from None
        if done.returncode:
            raise Failed(f"ended with {done.returncode}")
        output, *timings = done.stdout.splitlines()
        return json.loads(output), [json.loads(t) for t in timings]

    def close(self) -> None:
        pass
