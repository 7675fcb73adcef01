"""`doctor`: what would go wrong, before anything is created."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import rich_click as click

from orchestrator.cli import exits, options, say
from orchestrator.codes.table import CODES
from orchestrator.errors import JobError

if TYPE_CHECKING:
    from orchestrator.cli.checkup.finding import Finding


@click.command()
@options.JOB
@options.selecting()
@options.option("--offline", is_flag=True, help="Contact nobody.")
@options.AS_JSON
def doctor(*, job: str, ask: options.Ask, offline: bool, as_json: bool) -> int:
    """Check what a run needs, before anything is created. Asks the service one question that leaves nothing behind."""
    import anyio

    name, findings = anyio.run(_examine, job, ask, offline)
    status = next((exits.ENDS[CODES[f.code].ends] for f in findings if f.code is not None), exits.OK)
    next_step = f"orchestrator {'plan' if status == exits.OK else 'doctor'} {shlex.quote(job)}{ask.typed}"
    if as_json:
        say.document(
            {
                "schema": "orchestrator.doctor/1",
                "job": name,
                "exit": status,
                "checks": [finding.as_json() for finding in findings],
                "next": next_step,
            }
        )
    else:
        _show(findings, status, next_step)
    return status


async def _examine(job: str, ask: options.Ask, offline: bool) -> tuple[str | None, Sequence[Finding]]:
    from orchestrator.cli.checkup import here, there
    from orchestrator.cli.checkup.finding import Finding, told_once, wrong
    from orchestrator.cli.task import load
    from orchestrator.engine.clock import SystemClock

    clock = SystemClock()
    now = clock.now()
    try:
        task = load(job, ask, os.environ, now)
    except JobError as error:
        return None, [*wrong("job file", error)]
    findings = [here.job_file(task, job)]
    account = here.account_of(task)
    needed, plan = await here.plan(task, now, account)
    network = there.network_of(task)
    token, about_token = here.token(task)
    if token is not None:
        say.never([token])
    findings += [
        *here.commands(task, os.environ),
        *here.windows(task, now),
        *here.disk(task, needed),
        *here.state(task, clock),
        *here.history(task),
        *plan,
        *here.limits(task, account, now),
        *about_token,
        *there.proxy(task, network),
        *there.certificates(network),
    ]
    if offline or token is None or any(f.verdict == "wrong" for f in findings if f.check in ("proxy", "certificates")):
        why = "--offline" if offline else "what it takes is missing, see above"
        findings.append(Finding("service", "skipped", f"not asked: {why}"))
    else:
        findings += await there.service(task, network, token, clock, here.pause_left(account, now))
    findings.append(Finding("file host", "skipped", "its address is known only once an export is ready"))
    return task.name, list(told_once(findings))


def _show(findings: Sequence[Finding], status: int, next_step: str) -> None:
    for finding in findings:
        for line in _lines(finding):
            say.result(line)
    wrong = [finding for finding in findings if finding.verdict == "wrong"]
    warnings = sum(finding.verdict == "warning" for finding in findings)
    if wrong:
        say.people(f"{len(wrong)} wrong, {warnings} to look at. A run from here would exit {status}.")
        say.more(finding.code for finding in wrong if finding.code)
        say.people(f"Mend that, then: {next_step}")
    else:
        say.people(
            f"{'Nothing is wrong' if not warnings else f'{warnings} to look at, nothing is wrong'}. Next: {next_step}"
        )


def _lines(finding: Finding) -> Iterable[str]:
    code = f" [{finding.code}]" if finding.code else ""
    told = [say.hanging(f"{finding.verdict:<8} {finding.check:<12} {finding.found}{code}", indent=0, hang=22)]
    told += [
        say.hanging(f"{name}: {text}", indent=22, hang=len(name) + 2)
        for name, text in (("cause", finding.cause), ("hint", finding.hint))
        if text
    ]
    # A path or a name of the job file may hold what a terminal would obey.
    first, *more = map(say.clean_lines, told)
    verdict = len(finding.verdict)
    yield _coloured(first[:verdict], finding.verdict) + first[verdict:]
    yield from more


def _coloured(text: str, verdict: str) -> str:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return click.style(text, fg=_COLOURS.get(verdict), bold=verdict == "wrong")


_COLOURS = {"ok": "green", "warning": "yellow", "wrong": "red"}
