"""`init`: a commented job file and its schema beside it."""

from __future__ import annotations

import json
import shlex
from importlib.resources import files
from pathlib import Path

import rich_click as click

from orchestrator.cli import say
from orchestrator.errors import JobError, Problem, said_by_system

SCHEMA_FILE = "job.schema.json"


@click.command()
@click.argument("file", metavar="[FILE]", type=click.Path(), default="job.yaml")
def init(file: str) -> None:
    """Write a commented job file and its JSON Schema. Never overwrites."""
    from orchestrator.job.schema import job_schema

    target = Path(file)
    schema = target.parent / SCHEMA_FILE
    text = files("orchestrator.cli").joinpath("job.yaml").read_text(encoding="utf-8")
    _write(target, text)
    say.people(f"wrote {target}")
    try:
        _write(schema, json.dumps(job_schema(), indent=2, ensure_ascii=False) + "\n")
        say.people(f"wrote {schema} (editors complete and check the job file by it)")
    except JobError:
        say.people(f"kept {schema}, which was there already")
    say.people(
        f"""
Next: edit the two lines of {target} that say EDIT: your time zone, and the id of
a shared inbox. Then
  export LOOP_API_TOKEN=…        a token from Loop's web settings
  orchestrator doctor {target}   looks whether all is in order; creates nothing
Without an account, `orchestrator simulate` serves a local Loop API, and says
how to use it."""
    )


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise JobError(
            Problem(
                f"{path} exists already, and is left as it is",
                code="init.exists",
                hint=f"go on with it (orchestrator doctor {shlex.quote(str(path))}), or name another file: orchestrator init FILE",
            )
        ) from None
    except OSError as error:
        raise JobError(
            Problem(
                f"{path} can't be written",
                code="init.refused",
                hint="make its folder first, or name a file elsewhere: orchestrator init FILE",
                cause=said_by_system(error),
            )
        ) from None
