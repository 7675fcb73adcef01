"""Codes of a job's state: its journal, its lock; and of bugs of ours."""

from __future__ import annotations

from orchestrator.codes.code import Code

_SAFE = "Nothing that is stored is lost."

STATE = (
    Code(
        "run.locked",
        "locked",
        "Another run of this job is active.",
        (
            "A pipeline was started twice.",
            "An earlier run is still at it, on this machine or on another one with the same disk.",
        ),
        (
            "Wait until it has ended; `orchestrator status JOB` says who it is.",
            "The lock frees itself when that process ends, however it ends: there is nothing to remove.",
        ),
    ),
    Code(
        "journal.unusable",
        "storage",
        "The journal can't be opened where it is.",
        ("Another program has it open.", "Its folder or file is not this user's to use.", "The disk gives errors."),
        (
            "Close whatever has it open (`lsof FILE`).",
            "See to its permissions and its disk, or put the state elsewhere with `--state DIR`.",
        ),
    ),
    Code(
        "journal.newer",
        "wrong",
        "A newer version of this program wrote the journal.",
        ("Another machine or pipeline runs a newer version.",),
        (
            "Use that version, or a newer one.",
            "Or begin another state folder with `--state DIR`: what the manifest names stays stored.",
        ),
    ),
    Code(
        "journal.symlink",
        "storage",
        "A symbolic link stands in the place of the journal.",
        ("Somebody linked it to another disk.",),
        ("Remove the link, and name the real folder with `--state DIR`.",),
    ),
    Code(
        "journal.damaged",
        "none",
        "The journal can't be read. Whoever looks goes by the manifest; a run moves it aside and begins a new one.",
        ("A copy or a cache that took half of it.", "A disk that lost writes."),
        (f"Run the job. {_SAFE} Exports that were under way are created anew.",),
    ),
    Code(
        "journal.unfinished",
        "storage",
        "The journal was left in the middle of a write, and only looking at it can't put it right.",
        ("A run on a network file system was killed, and this user may not write there.",),
        ("Run the job as the user who owns the folder: that puts the journal right.",),
    ),
    Code(
        "journal.migration",
        "storage",
        "A journal of an older version could not be brought up to date; it was left as it is.",
        ("A bug of ours.",),
        (
            "Report it; the older version still reads the journal.",
            f"Meanwhile `--state DIR` begins another one. {_SAFE}",
        ),
    ),
    Code(
        "journal.lease-lost",
        "storage",
        "Another run has taken the journal over while this one was at work.",
        (
            "The lock file was removed by hand.",
            "The state folder lies on a file system whose locks don't hold between machines.",
        ),
        ("Let one run end before the next begins.", "Put the state on a local disk: `--state DIR`."),
    ),
    Code(
        "demo.service",
        "bug",
        "The simulated service of `demo` did not start.",
        ("This machine lets no program listen, not even on its own loopback.",),
        ("Look at the lines above the error.",),
    ),
    Code(
        "bug",
        "bug",
        "Something that this program did not foresee.",
        ("A bug of ours.",),
        (
            "Run the same command again: what was journalled is safe, and the run goes on.",
            "Please report it with the lines above; they hold no secrets.",
        ),
    ),
)
