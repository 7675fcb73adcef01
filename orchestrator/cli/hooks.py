"""Hooks: a command of the job file's own that is started once a run has ended.

It gets the run's report as JSON on its standard input and a few variables, and nothing of the API token: the variable that
`api.token` names is taken out of its environment. What it prints goes to people, line by line, behind its name. It never changes
how the run has ended: whatever goes wrong with it is a warning.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from orchestrator.cli import say
from orchestrator.cli.signals import SIGNALS
from orchestrator.errors import JobError, Problem
from orchestrator.job import commands
from orchestrator.job.misfit import Misfit
from orchestrator.progress.words import printable

if TYPE_CHECKING:
    from orchestrator.cli.task import Task

Name = Literal["on_success", "on_failure", "on_parked"]
AFTER_SIGNAL = 3.0
"""Seconds for a hook once a signal has parked the run: whoever sends one kills soon after."""
LAST_WORDS = 1.0
"""Seconds in which what a hook has printed is read on after its end; whom it left behind may hold its output open for ever."""
LONGEST_LINE = 8192

_AFTER: Mapping[str, Name] = {"succeeded": "on_success", "parked": "on_parked"}


def of_report(report: Mapping[str, Any]) -> Name | None:
    """Which hook a run calls for: whatever is neither success nor parking is a failure.

    None for a `submit` that went well: nothing is there yet, and `collect` will call.
    """
    name = _AFTER.get(report["outcome"], "on_failure")
    return None if name == "on_success" and report["command"] == "submit" else name


def resolved(task: Task, environ: Mapping[str, str]) -> dict[Name, list[str]]:
    """The job's hooks with their references replaced. Raises JobError for what can't be: before the run, not after it."""
    found: dict[Name, list[str]] = {}
    problems = []
    names: tuple[Name, ...] = ("on_success", "on_failure", "on_parked")
    for name in names:
        command = getattr(task.hooks, name)
        try:
            if command is not None:
                found[name] = commands.resolve(command, environ, task.folder)
        except Misfit as misfit:
            problems.append(
                Problem(misfit.message, code="job.invalid", file=str(task.file), key=f"hooks.{name}", hint=misfit.hint)
            )
    if problems:
        raise JobError(*problems)
    return found


def is_there(program: str, folder: Path) -> bool:
    """Whether a hook's first word names a program that may be started, as seen from `folder`."""
    return os.access(folder / program, os.X_OK) if "/" in program else shutil.which(program) is not None


def environment(task: Task, environ: Mapping[str, str], report: Mapping[str, Any], status: int) -> dict[str, str]:
    """What a hook may know: the run's own environment without the token, and how the run has ended."""
    return {name: value for name, value in environ.items() if name != task.api.token.variable} | {
        "ORCHESTRATOR_OUTCOME": report["outcome"],
        "ORCHESTRATOR_RUN_ID": report["run_id"] or "",
        "ORCHESTRATOR_JOB": task.name,
        "ORCHESTRATOR_EXIT_CODE": str(status),
    }


def call(
    name: Name, words: Sequence[str], *, stdin: Iterator[str], environ: Mapping[str, str], folder: Path, seconds: float
) -> None:
    """Starts a hook in `folder` and waits for it, for `seconds` at the most."""
    try:
        process = subprocess.Popen(  # noqa: S603  the job file's author says what is started, and no shell reads it
            words,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    except OSError as error:
        why = f"{printable(words[0])}: {error.strerror} (from {say.shown(folder)})"
        say.people(f"warning: hooks.{name} can't be started: {why}")
        return
    except ValueError:
        why = "one of its words holds a NUL, or a letter that this environment's encoding lacks"
        say.people(f"warning: hooks.{name} can't be started: {why}")
        return
    threads = [
        threading.Thread(target=run, args=arguments, name=f"hook {what}", daemon=True)
        for what, run, arguments in (
            ("stdin", _feed, (process.stdin, stdin)),
            ("output", _read, (process.stdout, name)),
        )
    ]
    with _ended_by_signal(process):
        for thread in threads:
            thread.start()
        status = _wait(process, seconds)
        _end(process)  # whom it has left behind in its group
    threads[1].join(LAST_WORDS)
    if status is None:
        say.people(f"warning: hooks.{name} was ended: it took longer than {seconds:.3g} s")
    elif status:
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        say.people(f"warning: hooks.{name} ended {how}; the run's own exit status stays as it is")


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        _end(process)
        process.wait()
        return None


@contextlib.contextmanager
def _ended_by_signal(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Within, whatever signal would end this process ends the hook: the one after that which parked the run, or the first."""
    parked = SIGNALS.first is not None
    with contextlib.nullcontext() if parked else SIGNALS.heard_by(lambda _name: _end(process)):
        SIGNALS.before_the_end = lambda: _end(process)
        try:
            yield
        finally:
            SIGNALS.before_the_end = None


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _feed(stdin: IO[bytes], pieces: Iterator[str]) -> None:
    # A hook need not read; what it leaves unread is nobody's loss.
    with contextlib.suppress(OSError, ValueError), stdin:
        for piece in pieces:
            stdin.write(piece.encode())


def _read(output: IO[bytes], name: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        while line := output.readline(LONGEST_LINE):
            say.people(f"{name}: {line.decode(errors='replace').rstrip()}")
