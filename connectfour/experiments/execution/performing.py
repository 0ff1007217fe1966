"""Carries out one step: its command as a process, with a log, and a receipt if it succeeds."""

from __future__ import annotations

import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import IO, Any

from connectfour.errors import ExperimentError
from connectfour.experiments.execution.graph import PROGRAM, Step
from connectfour.experiments.execution.receipts import Receipts
from connectfour.experiments.layout import ExperimentFolder
from connectfour.system.machine import CORES, usable_cores

_SECONDS_PER_PROBE = 0.1
_HEADER = "$ "
_THREADS = "OMP_NUM_THREADS"
# What Ray sets for the worker that runs a step; a command with a Ray of its own must not take it for the worker's.
_OF_THE_WORKER = ("RAY_ADDRESS", "RAY_JOB_ID", "RAY_RAYLET_PID", "RAY_NODE_ID", "RAY_WORKER_ID", "RAY_SESSION_DIR")


class StepFailedError(Exception):
    """A step's command failed; the message says how, in half a sentence.

    Attributes:
        exit_code: that of the command; 128 and the signal's number if one ended it.
    """

    def __init__(self, reason: str, exit_code: int = ExperimentError.exit_code) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


def perform(step: Step, folder: Path, ray_address: str | None = None, retries: int = 0) -> None:
    """Carry out a step and write its receipt.

    A KeyboardInterrupt is passed on to the command, which may end at a point to resume from.

    Args:
        step: the step.
        folder: the experiment's folder.
        ray_address: the Ray that the command joins; by default it starts one if it needs one.
        retries: how often it is tried again if it fails.

    Raises:
        StepFailedError: the command failed each time, or did not write what it should.
    """
    for attempt in range(1, retries + 2):
        try:
            _attempt(step, folder, ray_address, attempt)
        except StepFailedError:
            if attempt > retries:
                raise
        else:
            return


def _attempt(step: Step, folder: Path, ray_address: str | None, number: int) -> None:
    files = ExperimentFolder(folder)
    receipts = Receipts(files)
    receipts.begin(step)
    began = time.monotonic(), datetime.now(UTC)
    with files.log(step.name).open("ab") as log:
        header = (
            f"{_HEADER}{shlex.join([PROGRAM, *step.command])}   # attempt {number}, {began[1]:%Y-%m-%d %H:%M:%S} UTC"
        )
        log.write(f"{header}\n".encode())
        log.flush()
        code = _run(step, folder, log, ray_address)
    if code:
        raise StepFailedError(_how(code, files.log(step.name)), code if code > 0 else 128 - code)
    missing = receipts.missing(step)
    if missing:
        raise StepFailedError(f"it did not write {', '.join(missing)}")
    facts = {
        "machine": describe_machine(),
        "began": began[1].isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began[0], 2),
        "exit_code": code,
        "attempts": number,
    }
    receipts.write(step, facts)


def _run(step: Step, folder: Path, log: IO[bytes], ray_address: str | None) -> int:
    """Run a step's command to its end and return its exit code."""
    process = subprocess.Popen(  # noqa: S603  # our own command
        [sys.executable, "-P", "-m", PROGRAM, *step.command],
        cwd=folder,
        env=environment_of(step, ray_address),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C reaches it through this process alone
    )
    try:
        return _wait(process)
    except KeyboardInterrupt:
        process.terminate()  # not an interrupt: Ray's workers block it, and so do their children
        _wait(process)
        raise
    finally:
        process.kill()


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process; in short steps, because Ray's way to cancel a task does not end a system call."""
    while True:
        try:
            return process.wait(_SECONDS_PER_PROBE)
        except subprocess.TimeoutExpired:
            continue


def environment_of(step: Step, ray_address: str | None) -> Mapping[str, str]:
    """Return the environment of a step's command: the cores it holds, and which Ray it uses."""
    kept = {name: value for name, value in os.environ.items() if name not in _OF_THE_WORKER}
    own = {"PYTHONUNBUFFERED": "1"}
    if ray_address:
        return {**kept, **own, "RAY_ADDRESS": ray_address}
    cores = str(ceil(step.cores))
    # Ray sets the number of threads for each of its processes; a command without Ray would take all cores.
    threads = {_THREADS: cores} if step.ray == "none" else {}
    return {**threads, **kept, **own, CORES: cores}


def _how(code: int, log: Path) -> str:
    """Return how a command failed: the sentence that it printed last, or the signal that ended it."""
    if code < 0:
        known = {int(each): each.name for each in signal.Signals}
        return f"it was ended by {known.get(-code, f'signal {-code}')}"
    last = last_line(log)
    return last.removeprefix(f"{PROGRAM}: ") if last.startswith(f"{PROGRAM}: ") else f"exit code {code}"


def last_line(log: Path) -> str:
    """Return the last line that a step has printed in its latest attempt; empty if there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 4096))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return "" if last.startswith(_HEADER) else last


def describe_machine() -> dict[str, Any]:
    """Return what this machine is, as far as it matters for speed and results."""
    return {
        "processor": _processor(),
        "cores": usable_cores(),
        "bfloat16": _has_bfloat16(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("ray", "torch")},
    }


def _cpu_facts() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


def _processor() -> str:
    names = (line.partition(":")[2].strip() for line in _cpu_facts().splitlines() if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _has_bfloat16() -> bool:
    """Return whether the processor has instructions for bfloat16, which training then uses."""
    facts = _cpu_facts()
    return "avx512_bf16" in facts or "amx_bf16" in facts or "bf16" in facts.split()
