"""The JSON Schema of the job file, for editors: `# yaml-language-server: $schema=./job.schema.json`.

It is made from the model, so names, defaults and descriptions can't drift apart. It accepts what the loader accepts,
and where the loader knows more (calendar labels, zones, collisions) it stays silent.
"""

from __future__ import annotations

from typing import Any

from orchestrator.job.axes import AXES
from orchestrator.job.model import JobFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def job_schema() -> dict[str, Any]:
    """The schema as JSON data."""
    schema = JobFile.model_json_schema(by_alias=True)
    limits = schema["properties"]["limits"]  # a word for all three, which the model knows as its reader's doing
    limits["anyOf"] = [{"$ref": limits.pop("$ref")}, {"enum": ["auto"]}]
    for section in (schema, *schema["$defs"].values()):
        section["properties"] = {
            key: form
            if key in section.get("required", ()) or (key in AXES and section["title"] == "Matrix")
            else _or_nothing(form)
            for key, form in section.get("properties", {}).items()
        }
    return {"$schema": DIALECT, **schema, "title": "Job file of orchestrator"}


def _or_nothing(form: dict[str, Any]) -> dict[str, Any]:
    """A key with nothing behind it counts as left out. What editors show stays at the top."""
    kept: dict[str, Any] = {key: form.pop(key) for key in ("title", "description", "default") if key in form}
    forms = form["anyOf"] if set(form) == {"anyOf"} else [form]
    return {**kept, "anyOf": [*(each for each in forms if each != {"type": "null"}), {"type": "null"}]}
