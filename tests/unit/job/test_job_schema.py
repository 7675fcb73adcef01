"""The JSON Schema accepts what the loader accepts: checked by a small reader of the keywords that it uses."""

import re
from pathlib import Path

import pytest
import yaml

from orchestrator.job.loader import load_job
from orchestrator.job.schema import job_schema

CONFIGS = Path(__file__).parents[3] / "configs"
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
KNOWN = {
    "$ref", "$defs", "$schema", "additionalProperties", "anyOf", "default", "description", "enum", "examples",
    "exclusiveMinimum", "items", "maximum", "minItems", "minProperties", "minimum", "pattern", "properties",
    "propertyNames", "required", "title", "type",
}  # fmt: skip


def fits(value, form, root):
    assert set(form) <= KNOWN
    if "$ref" in form:
        return fits(value, root["$defs"][form["$ref"].rpartition("/")[2]], root)
    if "anyOf" in form:
        return any(fits(value, each, root) for each in form["anyOf"])
    if "enum" in form and value not in form["enum"]:
        return False
    kinds = form.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(
        isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds
    ):
        return False
    if isinstance(value, str):
        return re.search(form.get("pattern", ""), value) is not None
    if isinstance(value, list):
        return len(value) >= form.get("minItems", 0) and all(fits(v, form.get("items", {}), root) for v in value)
    if isinstance(value, dict):
        more = form.get("additionalProperties", {})
        known = form.get("properties", {})
        return (
            set(form.get("required", ())) <= set(value)
            and len(value) >= form.get("minProperties", 0)
            and all(fits(key, form.get("propertyNames", {}), root) for key in value)
            and all(
                fits(v, known[k], root) if k in known else more is not False and fits(v, more, root)
                for k, v in value.items()
            )
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        return form.get("minimum", value) <= value <= form.get("maximum", value) and value > form.get(
            "exclusiveMinimum", value - 1
        )
    return True


def accepted(text):
    schema = job_schema()
    return fits(yaml.safe_load(text), schema, schema)


FULL = """\
version: 1
name: support-backfill
api: {base_url: "https://api.intheloop.io", token: "${LOOP_API_TOKEN}", impersonate: ops@example.com, allow_private: false}
request: {timezone: Europe/Ljubljana, format: json, end: exclusive, tags: [], teams: [1], teammates: [], customers: []}
matrix:
  window: {every: {days: 10}, from: "2023-01-01", to: null, include_current: true}
  team: {support: 12345, sales: [1.5, b]}
  tag: [a, 7]
  customer: [c@example.com]
  impersonate: {boss: boss@example.com}
  format: [json, xlsx]
  exclude: [{team: sales, window: "..2023-05"}, {team: [s*, support], tag: 7}]
  include: [{team: sales, window: "2022-12-22..2022-12-31", tag: 7, customer: c@example.com, impersonate: boss, format: json}]
limits: {unfinished: 16, requests_per_second: 0.5, downloads: "4", longest_pause: 15m}
polling: {policy: steady, first: 10s, every: 1h30m, max: 60, jitter: 0.2}
retry: {attempts: 6, base: 0.3s, max: 300ms, exports: 0, stuck_after: 2h, outage: 15m, ambiguous: stop}
network: {proxy: env, timeout: 30s, ca_file: ./ca.pem}
output: {to: ./exports, path: "{team}/{window}.{ext}", missing: keep, state: null}
"""
MINIMAL = 'version: "1"\nname: 7\napi: {token: "${file:t}"}\nmatrix: {window: {every: year, last: "${N}"}}\nlimits:\noutput: {to: x}\n'


@pytest.mark.parametrize("text", [FULL, MINIMAL, *(p.read_text() for p in sorted(CONFIGS.glob("*.yaml")))])
def test_the_schema_accepts_what_the_loader_accepts(text, tmp_path):
    (tmp_path / "job.yaml").write_text(text)
    (tmp_path / "inboxes.csv").write_text("id,name\n1,a\n")
    load_job(tmp_path / "job.yaml", {"N": "2", "LOOP_API_TOKEN": "t"})
    assert accepted(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("limits: {unfinished: 16", "limits: {unfinishd: 16"),
        ("format: json, end", "format: csv, end"),
        ("${LOOP_API_TOKEN}", "literal"),
        ("every: {days: 10}", "every: fortnight"),
        ("format: [json, xlsx]", "format: [pdf]"),
        ("tag: [a, 7]", "tag: []"),
        ("exclude: [{team", "exclude: [{tem"),
        ("longest_pause: 15m", "longest_pause: soon"),
        ("policy: steady", "policy: adaptiv"),
        ("tag: [a, 7]", "tag:"),
    ],
)
def test_the_schema_refuses_what_an_editor_should_mark(old, new):
    assert old in FULL
    assert not accepted(FULL.replace(old, new))


def test_every_key_has_a_description():
    schema = job_schema()
    for section in (schema, *schema["$defs"].values()):
        for key, form in section.get("properties", {}).items():
            assert form.get("description"), key
