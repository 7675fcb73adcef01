"""Planted bugs for level L2: small changes of `api/` and `content/` that its oracle must catch."""

from __future__ import annotations

import sys

import l2
from mutants import Mutant

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
    Mutant("an answer about another report", "api.wire:status_answer", "and told_of.casefold() != report_id.casefold()", "and False"),
    Mutant("a lost answer is a crash", "api.client:LoopClient._read", "except BODY_BREAKS", "except BREAKS"),
    Mutant("every break was never sent", "api.client:LoopClient._exchange", "sent=attempt.sent", "sent=False"),
    Mutant("every break was sent", "api.client:LoopClient._exchange", "sent=attempt.sent", "sent=True"),
    Mutant("every 503 created nothing", "api.wire:_refusal", 'and header(headers, "retry-after") is not None', ""),
    Mutant("every 4xx is a bad request", "api.wire:create_answer", "if status == 400:", "if 400 <= status < 500:"),
    Mutant("any 2xx without an id is accepted", "api.wire:create_answer", "if answer is None or report_id is None:", "if answer is None:"),
    Mutant("a wait is shortened", "api.wire:parse_retry_after", "until - (now if served is None else served)", "until - now"),
    Mutant("the token in the words", "api.words:presentable", "if len(secret) >= _SHORTEST_SECRET:", "if False:"),
    Mutant("no timeout", "api.client:LoopClient._open", "total=timeout", "total=None"),
    Mutant("what follows the array is not looked at", "content.json_rows:JsonRows.finish", "scanner.finish()", "pass"),
    Mutant("a partial file is kept", "engine.transfer:Transfers._discard", "await self._storage.discard(partial.writer.temp)", "pass"),
    Mutant("a partial file is gone on from blindly", "engine.transfer:Transfers._receive", "await partial.writer.restart()", "pass"),
)  # fmt: skip


def first_catch(mutant: Mutant, seeds: range) -> tuple[int, str] | None:
    """The first of the seeds that catches it, and by which words; None if it lives."""
    with mutant.planted():
        for seed in seeds:
            if violations := l2.run(seed).violations:
                return seed, violations[0]
    return None


if __name__ == "__main__":
    for one in MUTANTS:
        one.code()
    for one in [mutant for mutant in MUTANTS if " ".join(sys.argv[1:]) in mutant.name]:
        print(one.name, "|", *(first_catch(one, range(1, SEEDS)) or ("SURVIVES",)))  # noqa: T201  this is its output
