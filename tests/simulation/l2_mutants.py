"""Planted bugs for level L2: small changes of `api/` and `content/` that its oracles must catch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import l2
import l2_jobs
from mutants import MUTANTS as PROTOCOL
from mutants import Mutant
from oracle import judge

SEEDS = 1500
"""Within so many each must be caught."""

MUTANTS = (
    Mutant("files share connections", "api.files:_connector", ", force_close=True", ""),
    Mutant("a body without an end is taken", "api.files:_whole_length", 'raise FileBroken(\n            "the file host sends a body with neither', 'return None\n        raise FileBroken(\n            "the file host sends a body with neither'),
    Mutant("a bad chunk hangs a transfer", "api.files:FileHost._blocks", "asyncio.timeout(2 * self._network.timeout)", "asyncio.timeout(None)"),
    Mutant("no floor", "api.files:FileHost._blocks", "if waited >= self._window:", "if False:"),
    Mutant("a lost stream is a crash", "api.files:FileHost._blocks", "except BODY_BREAKS", "except BREAKS"),
    Mutant("any 206 is the rest", "api.files:_proven_rest", "and _validator(response) == resume.validator", ""),
    Mutant("a range may start anywhere", "api.files:_proven_rest", "start == resume.offset and ", ""),
    Mutant("a weak ETag resumes", "api.files:_validator", "and _STRONG_ETAG.fullmatch(etag)", ""),
    Mutant("redirects go anywhere", "api.files:FileHost._get", "await self._guard.check(url, proxied=proxy is not None)", "pass"),
    Mutant("redirects are followed by aiohttp", "api.client:LoopClient._exchange", "allow_redirects=False", "allow_redirects=True"),
    Mutant("a refused file is broken", "api.files:_whole_length", "raise FileRefused(status)", 'raise FileBroken("refused") from KeyError()'),
    Mutant("the URL is quoted anew", "api.files:_parsed", "URL(target, encoded=True)", "URL(target)"),
    Mutant("whatever came unasked is the next answer", "api.lanes:Lane._has_heard", "self._held.should_close", "False"),
    Mutant("a bad answer keeps its connection", "api.client:LoopClient._ask", "return _explained(answer, reply), False", "return _explained(answer, reply), True"),
    Mutant("bad news from a kept connection is believed", "api.client:LoopClient.get", "if not isinstance(answer, Broken):", "if False:"),
    Mutant("POSTs share connections", "api.client:LoopClient.__aenter__", "force_close=True, ", ""),
    Mutant("an answer about another report", "api.wire:status_answer", "and not _same(told_of, report_id)", "and False"),
    Mutant("a lost answer is a crash", "api.client:LoopClient._read", "except BODY_BREAKS", "except BREAKS"),
    Mutant("every break was never sent", "api.client:LoopClient._exchange", "sent=attempt.sent", "sent=False"),
    Mutant("every break was sent", "api.client:LoopClient._exchange", "sent=attempt.sent", "sent=True"),
    Mutant("every 503 created nothing", "api.wire:_refusal", 'and header(headers, "retry-after") is not None', ""),
    Mutant("every 4xx is a bad request", "api.wire:create_answer", "if status == 400:", "if 400 <= status < 500:"),
    Mutant("any 2xx without an id is accepted", "api.wire:create_answer", "if answer is None or report_id is None:", "if answer is None:"),
    Mutant("a wait is shortened", "api.wire:parse_retry_after", "until - (now if served is None else served)", "until - now"),
    Mutant("the token in the words", "api.words:presentable", "if known is not None:", "if False:"),
    Mutant("no timeout", "api.client:LoopClient._open", "total=timeout", "total=None"),
    Mutant("what follows the array is not looked at", "content.json_rows:JsonRows.finish", "scanner.finish()", "pass"),
    Mutant("a partial file is kept", "engine.transfer:Transfers._discard", "await self._storage.discard(partial.writer.temp)", "pass"),
    Mutant("a partial file is gone on from blindly", "engine.transfer:Transfers._receive", "await partial.writer.restart()", "pass"),
)  # fmt: skip


JOB_MUTANTS = [one for one in (*MUTANTS, *PROTOCOL) if one.name in {
    "every break was never sent", "every break was sent", "every 4xx is a bad request", "a wait is shortened",
    "a lost answer is a crash", "the URL is quoted anew", "an answer about another report", "a partial file is kept",
    "any 5xx counts as not created", "a POST is repeated inside the attempt", "the token is not blanked out",
    "the file host's Retry-After is ignored", "the content is not checked",
}]  # fmt: skip
"""Those that whole jobs must notice, by what becomes of the job: the oracle of all levels judges, and no call is looked at."""
JOB_QUICK = (
    "every break was never sent",
    "every break was sent",
    "a wait is shortened",
    "any 5xx counts as not created",
)


def of_calls(seed: int) -> list[str]:
    return l2.run(seed).violations


def of_a_job(seed: int) -> list[str]:
    return [str(violation) for violation in judge(l2_jobs.play(seed).evidence)]


def first_catch(
    mutant: Mutant, seeds: Iterable[int], violations: Callable[[int], list[str]] = of_calls
) -> tuple[int, str] | None:
    """The first of the seeds that catches it, and by which words; None if it lives."""
    with mutant.planted():
        for seed in seeds:
            if found := violations(seed):
                return seed, found[0]
    return None


if __name__ == "__main__":
    for one in MUTANTS:
        one.code()
    for of, mutants in ((of_calls, MUTANTS), (of_a_job, JOB_MUTANTS)):
        for one in [mutant for mutant in mutants if " ".join(sys.argv[1:]) in mutant.name]:
            print(of.__name__, "|", one.name, "|", *(first_catch(one, range(SEEDS), of) or ("SURVIVES",)))  # noqa: T201
