"""What a command works on: a job file expanded, or a frozen plan read back.

A frozen plan holds the exports as they were expanded, windows and all, and the job's settings with references
instead of secrets. Running it asks for exactly those exports; what still has to be done about each is seen anew, so that
a second run of the same plan does only what is missing.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

from orchestrator.cli import say
from orchestrator.cli.difference import Asked, difference
from orchestrator.cli.options import Ask, Only
from orchestrator.engine.plan import Options
from orchestrator.engine.policy import AUTO, Limits, Policy, Polling, Retry
from orchestrator.errors import JobError, Problem
from orchestrator.job import scalars
from orchestrator.job.expand import Export, expand
from orchestrator.job.loader import Job, load_job
from orchestrator.job.matrix import Selection
from orchestrator.job.model import Api, Hooks, Metrics, Network, Output
from orchestrator.job.model import Limits as LimitsSection
from orchestrator.job.model import Polling as PollingSection
from orchestrator.job.model import Retry as RetrySection
from orchestrator.job.paths import collision_key
from orchestrator.job.scalars import ProxyUrl

SCHEMA = "orchestrator.plan/1"
STATE = ".orchestrator"


@dataclass(frozen=True, slots=True)
class Task:
    """A job, valid and expanded. Paths are absolute."""

    name: str
    file: Path
    folder: Path
    digest: str
    api: Api
    limits: LimitsSection
    polling: PollingSection
    retry: RetrySection
    network: Network
    output: Output
    hooks: Hooks
    metrics: Metrics
    exports: list[Export]
    named: frozenset[str] | None
    """Keys of all of the job's exports, selected or not; None for a frozen plan, which speaks of its own exports only."""
    options: Options
    root: Path
    state: Path
    asked: Asked | None
    """How a frozen plan can be held to its job file; None for a plan that an older version has frozen."""
    others: Sequence[Export] = ()
    """The job's exports that the selection leaves out, if `load` was to find them."""

    def policy(self, *, fail_fast: bool = False) -> Policy:
        """The engine's figures."""
        return Policy(
            limits=_limits(self.limits),
            polling=Polling(**self.polling.model_dump()),
            retry=Retry(**self.retry.model_dump()),
            fail_fast=fail_fast,
        )


def _limits(section: LimitsSection) -> Limits:
    figures = section.model_dump(exclude={"shared"})
    starts = {"unfinished": "unfinished_start", "requests_per_second": "requests_start", "downloads": "downloads_start"}
    for name, start in starts.items():
        if figures[name] == "auto":
            figures[start], figures[name] = AUTO[name]
    return Limits(**figures)


def load(target: str, ask: Ask, environ: Mapping[str, str], now: float, *, others: bool = False) -> Task:
    """Reads `target`, a job file or a frozen plan. Raises JobError with all that is wrong with it.

    `others`: what the selection leaves out is wanted too.
    """
    frozen = _read_frozen(Path(target))
    if frozen is not None:
        task = _thaw(Path(target), frozen, ask, environ)
        _refuse_unwritable(task.exports)
        return task
    job, exports, selects = _expanded(target, ask, environ, now)
    named = {export.key for export in exports}
    left_out: list[Export] = []
    for export in expand(job, now, None, ask.max_exports) if selects else ():
        if export.key not in named:
            named.add(export.key)
            if others:
                left_out.append(export)
    _refuse_unwritable(exports)
    model = job.model
    root = job.resolve(model.output.to)
    return Task(
        name=model.name,
        file=job.file.absolute(),
        folder=job.folder,
        digest=job.digest,
        api=model.api,
        limits=model.limits,
        polling=model.polling,
        retry=model.retry,
        network=model.network,
        output=model.output,
        hooks=model.hooks,
        metrics=model.metrics,
        exports=exports,
        named=frozenset(named),
        options=_options(job, ask.only or "missing"),
        root=root,
        state=_state(ask.state, job.resolve(model.output.state) if model.output.state else root / STATE),
        asked=Asked(now, ask.selects, ask.first, ask.last, ask.sets, job.written),
        others=left_out,
    )


