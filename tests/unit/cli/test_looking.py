"""How often a start looks at what is stored."""

import asyncio
import json
from collections import Counter

from cli_program import JOB, program

from orchestrator.engine.states import Adopted, File, Planned
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.state_dir import prepare_state
from orchestrator.storage.local import LocalStorage


class FixedClock:
    def now(self):
        return 1_700_000_000.0


async def store(out, exports):
    """All of them are stored; only the journal knows."""
    state = out / ".orchestrator"
    prepare_state(state)
    journal = SqliteJournal(state, FixedClock())
    await journal.open()
    for told in exports:
        key, path = told["key"], told["path"]
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(b"[]")
        window = (told["window"]["start"], told["window"]["end"])
        planned = Planned(
            key, 1.0, coordinates=told["coordinates"], path=path, window=window, requests=(told["request"],)
        )
        file = File(f"r-{key}", 2, "4f53cda18c2baa0c", 0, 1.0, partial=False, path=path)
        await journal.append([planned, Adopted(key, 1.0, file=file)])
    await journal.close()


def test_each_stored_file_is_looked_at_once(tmp_path, monkeypatch):
    job = tmp_path / "job.yaml"
    job.write_text(JOB.replace("from: 2023-01", "from: 2020-01"))
    exports = json.loads(program("plan", str(job), "--json").out)["exports"]
    asyncio.run(store(tmp_path / "out", exports))
    looked_at = Counter()
    sizes = LocalStorage.sizes

    async def counted(self, paths):
        looked_at.update(paths)
        return await sizes(self, paths)

    monkeypatch.setattr(LocalStorage, "sizes", counted)
    ended = program("plan", str(job), "--json")
    assert json.loads(ended.out)["counts"] == {"skip": len(exports)}
    assert looked_at == dict.fromkeys((told["path"] for told in exports), 1)
