"""Codes of what was asked: the command line, the job file, the plan, the scenario. Nothing was contacted."""

from __future__ import annotations

from orchestrator.codes.code import Code

_PLACE = "Go to the place that the error names (`file:line:column`), and write what it says is allowed."
_SET = "The same value may come from `--set` or from a variable: the error says where it was found."

ASKED = (
    Code(
        "usage",
        "wrong",
        "The command line is not one of this program's: an unknown command or option, or a value that does not fit.",
        ("A slip of the pen.", "A variable ORCHESTRATOR_COMMAND_OPTION holds a value that the option does not take."),
        (
            "`orchestrator COMMAND --help` lists what the command takes.",
            "`env | grep ORCHESTRATOR_` shows such variables.",
        ),
    ),
    Code(
        "platform",
        "wrong",
        "This system is not one on which the program keeps its promises.",
        ("It was started on Windows.",),
        ("Use Linux or macOS; on Windows, WSL.",),
    ),
    Code(
        "job.unreadable",
        "wrong",
        "The job file can't be read at all.",
        (
            "The path is wrong, or relative to another folder.",
            "It is a folder or a pipe, not UTF-8, too large, or not this user's to read.",
        ),
        (
            "Look at the path: it is relative to the folder in which the command is started.",
            "`orchestrator init` writes a job file to begin with.",
        ),
    ),
    Code(
        "job.syntax",
        "wrong",
        "The job file is not YAML of the kind that is read here.",
        (
            "Indentation, a missing colon, a tab.",
            "A value that begins with `{` or `*` and has no quotes, such as `path: {team}/…`.",
            "A key that stands there twice, or aliases that would blow up.",
        ),
        (_PLACE, 'Put quotes around values with braces: `path: "{team}/{window}.{ext}"`.'),
    ),
    Code(
        "job.invalid",
        "wrong",
        "A key of the job file is unknown, missing, or has a value that is not allowed.",
        ("A misspelt key (the hint says which one is near).", "A value of the wrong kind.", _SET),
        (
            _PLACE,
            "All keys with their defaults are in docs/job-file.md; the schema that `init` writes lets an editor check them.",
        ),
    ),
    Code(
        "job.empty",
        "wrong",
        "The matrix of the job has no cell: everything is excluded.",
        ("A pattern under `matrix.exclude` is wider than it was meant.",),
        ("Narrow the patterns, or remove the one that the error names.",),
    ),
    Code(
        "job.collision",
        "wrong",
        "Two exports of the job would ask the same question, or be stored under the same name.",
        (
            "Two labels with the same ids.",
            "`output.path` leaves out an axis of the matrix.",
            "Labels that differ only in case or in characters that file names can't have.",
        ),
        ("Name each axis of the matrix in `output.path`.", "Change or remove one of the labels that the error names."),
    ),
    Code(
        "job.encoding",
        "wrong",
        "A label has letters that file names can't have in the environment's encoding.",
        ("The locale of a container or of cron is an old one (`LC_ALL=C`, Latin-1), and UTF-8 is switched off.",),
        ("Set LC_ALL=C.UTF-8, or PYTHONUTF8=1, where the command is run.",),
    ),
    Code(
        "job.ca-file",
        "wrong",
        "The file of certificates in `network.ca_file` can't be used.",
        ("The path is wrong (it is relative to the job file).", "The file holds no certificates in PEM form."),
        (
            "Give the path of a PEM file with your organisation's root certificates.",
            "`openssl x509 -in FILE -noout -subject` shows whether it is one.",
        ),
    ),
    Code(
        "job.proxy",
        "wrong",
        "The proxy that the job or the environment names can't be used.",
        ("A SOCKS proxy.", "No host or no port in the URL.", "HTTPS_PROXY or ALL_PROXY was set for other programs."),
        (
            "Write http://HOST:PORT, with USER:PASSWORD@ before the host if it wants them.",
            "`network.proxy: none` ignores the environment.",
        ),
    ),
    Code(
        "token.unresolved",
        "wrong",
        "The API token can't be found where `api.token` points, or what is there can't be a token.",
        (
            "The variable is not set in this shell, container or pipeline.",
            "The file is missing or empty.",
            "`Bearer ` or a line break was copied with it.",
        ),
        (
            "Set the variable, or write the token alone into the file; Loop's web settings make one.",
            "In a pipeline, look whether the secret is passed to this very step.",
        ),
    ),
    Code(
        "zones.missing",
        "wrong",
        "The time zones are missing, without which windows have no edges.",
        ("The Python package tzdata was removed, or is not whole.",),
        ("`pip install --force-reinstall tzdata`, beside orchestrator.",),
    ),
    Code(
        "select.invalid",
        "wrong",
        "A `--select`, `--from`, `--to` or `--set` can't be understood, or names an axis or a label that the job lacks.",
        ("A misspelt axis or label.", "A window in another form than the job's windows have."),
        (
            "Write --select AXIS=PATTERN, --from 2024-01, --set limits.unfinished=4.",
            "Put quotes around patterns: a shell takes `*` for itself.",
        ),
    ),
    Code(
        "select.empty",
        "wrong",
        "The selection leaves no export, so there would be nothing to do, for ever.",
        (
            "A label that the job does not have.",
            "Patterns that exclude one another.",
            "--only failed, and none has failed.",
        ),
        (
            "`orchestrator plan JOB` shows the labels that there are.",
            "Leave out one option after the other, until something is left.",
        ),
    ),
    Code(
        "plan.too-many",
        "wrong",
        "The job expands to more exports than are allowed.",
        ("A window of days over many years, times long lists.", "A typing error in `from`."),
        ("Narrow it down with --from and --to, or with larger windows.", "If it is meant: --max-exports N."),
    ),
    Code(
        "plan.invalid",
        "wrong",
        "The file is no frozen plan that this version can run.",
        ("It was edited, or cut.", "It is another JSON document of this program.", "Another version made it."),
        ("Make the plan anew: `orchestrator plan JOB --out FILE`.",),
    ),
    Code(
        "plan.stale",
        "wrong",
        "The job file has changed since the plan was frozen.",
        ("Somebody edited the job file after the plan was looked at.",),
        ("Look at the difference, then make the plan anew: `orchestrator plan JOB --out FILE`.",),
    ),
    Code(
        "plan.frozen",
        "wrong",
        "A frozen plan is run as it is; options that would change it don't go with it.",
        ("--select, --from, --to, --set or --only were given with a plan.",),
        ("Give them to `plan JOB --out FILE`, or run the job file itself.",),
    ),
    Code(
        "plan.secret",
        "wrong",
        "The plan can't be frozen, for the proxy's password would stand in it.",
        ("`network.proxy` holds USER:PASSWORD@.",),
        ("Write `proxy: env`, and set HTTPS_PROXY where the plan is run.",),
    ),
    Code(
        "plan.unwritable",
        "wrong",
        "The file for the frozen plan can't be written.",
        ("Its folder is missing, or not this user's to write.", "The disk is full."),
        ("Name another file with --out.",),
    ),
    Code(
        "init.exists",
        "wrong",
        "`init` found a file of that name, and never overwrites one.",
        ("It has been run here before.",),
        ("Go on with the file that is there, or name another one: `orchestrator init FILE`.",),
    ),
    Code(
        "init.refused",
        "wrong",
        "`init` can't write the job file.",
        ("The folder is missing, or not this user's to write.",),
        ("Make the folder, or name a file elsewhere: `orchestrator init FILE`.",),
    ),
    Code(
        "scenario.unreadable",
        "wrong",
        "The scenario file of `simulate` can't be read.",
        ("The path is wrong.", "It is no text, or too large."),
        ("Look at the path after --scenario.",),
    ),
    Code(
        "scenario.invalid",
        "wrong",
        "The scenario of `simulate` holds a key or a fault that the simulator does not know.",
        ("A misspelt key.", "A fault with an option that belongs to another one."),
        (_PLACE, "docs/simulator.md has every key and every fault."),
    ),
    Code(
        "simulator.port",
        "wrong",
        "The simulator can't listen where it was told to.",
        ("Another program has the port (another `simulate`?).", "Ports below 1024 are not everybody's."),
        ("Choose another port, or 0 for any that is free.",),
    ),
    Code(
        "explain.unknown",
        "wrong",
        "`explain` was asked about a code that there is not.",
        ("A misspelt code.", "A code of another version."),
        ("`orchestrator explain` lists all codes; `orchestrator explain storage` those of one group.",),
    ),
    Code(
        "report.none",
        "wrong",
        "There is no report to render.",
        (
            "The job was never run, or not with this state folder.",
            "Its first run is still at work, or was killed before it could leave a report.",
        ),
        (
            "`orchestrator status JOB` shows where the job stands.",
            "Run the job; or name the state folder of the run with `--state DIR`, or a file with what `run --json` printed.",
        ),
    ),
    Code(
        "report.unreadable",
        "wrong",
        "What should be a run's report is none.",
        ("The file was cut, edited, or is something else.",),
        ("Name a job file, or a file that holds the whole of what `orchestrator run JOB --json` printed.",),
    ),
    Code(
        "report.newer",
        "wrong",
        "The report was written by a newer version of orchestrator.",
        ("The run was made with another version than the one that is to render it.",),
        ("Use that version or a newer one.",),
    ),
)