def _refuse_unwritable(exports: Sequence[Export]) -> None:
    """Names of files are bytes to the system, in the encoding of the environment, which may lack a label's letters."""
    encoding = sys.getfilesystemencoding()
    for export in exports if encoding != "utf-8" else ():
        try:
            os.fsencode(export.path)
        except UnicodeEncodeError:
            raise JobError(
                Problem(
                    f"no file can be called {export.path!a} here: this environment writes file names in {encoding}",
                    code="job.encoding",
                    hint="set LC_ALL=C.UTF-8 (or PYTHONUTF8=1) where the command is run, for every command of this job",
                )
            ) from None


def _expanded(target: str, ask: Ask, environ: Mapping[str, str], now: float) -> tuple[Job, list[Export], bool]:
    """The job, those of its exports that are asked for, and whether that is a selection of them."""
    overrides: list[tuple[str, str]] = []
    problems: list[Problem] = []
    for text in ask.sets:
        try:
            overrides.append(_override(text))
        except JobError as error:
            problems += error.problems
    selection = Selection()
    try:
        selection = Selection.parse(ask.selects, ask.first, ask.last)
    except JobError as error:
        problems += error.problems
    try:
        job = load_job(target, environ, overrides)
        exports = list(expand(job, now, selection or None, ask.max_exports))
    except JobError as error:
        raise JobError(*error.problems, *problems) from None
    if problems:
        raise JobError(*problems)
    return job, exports, bool(selection)


def _options(job: Job, only: Only) -> Options:
    model = job.model
    return Options(only, model.matrix.window.include_current, model.output.missing == "keep")


