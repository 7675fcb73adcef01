"""Codes of the disk: the output folder, the state folder, the manifest."""

from __future__ import annotations

from orchestrator.codes.code import Code

_AGAIN = "Run the same command again: what was stored stays, and finished exports are fetched, not created anew."
_STATE = "If it is the state folder alone, `--state DIR` puts it elsewhere."

STORAGE = (
    Code(
        "storage.full",
        "storage",
        "There is no room: the disk is full, or a quota or a limit on the size of files is reached.",
        ("The disk is full.", "A quota of this user or project.", "`ulimit -f`."),
        ("Make room (`df -h`, `df -i`, `quota`), or change `output.to`.", _STATE, _AGAIN),
    ),
    Code(
        "storage.permission",
        "storage",
        "This user may not write there.",
        (
            "The folder belongs to another user.",
            "An earlier run was started by root.",
            "A container maps users otherwise.",
        ),
        ("`ls -ld FOLDER` and `id` show who may. Grant the right, or change `output.to`.", _STATE, _AGAIN),
    ),
    Code(
        "storage.read-only",
        "storage",
        "The file system is mounted read-only.",
        ("It was mounted so.", "The kernel made it so after disk errors (`dmesg`)."),
        ("Mount it writable, or change `output.to`.", _STATE, _AGAIN),
    ),
    Code(
        "storage.io",
        "storage",
        "The disk, or the connection to it, gave an error.",
        ("A failing disk.", "A network file system that lost its server."),
        ("Look at `dmesg` and at the mount.", _STATE, _AGAIN),
    ),
    Code(
        "storage.gone",
        "storage",
        "A file or folder vanished during the run.",
        ("The output folder was removed, renamed or unmounted.", "A clean-up job of the machine."),
        ("Bring the folder back, or mount it.", _AGAIN),
    ),
    Code(
        "storage.in-the-way",
        "storage",
        "Something else has the name that a file or folder is to get.",
        ("A file where a folder is needed, or the other way round.", "Another program writes there."),
        ("Move it away, or change `output.to` or `output.path`.", _AGAIN),
    ),
    Code(
        "storage.symlink",
        "storage",
        "A symbolic link stands where a real file or folder must be.",
        ("A link below the output folder, which could lead out of it.", "The state folder is a link."),
        ("Remove the link. `output.to` itself may be one.", _STATE),
    ),
    Code(
        "storage.name",
        "storage",
        "The file system refuses a name.",
        ("A label is too long, or has letters that this file system lacks.",),
        ("Shorten the labels of the matrix, or change `output.path`.",),
    ),
    Code(
        "storage.missing",
        "storage",
        "A stored file that was to be renamed is not there.",
        ("Somebody moved or removed it between the look at it and the rename.",),
        ("Run again: the plan sees what there is now.",),
    ),
    Code(
        "storage.exists",
        "storage",
        "A stored file was to be renamed, and something has that name already.",
        ("A file that is not ours, where a renamed label leads.",),
        ("Move that file away, or change `output.path`.", _AGAIN),
    ),
    Code(
        "storage.no-locks",
        "storage",
        "The file system of the state folder knows no locks, so two runs could not see each other.",
        ("A network or FUSE file system without flock.",),
        ("Put the state on a local disk: `--state DIR`, or `output.state`.",),
    ),
    Code(
        "storage.output",
        "storage",
        "What the command had to say could not be written to where its output was sent.",
        ("`> FILE` on a full disk.", "The folder of a file that `report` is to write is missing, or not this user's."),
        (
            "Make room, or the folder, and ask again: `status`, `plan` and `report` read, and change nothing.",
            "Of a run whose output was lost, `orchestrator report JOB` tells the same.",
        ),
    ),
    Code(
        "storage.manifest",
        "storage",
        "manifest.json can't be understood.",
        ("It was edited, cut, or merged by version control.",),
        ("Bring it back from a copy.", "Or move it away: then only what the journal knows counts as stored."),
    ),
    Code(
        "storage.manifest-newer",
        "wrong",
        "A newer version of this program wrote manifest.json.",
        ("Another machine or pipeline runs a newer version.",),
        ("Use that version, or a newer one.",),
    ),
    Code(
        "manifest.other-job",
        "wrong",
        "The files in the output folder belong to a job of another name.",
        ("The job was renamed.", "Two jobs have the same `output.to`."),
        ("Choose another `output.to`.", "If the job was renamed: `run --adopt` takes the files over."),
    ),
)
