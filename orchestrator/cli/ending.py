"""What is done once a run has ended, for others: the pipeline is told, metrics are written, a hook is called, spans are sent.

None of it changes how the run has ended: what goes wrong is a warning. It takes time that `--deadline` reserves for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli import hooks, output_file, say
from orchestrator.cli.signals import SIGNALS
from orchestrator.telemetry import metrics, settings
from orchestrator.version import __version__

if TYPE_CHECKING:
    from orchestrator.cli.pipeline import GitHub
    from orchestrator.cli.task import Task

SPANS = 5.0
"""Seconds in which a collector takes a run's spans, or does not."""
SPANS_AFTER_SIGNAL = 2.0
SHARE = 0.1
"""The part of `--deadline` that is reserved at the most."""
MARGIN = 1.0
"""Seconds before the deadline that a process takes to begin and to end."""


class Ending:
    """What a job, its command line and its environment want done in the end.

    Raises JobError for hooks that can't be called, and for metrics that would be written over what the job needs.
    """

    def __init__(
        self,
        task: Task,
        environ: Mapping[str, str],
        *,
        job: str,
        runner: GitHub | None,
        metrics_file: str | None,
        until: float | None,
    ) -> None:
        """`job` is what the command was given; `until` is when the process has to have ended, by the monotonic clock."""
        self._task = task
        self._environ = environ
        self._runner = runner
        self._until = until
        self._hooks = hooks.resolved(task, environ)
        self._spans = settings.wanted(environ)
        in_job = task.folder / task.metrics.file if task.metrics.file else None
        self._metrics = Path(metrics_file) if metrics_file else in_job
        if self._metrics is not None:
            output_file.refuse_loss("--metrics" if metrics_file else "metrics.file", self._metrics, job, task)

    def reserved(self, deadline: float) -> float:
        """Seconds of `deadline` that the run leaves for `call`."""
        wanted = (self._task.hooks.timeout if self._hooks else 0.0) + (SPANS if self._spans else 0.0)
        return min(wanted, deadline * SHARE)

    def keep(self, report: Mapping[str, Any], status: int) -> None:
        """What takes no time: the runner's files and annotations, and metrics."""
        task = self._task
        if self._runner is not None:
            self._runner.tell_run(report, status, task.file, task.root / "manifest.json")
        if self._metrics is not None:
            try:
                metrics.keep(self._metrics, report, status, __version__)
            except OSError as error:
                say.people(f"warning: the metrics can't be written to {self._metrics}: {error.strerror}")

    def call(self, report: Mapping[str, Any], status: int) -> None:
        """What may take its time: the hook, then the spans."""
        name = hooks.of_report(report)
        if name is not None and name in self._hooks:
            self._call_hook(name, report, status)
        if self._spans:
            told = self._send_spans(report)
            if told is not None:
                say.people(f"warning: {told}")

    def _send_spans(self, report: Mapping[str, Any]) -> str | None:
        """Why that did not work out, or None."""
        try:
            from orchestrator.telemetry import spans
        except Exception as error:  # noqa: BLE001  packages that do not fit each other fail in all sorts of ways as they are imported
            why = " ".join(f"{type(error).__name__}: {error}".split())
            return (
                f"the run's spans could not be sent: the installed OpenTelemetry can't be imported ({why})\n"
                '  hint: install it anew, `pip install --force-reinstall "orchestrator[otel]"`, or set OTEL_SDK_DISABLED=true'
            )
        most = SPANS if SIGNALS.first is None else SPANS_AFTER_SIGNAL
        return spans.send(report, self._environ, __version__, self._left(most))

    def _call_hook(self, name: hooks.Name, report: Mapping[str, Any], status: int) -> None:
        task = self._task
        most = task.hooks.timeout if SIGNALS.first is None else min(task.hooks.timeout, hooks.AFTER_SIGNAL)
        environ = hooks.environment(task, self._environ, report, status)
        stdin = say.report_pieces(report)
        seconds = self._left(most)
        hooks.call(name, self._hooks[name], stdin=stdin, environ=environ, folder=task.folder, seconds=seconds)

    def _left(self, most: float) -> float:
        left = most if self._until is None else min(most, self._until - MARGIN - time.monotonic())
        return max(0.1, left)