def _override(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise JobError(
            Problem(
                "KEY.PATH=VALUE is due here",
                code="select.invalid",
                file=f"--set {key}",
                hint="write --set limits.unfinished=4",
            )
        )
    return key.strip(), value


def _state(option: str | None, otherwise: Path) -> Path:
    return scalars.path(option).absolute() if option else otherwise.absolute()


# ------------------------------------------------------------------------------------------------------ frozen plans


def freeze(task: Task) -> dict[str, Any]:
    """The part of a plan's document from which `load` makes the task again. Raises JobError if a secret would be in it."""
    proxy = task.network.proxy
    if isinstance(proxy, ProxyUrl) and "@" in proxy.url:
        raise JobError(
            Problem(
                "it holds a user or a password, which a frozen plan must not",
                code="plan.secret",
                key="network.proxy",
                hint="use `proxy: env` and set HTTPS_PROXY where the plan is run",
            )
        )
    sections = ("api", "limits", "polling", "retry", "network", "output", "hooks", "metrics")
    return {
        "job_file": str(task.file),
        "job_digest": task.digest,
        "settings": {name: getattr(task, name).model_dump(mode="json", by_alias=True) for name in sections},
        "options": {
            "only": task.options.only,
            "include_current": task.options.include_current,
            "keep_missing": task.options.keep_missing,
        },
        "state": str(task.state),
        "asked": task.asked.to_json() if task.asked else None,
        "cells": [export.to_json() for export in task.exports],
    }


def _read_frozen(path: Path) -> Mapping[str, Any] | None:
    """The document of a frozen plan; None if that is no JSON and so, if anything, a job file."""
    try:
        data = path.read_bytes()
    except (OSError, ValueError):
        return None  # the job file's loader says what is wrong, and better
    if not data.lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    schema = found.get("schema")
    if schema is None:
        return None
    if schema != SCHEMA or "frozen" not in found:
        raise _wrong(path, f"this JSON document is no frozen plan (its schema is {schema!r})")
    return found  # type: ignore[no-any-return]  # json.loads gives Any, and the lines above have looked at it


def _thaw(path: Path, document: Mapping[str, Any], ask: Ask, environ: Mapping[str, str]) -> Task:
    if ask.selects_some or ask.sets or ask.only is not None:
        raise JobError(
            Problem(
                "a frozen plan is run as it is: --select, --from, --to, --set and --only don't go with it",
                code="plan.frozen",
                file=str(path),
                hint="give them to `plan JOB --out FILE`, or run the job file itself",
            )
        )
    try:
        frozen, name = document["frozen"], document["job"]
        file, state = Path(scalars.text(frozen["job_file"])), Path(scalars.text(frozen["state"]))
        settings = frozen["settings"]
        api, output = Api.model_validate(settings["api"]), Output.model_validate(settings["output"])
        root = (file.parent / scalars.path(output.to)).absolute()
        exports = [Export.from_json(cell, api.base_url) for cell in frozen["cells"]]
        keys, places = {each.key for each in exports}, {collision_key(each.path) for each in exports}
        if not len(keys) == len(places) == len(exports):
            raise ValueError("two entries have one key or one path")
        task = Task(
            name=scalars.name(name),
            file=file,
            folder=file.parent,
            digest=frozen["job_digest"],
            api=api,
            limits=LimitsSection.model_validate(settings["limits"]),
            polling=PollingSection.model_validate(settings["polling"]),
            retry=RetrySection.model_validate(settings["retry"]),
            network=Network.model_validate(settings["network"]),
            output=output,
            # Plans of an earlier version know neither.
            hooks=Hooks.model_validate(settings.get("hooks", {})),
            metrics=Metrics.model_validate(settings.get("metrics", {})),
            exports=exports,
            named=None,
            options=_thawed_options(frozen["options"]),
            root=root,
            state=_state(ask.state, state),
            asked=Asked.from_json(frozen["asked"]) if frozen.get("asked") is not None else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Not its own words: they may hold values of the plan.
        why = (
            f"{error.args[0]} is missing"
            if isinstance(error, KeyError)
            else f"a value in it is not right ({type(error).__name__})"
        )
        raise _wrong(path, "this frozen plan can't be read", why) from None
    _refuse_if_stale(path, task, environ)
    return task


def _thawed_options(found: Mapping[str, Any]) -> Options:
    if found["only"] not in get_args(Only):
        raise ValueError("--only has no such value")
    include_current, keep_missing = (scalars.boolean(found[name]) for name in ("include_current", "keep_missing"))
    return Options(found["only"], include_current, keep_missing)


def _refuse_if_stale(path: Path, task: Task, environ: Mapping[str, str]) -> None:
    try:
        digest = sha256(task.file.read_bytes()).hexdigest()
    except OSError:
        return  # the plan has all it needs; a job file that is not here contradicts nothing
    if digest != task.digest:
        anew = _command(task, path)
        raise JobError(
            Problem(
                f"the job file {task.file} has changed since this plan was made",
                code="plan.stale",
                file=str(path),
                cause=_changed(task, environ),
                hint=f"look at what the job asks for now, and freeze that: `{anew}`",
            )
        )


def _changed(task: Task, environ: Mapping[str, str]) -> str | None:
    """What is different; None if that can't be known."""
    asked = task.asked
    if asked is None:
        return None
    ask = Ask(asked.selects, asked.first, asked.last, asked.sets)
    try:
        job, exports, _ = _expanded(str(task.file), ask, environ, asked.at)
    except JobError as error:
        first = error.problems[0]
        return f"it can't be planned any more: {f'{first.key}: ' if first.key else ''}{first.message}"
    return difference(asked.written, job.written, task.exports, exports)


def _command(task: Task, path: Path) -> str:
    """The command that makes the plan anew."""
    asked, only = task.asked, task.options.only
    ask = Ask() if asked is None else Ask(asked.selects, asked.first, asked.last, asked.sets)
    typed = replace(ask, only=only if only != "missing" else None).typed
    return f"orchestrator plan {shlex.quote(say.shown(task.file))}{typed} --out {shlex.quote(str(path))}"


def _wrong(path: Path, message: str, cause: str | None = None) -> JobError:
    hint = "make the plan anew: `orchestrator plan JOB --out FILE`"
    return JobError(Problem(message, code="plan.invalid", file=str(path), hint=hint, cause=cause))
