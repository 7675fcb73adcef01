"""Checks of what is elsewhere: the proxy, the certificates, the service; with one question that creates nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import anyio
from yarl import URL

from orchestrator.api.client import LoopClient
from orchestrator.api.network import Network, Proxies, passwords, tls_context
from orchestrator.api.probe import Probed
from orchestrator.cli import say
from orchestrator.cli.checkup.finding import Finding, ok, warning, wrong
from orchestrator.cli.task import Task
from orchestrator.engine.clock import SystemClock
from orchestrator.engine.identity import REFUSALS
from orchestrator.engine.ports import Broken, Denied, NotFound, Throttled
from orchestrator.errors import OrchestratorError, RefusedError, UnreachableError
from orchestrator.job.scalars import ProxyUrl
from orchestrator.journal.account import JournalAccount
from orchestrator.journal.lock import JobLock
from orchestrator.journal.machine import Machine, look, place
from orchestrator.journal.reader import is_of_this_version, read_snapshot
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.progress.words import count, spelled

SKEW = 60.0
"""Seconds by which a clock may be off before signed URLs and the edges of windows suffer."""
SOON = 14
"""Days before its end from which a certificate is spoken of."""


def network_of(task: Task) -> Network:
    setting = task.network.proxy
    proxy = setting.url if isinstance(setting, ProxyUrl) else setting
    say.never(passwords(proxy))
    ca_file = str(task.folder / task.network.ca_file) if task.network.ca_file else None
    return Network(timeout=task.network.timeout, proxy=proxy, ca_file=ca_file)


def proxy(task: Task, network: Network) -> Iterator[Finding]:
    try:
        found = Proxies(network.proxy).for_url(URL(task.api.base_url))
    except OrchestratorError as error:
        yield from wrong("proxy", error)
        return
    if found is not None:
        whence = "the environment" if network.proxy == "env" else "network.proxy"
        yield ok("proxy", f"{found.url}, from {whence}{', with credentials' if found.authorization else ''}")
    else:
        yield ok("proxy", f"none: {URL(task.api.base_url).authority} is reached directly")


def certificates(network: Network) -> Iterator[Finding]:
    try:
        context = tls_context(network.ca_file)
    except OrchestratorError as error:
        yield from wrong("certificates", error)
        return
    own = f", with those in {network.ca_file}" if network.ca_file else ""
    whence = f"SSL_CERT_FILE ({name})" if (name := os.environ.get("SSL_CERT_FILE")) else "the system"
    known = context.cert_store_stats()["x509_ca"]
    if not known and not os.environ.get("SSL_CERT_DIR"):
        yield warning("certificates", f"{whence} knows no root certificates", "install the package ca-certificates")
    else:
        yield ok("certificates", f"{count(known, 'root')} from {whence}{own}")


async def service(task: Task, network: Network, token: str, clock: SystemClock, left: float) -> list[Finding]:
    """Asks once, unless the service wants silence. `left`: seconds of it that the journal knows of."""
    shared = place(task.api.base_url, token, os.environ)
    active, closed_until = look(shared, clock.now()) if task.limits.shared else (0, 0.0)
    left = max(left, closed_until - clock.now())
    if left > 0:
        return [Finding("service", "skipped", f"not asked: it wants silence for {spelled(left)} more")]
    turn = _turn(task, shared, clock) if active else 0.0
    if turn > network.timeout:
        return [
            Finding("service", "skipped", f"not asked: other runs fill the next {spelled(turn)} with their requests")
        ]
    await anyio.sleep(turn)
    identity = next((export.impersonate for export in task.exports), None)
    began = clock.now()
    try:
        async with LoopClient(task.api.base_url, token=lambda: token, network=network, clock=clock) as api:
            probed = await api.probe(identity)
    except OrchestratorError as error:
        return list(wrong("service", error))
    took = clock.now() - began
    if isinstance(probed.answer, Throttled | Broken) and probed.answer.wait:
        if active:
            _tell_others(shared, probed.answer.wait, clock.now())
        await _keep(task, clock, probed.answer.wait)
    return [
        *_reached(task, probed, took),
        *_certificate(probed, clock),
        *_account(task, probed, identity),
        *_clock(probed),
    ]


def _turn(task: Task, shared: Path, clock: SystemClock) -> float:
    """Other runs of the account are at work: this question takes its place in their row. Seconds until then."""
    with contextlib.closing(Machine(shared)) as machine:
        turn = machine.take(clock.now(), 1 / task.policy().limits.requests_per_second, 0)
    return max(0.0, turn.at - clock.now())


def _tell_others(shared: Path, wait: float, now: float) -> None:
    with contextlib.closing(Machine(shared)) as machine:
        machine.close_until(now + wait, now)


async def _keep(task: Task, clock: SystemClock, wait: float) -> None:
    """The next run shall know of this pause too, where a journal can tell it."""
    try:
        # Opening a damaged one would move it aside, and the next run, which is to tell of it, would see nothing of it;
        # opening an older one would migrate it.
        if read_snapshot(task.state) is None or not is_of_this_version(task.state):
            return
        with JobLock(task.state, clock):
            journal = SqliteJournal(task.state, clock)
            await journal.open()
            try:
                await JournalAccount(journal, clock).pause(clock.now() + wait)
            finally:
                await journal.close()
    except OrchestratorError:
        return  # whoever has the lock will be told as much by the service


def _reached(task: Task, probed: Probed, took: float) -> Iterator[Finding]:
    host = URL(task.api.base_url).authority
    answer = probed.answer
    if isinstance(answer, Broken):
        code = "host.unreachable" if answer.trusted else "host.untrusted"
        hint = (
            "Look at the network, the proxy and `api.base_url`, or wait until the service is back."
            if answer.trusted
            else "Look at `api.base_url`, the proxy and the certificates (`network.ca_file`)."
        )
        yield from wrong(
            "service", UnreachableError(f"{host} gives no usable answer", code=code, hint=hint, cause=answer.detail)
        )
    elif isinstance(answer, Throttled):
        asked = f"again after {spelled(answer.wait)}" if answer.wait else "later"
        yield warning("service", f"{host} asks to come {asked}", "a run waits for it by itself", answer.detail)
    elif isinstance(answer, NotFound) and not probed.talks_json:
        yield warning(
            "service",
            f"{host} answers 404, and not in JSON",
            "is `api.base_url` Loop's? A run would tell by its first creation",
        )
    else:
        yield ok("service", f"{host} answered in {took:.1f} s")


def _certificate(probed: Probed, clock: SystemClock) -> Iterator[Finding]:
    if probed.certificate_ends is None:
        return
    days = int((probed.certificate_ends - clock.now()) // 86_400)
    until = datetime.fromtimestamp(probed.certificate_ends, UTC).date()
    if days < SOON:
        yield warning(
            "certificate",
            f"the service's certificate ends on {until}, in {count(days, 'day')}",
            "if it is your proxy's, have it renewed",
        )
    else:
        yield ok("certificate", f"trusted, until {until} ({days:,} days)")


def _account(task: Task, probed: Probed, identity: str | None) -> Iterator[Finding]:
    acting = f", acting for {identity}" if identity else ""
    match probed.answer:
        case Denied(status, detail):
            code, hint = REFUSALS[status]
            if status == HTTPStatus.UNAUTHORIZED:
                hint = (
                    f"Make a new token in Loop's web settings and put it into {task.api.token}, where it is read from."
                )
            yield from wrong(
                "account",
                RefusedError(
                    f"the service refuses the account{acting} (HTTP {status})", code=code, hint=hint, cause=detail
                ),
            )
        case Broken() | Throttled():
            yield Finding("account", "skipped", "the service did not say what it thinks of the token")
        case _:
            yield ok("account", f"the service takes the token{acting}")


def _clock(probed: Probed) -> Iterator[Finding]:
    if probed.behind is None:
        yield Finding("clock", "skipped", "the service did not say what time it has")
    elif abs(probed.behind) > SKEW:
        way = "behind" if probed.behind > 0 else "ahead of"
        yield warning(
            "clock",
            f"this machine is {spelled(abs(probed.behind))} {way} the service",
            "set the clock (NTP): signed URLs and the ends of windows go by it",
        )
    else:
        yield ok("clock", f"within {max(1, round(abs(probed.behind)))} s of the service's")
