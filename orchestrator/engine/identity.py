"""Whose account it is: what refusals, and reports that nobody knows, say of all exports and not of one.

A token can be renewed, an account be refused, and the service that answers may know another account than the one that earlier
runs created their exports with. Whatever concerns the whole run is handed to `halt`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio

from orchestrator.engine.ports import Denied, ExportApi, NotFound, Status, StatusAnswer
from orchestrator.engine.spending import Spending
from orchestrator.errors import OrchestratorError, RefusedError

STRANGERS = 3
"""Reports of earlier runs, all unknown to the service, from which the account itself is doubted."""

REFUSALS = {
    401: (
        "account.token",
        "Make a new token in Loop's settings and put it where api.token refers to; `orchestrator doctor` with the job file names the place.",
    ),
    403: (
        "account.forbidden",
        "Look in Loop whether the account's plan has the API, and what the token's user and api.impersonate may do.",
    ),
    451: ("account.unverified", "Verify the account in Loop, then run again."),
}
"""Code and hint for each status by which the service refuses an account."""


class Identity:
    """The account as the service's answers show it. While it is in doubt, `Spending.doubted` holds creations back."""

    def __init__(self, api: ExportApi, spending: Spending, halt: Callable[[OrchestratorError], None]) -> None:
        self._api = api
        self._spending = spending
        self._halt = halt
        self._accepted: set[str | None] = set()
        self._accepted_before: frozenset[str | None] = frozenset()
        self._renewing = anyio.Lock()
        self._earlier: frozenset[str] = frozenset()
        self._strangers: set[str] = set()
        self._acquainted = False
        self.token_generation = 0
        """How often the token was renewed."""

    # ----------------------------------------------------------------------------------------------- the token's rights

    @property
    def is_known(self) -> bool:
        """Whether the service has accepted a request of this run, for whomever."""
        return bool(self._accepted)

    def accepted(self, identity: str | None) -> None:
        """A request was accepted that impersonates `identity`, or nobody."""
        self._accepted.add(identity)

    def trust(self, identities: Iterable[str | None]) -> None:
        """Earlier runs had exports accepted for these: a 403 is then one export's own, and must not hold the others up."""
        self._accepted_before = frozenset(identities)

    async def concerns_all(self, denied: Denied, identity: str | None, generation: int) -> bool:
        """Whether a refusal is not this export's own: the token was renewed, or the account is refused and the run halted.
        `generation` is the token's when the request was made.
        """
        if denied.status == 403 and identity in self._accepted | self._accepted_before:
            return False
        if denied.status == 401:
            async with self._renewing:
                if generation < self.token_generation:
                    return True
                if await self._api.renew_credentials():
                    self.token_generation += 1
                    return True
        code, hint = REFUSALS[denied.status]
        who = f" (impersonating {identity})" if identity and denied.status == 403 else ""
        self._halt(
            RefusedError(
                f"the service refused the account (HTTP {denied.status}){who}",
                code=code,
                hint=hint,
                cause=denied.detail,
            )
        )
        return True

    # ---------------------------------------------------------------------------------------- the reports of earlier runs

    def expect(self, reports: Iterable[str]) -> None:
        """These reports of earlier runs are going to be polled."""
        self._earlier = frozenset(reports)
        self._spending.doubted = len(self._earlier) >= STRANGERS

    def believes(self, report_id: str, answer: StatusAnswer) -> bool:
        """Whether to believe what is said of a report.

        If the service knows none of those of earlier runs, it is another account rather than that all are gone: then the run ends
        before anything is created anew. So each one's first 404 is passed over until one of them is known; each of them is
        asked once before any is asked again, so that this decides in time.
        """
        if report_id not in self._earlier:
            return True
        if isinstance(answer, Status):
            self._acquainted = True
            self._spending.doubted = False
        if not isinstance(answer, NotFound) or self._acquainted or len(self._earlier) < STRANGERS:
            return True
        seen = report_id in self._strangers
        self._strangers.add(report_id)
        if len(self._strangers) < len(self._earlier):
            return seen
        self._halt_among_strangers()
        return False

    def forgo(self, reports: Iterable[str]) -> None:
        """These are not asked about any more: where nothing was said of them, the others alone tell whose account it is."""
        if not self._spending.doubted:
            return
        self._earlier -= frozenset(reports) - self._strangers
        if len(self._earlier) < STRANGERS:
            self._spending.doubted = False
        elif len(self._strangers) == len(self._earlier):
            self._halt_among_strangers()

    def _halt_among_strangers(self) -> None:
        self._halt(
            RefusedError(
                "the service knows none of the reports that earlier runs of this job created",
                code="account.other",
                hint="Are api.base_url, api.token and api.impersonate those of the earlier runs? If they are, remove the state "
                "folder (.orchestrator beside the files, or what `state` or --state names): what is stored stays so, and the rest is "
                "created anew.",
            )
        )
