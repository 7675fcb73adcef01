"""The documentation as a whole: every link and anchor leads somewhere, in the repository and on the site; every command line parses."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from orchestrator.cli.main import CONTEXT, cli
from orchestrator.cli.reference import reference
from orchestrator.job.loader import load_job
from orchestrator.job.model import JobFile
from orchestrator.job.scalars import duration

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def read(page):
    return page.read_text(encoding="utf-8")


def fenced(text):
    """(language, block) of each fenced block."""
    return re.findall(r"^ *```([\w-]*)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)


def prose(text):
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """Of a page's headings, as GitHub and the site make them: small letters, no punctuation, dashes for blanks."""
    for heading in re.findall(r"^#+ (.+)$", prose(read(page)), re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        yield re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_anchors_lead_somewhere(page):
    for target in re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", prose(read(page))):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in set(anchors(there)), target
        if page.parent == DOCS:
            assert there.is_relative_to(DOCS), f"{target} is not on the site"


def test_every_page_is_in_the_sites_navigation():
    named = re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(page.name for page in DOCS.glob("*.md"))


def test_the_site_asks_no_other_host():
    assert SITE["theme"]["font"] is False
    assert SITE["plugins"] == ["search"]
    assert not {"extra_css", "extra_javascript", "repo_url"} & set(SITE)


def test_the_reference_of_commands_is_made_from_the_commands():
    assert read(DOCS / "commands.md") == reference(), "python -m orchestrator.cli.reference > docs/commands.md"


def test_every_option_of_every_command_is_in_the_reference():
    text = read(DOCS / "commands.md")
    for name, command in cli.commands.items():
        assert f"\n## {name}\n" in text
        for option in command.params:
            for flag in option.opts if isinstance(option, click.Option) and not option.hidden else ():
                assert f"| `{flag}`" in text or f", `{flag}`" in text, f"{name} {flag}"


# ------------------------------------------------------------------------------------------------------ command lines


def command_lines():
    """Each `orchestrator COMMAND …` of the documents, in blocks and in the text, without what is no argument."""
    for page in PAGES:
        text = read(page)
        found = [line for language, block in fenced(text) if language != "python" for line in block.splitlines()]
        found += re.findall(r"`((?:orchestrator)[^`]+)`", prose(text))
        for line in found:
            match = re.match(r"(?:\$ |exec |run: |- )*(?:[A-Z_]+=\S+ )*orchestrator ([a-z]+.*)", line.strip())
            if match and page.name != "commands.md":
                yield page.name, re.split(r" +#| > | \||\s{3,}|; |\)| && | \|\| ", match[1])[0]


LINES = sorted(set(command_lines()))


def test_there_are_command_lines_to_look_at():
    assert len(LINES) > 30
    assert {line.split()[0] for _, line in LINES} >= {
        "init",
        "doctor",
        "plan",
        "run",
        "status",
        "report",
        "verify",
        "simulate",
    }


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}-{line}" for page, line in LINES])
def test_every_command_line_of_the_documents_is_one(page, line, monkeypatch):
    name, *arguments = shlex.split(line.replace("[", "").replace("]", ""))
    command = cli.commands[name]  # a KeyError: there is no such command
    if not arguments and any(isinstance(each, click.Argument) and each.required for each in command.params):
        return  # the command's name, in a sentence
    parent = click.Context(cli, **CONTEXT)
    if "--help" not in arguments:
        command.make_context(name, arguments, parent=parent)


# ---------------------------------------------------------------------------------------------------------- job files


def job_blocks():
    for page in PAGES:
        for language, block in fenced(read(page)):
            if language == "yaml" and re.search(r"^version:", block, re.MULTILINE):
                yield pytest.param(block, id=page.name)


@pytest.mark.parametrize("block", list(job_blocks()))
def test_every_job_file_in_the_documents_loads(block, tmp_path):
    (tmp_path / "inboxes.csv").write_text("id,name\n1,support\n")
    (tmp_path / "job.yaml").write_text(block)
    assert load_job(tmp_path / "job.yaml", {})


def leaves():
    """(dotted key, default) of each key of the job file."""
    for section, field in JobFile.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        if inner is None:
            yield section, field.default
        for name, leaf in (inner or {}).items():
            yield f"{section}.{leaf.alias or name}", leaf.default


def rows():
    """The reference's rows: dotted key -> default column. `retry.base`, `retry.max` and `polling.first`, `every` are two keys."""
    found = {}
    table = read(DOCS / "job-file.md").partition("\n## ")[0]
    for names, default in re.findall(r"^\| \**(`[^|]+`)\** \|([^|]*)\|", table, re.MULTILINE):
        keys = re.findall(r"`([^`]+)`", names)
        section = keys[0].rpartition(".")[0]
        defaults = re.split(r", (?=`)", default.strip())
        for n, key in enumerate(keys):
            found[key if "." in key or not section else f"{section}.{key}"] = defaults[min(n, len(defaults) - 1)]
    return found


LEAVES = list(leaves())


def test_there_are_keys_to_look_at():
    assert len(LEAVES) > 40
    assert ("retry.outage", 900) in LEAVES


@pytest.mark.parametrize(("key", "default"), LEAVES, ids=[key for key, _ in LEAVES])
def test_every_key_of_the_job_file_is_in_its_reference_with_its_default(key, default):
    told = rows()
    assert key in told, key
    word = told[key].strip("`")
    if isinstance(default, bool):
        assert word == str(default).lower()
    elif isinstance(default, int | float):
        assert (duration(word) if re.search("[a-z]", word) else float(word)) == default
    elif isinstance(default, str):
        assert word == default
