"""The tutorial, done line by line in an empty folder, as a newcomer would; and each step's output names the next."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

TUTORIAL = (Path(__file__).parents[2] / "docs/tutorial.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8765"
NEXT = {"init": "doctor", "doctor": "plan", "plan": "run", "run": "report"}


def steps():
    """Edits of the job file, and commands with the lines that they print."""
    for language, block in re.findall(r"```(yaml|console)\n(.*?)```", TUTORIAL, re.DOTALL):
        if language == "yaml":
            yield "edit", block.splitlines(), []
        else:
            for command, _, printed in (
                part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
            ):
                yield "command", command, [line for line in printed.splitlines() if line.strip()]


def essence(text):
    """Without what varies: figures, and how far columns are apart."""
    return " ".join(re.sub(r"\d+", "N", text).split())


def edit(path, lines, address):
    """Puts each line in the place of the one with the same key, whether that is commented out or not."""
    for line in lines:
        indent, key = re.match(r"( *)(\w+):", line).groups()
        text, changed = re.subn(
            rf"^{indent}(?:# )?{key}:.*$", line.replace(ADDRESS, address), path.read_text(), flags=re.MULTILINE
        )
        assert changed == 1, f"{key}: {changed} lines"
        path.write_text(text)


async def shell(script, folder, env):
    process = await asyncio.create_subprocess_exec(
        "bash", "-ec", script, cwd=folder, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, f"{script}\n{out.decode()}"
    return out.decode()


async def test_the_tutorial_leads_from_an_empty_folder_to_a_monthly_pipeline(stage):
    async with stage(duration=0.2) as it:
        env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(it.folder), "CI": "1"}
        said = {}
        for kind, what, printed in steps():
            if kind == "edit":
                edit(it.folder / "job.yaml", what, it.sim.base_url)
            elif what.startswith("export "):
                name, _, value = what.removeprefix("export ").partition("=")
                env[name] = value
            else:
                # Months go by: whatever has been stored last stands for the tutorial's.
                files = sorted(path.name for path in (it.folder / "exports/support").glob("*.json"))
                script = what.replace("2026-10.json", files[-1] if files else "none")
                out = await shell(script, it.folder, env)
                said.setdefault(what.split()[1], out)
                lines = iter([essence(line) for line in out.splitlines()])
                for wanted in printed:
                    head = essence(wanted.partition("…")[0])
                    assert any(line.startswith(head) for line in lines), f"$ {what}\n{wanted}\nis not in\n{out}"
        for command, following in NEXT.items():
            assert f"orchestrator {following} job.yaml" in said[command], said[command]
        it.check_stored(3)


def test_it_has_every_step_of_the_way():
    commands = [what.split()[1] for kind, what, _ in steps() if kind == "command" and what.startswith("orchestrator")]
    assert list(dict.fromkeys(commands)) == ["init", "doctor", "plan", "run", "report", "status", "verify"]
