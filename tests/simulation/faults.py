"""What goes wrong, and how the seed chooses: *swarm* switches off half of the kinds in each world.

Without it the common faults would mask the rare ones: a bug in how expiry is told would hide behind kills and resets that
make the run start over before it matters.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

POST = {
    "post 429": "the POST is throttled for some seconds",
    "post 429 without time": "the POST is throttled, and nobody says for how long (or `0`)",
    "post 429 long": "the POST is throttled for longer than limits.longest_pause",
    "post 503 with time": "the POST meets a 503 with Retry-After: nothing was created",
    "post 5xx": "the POST is answered 500, 502 or 503 without Retry-After; nothing was created, but who knows",
    "post 5xx after": "the export was created, and the answer is a 500",
    "post refused": "the connection for the POST never opened",
    "post reset before": "the connection breaks before the service saw the POST",
    "post reset after": "the connection breaks after the export was created",
    "post timeout": "the answer to the POST never comes; the export may or may not exist",
    "post odd 2xx": "the POST is answered 2xx with a body in which no id can be read",
}
GET = {
    "get 429": "the GET is throttled for some seconds",
    "get 429 without time": "the GET is throttled, and nobody says for how long",
    "get 503 with time": "the GET meets a 503 with Retry-After",
    "get 5xx": "the GET is answered 5xx, some with HTML",
    "get reset": "the connection of the GET breaks",
    "get timeout": "the answer to the GET never comes",
    "get unknown status": "the GET shows a status that no documentation names",
    "get 404 a while": "the GETs of a healthy report are answered 404 for some seconds",
    "get pending a while": "the GETs of a report that was alive are answered PendingOrExpired for some seconds",
}
REPORT = {
    "pending first": "the report is PendingOrExpired for a while before it starts",
    "no url": "Completed without a URL at first",
    "failed": "the service fails to make the report",
    "stuck": "the report is Processing for ever",
    "late": "the report is Processing for longer than retry.stuck_after, and completes in the end",
    "expires soon": "the report is gone minutes after it completed",
}
POISON = {
    "poison 400": "one export's request is refused for good",
    "poison 403": "one export is forbidden",
    "poison failed": "one export fails whenever it is created",
    "poison stuck": "one export never finishes",
    "poison content": "one export's file is never what it should be",
}
FILES = {
    "url short": "signed URLs die within seconds",
    "file 403": "the file host refuses a good URL",
    "file cut": "the body is cut",
    "file 5xx": "the file host answers 5xx",
    "file 503 with time": "the file host asks for a pause",
    "file refused": "the connection to the file host never opens",
    "file slow": "the body takes minutes",
    "file changed": "the object is another one after a cut (its ETag too)",
    "file corrupt": "an HTML page, or a JSON text that ends too early, with the right length",
}
ACCOUNT = {
    "token rotates": "the token is refused; a new one is already where it is read from",
    "token dead": "the token is refused until somebody mends it",
    "unverified": "451 for a while",
}
OUTAGE = {
    "outage api": "the API answers nobody for a while",
    "outage files": "the file host answers nobody for a while",
}
DISK = {
    "disk full": "no space for files for a while",
    "disk error": "a write, a rename or an fsync fails",
    "journal full": "no space for the journal for a while",
}
PROCESS = {
    "kill": "kill -9 at a label",
    "power cut": "the same, and the disk forgets what was not made durable",
    "park": "SIGTERM",
    "deadline": "--deadline",
}
BETWEEN = {
    "clock jump": "the next process has another idea of the time, up to a day",
    "long downtime": "the next process comes hours or days later",
    "state deleted": "the state folder is removed",
    "old manifest": "an older manifest.json is restored",
    "old journal": "an older state folder is restored",
    "file removed": "somebody takes a stored file away",
    "relabelled": "the job file's labels change: files are to be moved",
    "swapped": "two exports swap their paths",
    "other question": "the job file asks another question at the same path",
    "dropped": "the job no longer names an export",
    "all again": "a run with --only all",
}
SHAPE = {
    "no etag": "the file host gives no validator: nothing can be resumed",
    "ranges ignored": "the file host knows no ranges: whoever wants the rest gets all of it",
    "gzip": "bodies come compressed",
    "file crowd": "the file host asks whoever comes beside a download that is being served for a pause",
    "slow disk": "whatever the disk and the journal are to do takes its time",
    "same size": "all files are of one size, so that a size tells nothing",
    "stop": "retry.ambiguous: stop",
}

ALL: Mapping[str, str] = {
    **POST, **GET, **REPORT, **POISON, **FILES, **ACCOUNT, **OUTAGE, **DISK, **PROCESS, **BETWEEN, **SHAPE,
}  # fmt: skip

LABELS = (
    *(f"durable {kind}" for kind in (
        "planned", "intended", "created", "refused", "unanswered", "alive", "doubted", "lost", "ready", "verified", "torn",
        "stored", "moved", "superseded", "adopted", "revived", "failed",
    )),
    *(f"before {kind}" for kind in ("intended", "created", "unanswered", "lost", "ready", "verified", "stored", "moved", "refused")),
    "post sent", "post arrived", "post answered", "get sent", "get answered", "gate answered", "gate durable",
    "file open", "file block", "disk create", "disk write", "disk fsync", "disk fsync folder", "disk rename", "disk renamed",
    "disk mkdir", "disk unlink", "report written",
)  # fmt: skip
"""Where a process can be killed. Chosen by label first, then by count: otherwise polls would take nearly all kills."""


MOVING = ("before moved", "durable moved", "disk rename", "disk renamed", "disk fsync folder", "durable superseded")
"""Where the moves of a job whose labels have changed are worth a kill: chosen among all labels they would get none."""

LIES = ("get 404 a while", "get pending a while")
"""What a healthy report may look like for a moment, and must not be taken for the truth."""

PLACING = ("durable verified", "disk rename", "disk renamed", "disk fsync folder", "before stored")
"""The moments around a rename, on which most of the promises about files hang."""


@dataclass
class Weather:
    """What can go wrong in one world, and what did."""

    on: frozenset[str]
    severity: float
    chance: random.Random
    hits: dict[str, int] = field(default_factory=dict)
    calm: bool = False
    """No new faults from now on."""

    def __contains__(self, kind: str) -> bool:
        return kind in self.on

    def hit(self, kind: str) -> None:
        self.hits[kind] = self.hits.get(kind, 0) + 1

    def strikes(self, kind: str, share: float = 1.0) -> bool:
        """Whether `kind` strikes now; `share` scales how often it does."""
        assert kind in ALL, kind
        if self.calm or kind not in self.on or self.chance.random() >= self.severity * share:
            return False
        self.hit(kind)
        return True

    def one_of(self, kinds: Mapping[str, str], share: float = 1.0) -> str | None:
        """At most one of `kinds`, each as likely as the others."""
        active = [kind for kind in kinds if kind in self.on]
        if self.calm or not active or self.chance.random() >= self.severity * share:
            return None
        kind = self.chance.choice(active)
        self.hit(kind)
        return kind


def draw(chance: random.Random) -> Weather:
    """The weather of a world: one in sixteen has none at all."""
    if chance.random() < 1 / 16:
        return Weather(frozenset(), 0.0, chance)
    on = frozenset(kind for kind in ALL if chance.random() < 0.5)
    return Weather(on, chance.choice((0.05, 0.15, 0.3)), chance)
