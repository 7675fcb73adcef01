"""Whatever labels say: a job is refused, or each of its files has a portable place of its own below the output folder.

The rules are written down here a second time, on purpose in other words than the program's.
"""

from __future__ import annotations

import os
import random
import re
import unicodedata

import pytest

from orchestrator.engine.memory import aside
from orchestrator.errors import JobError
from orchestrator.job.expand import expand
from orchestrator.job.loader import load_job
from orchestrator.storage.local import LocalStorage

NOW = 2_000_000_000.0
LABELS = int(os.environ.get("PATH_LABELS", "1000000"))
"""How many labels the long test tries."""
A_JOB = 12
LONGEST = 255
SUFFIX = ".0123456789abcdef.part"
PIECES = [
    *"..//\\\\::**??\"<>|~ \t\0\x1b\x7f\x85%$'&;#@-_^`",
    "..", "../", "..\\", "./", "/etc/passwd", "C:", "\\\\host\\share", "file:x", "~/", "..%2f", "$(x)", " .", ". ", "...",
    "con", "CON", "nul.", "aux.json", "prn", "com1", "LPT9.txt", "com²", "conin$", "manifest.json", ".orchestrator", ".ORCHESTRATOR",
    "é", "e\u0301", "ß", "SS", "ss", "ﬁ", "FI", "K", "K", "k", "İ", "ı", "i", "I", "Å", "Å", "ς", "σ", "Σ", "\u0345", "ᾳ", "αι", "ǰ", "ŉ",
    "\u200b", "\u200d", "\u202e", "\u2028", "\ufeff", "\u2215", "\uff0f", "\uff0e", "\u00a0", "\u00ad", "\U0001f600", "語", "a", "A", "b", "x" * 90,
    "é" * 60, "語" * 40,
]  # fmt: skip
TEMPLATES = [
    None,
    "{team}/{window}.{ext}",
    "{window}-{team}",
    "x/{team}{team}.{ext}",
    "{team}.json/{window}",
    "{name}/{team}/{key}",
]
ALIKE = [
    ["ß", "ss", "SS", "ẞ"], ["ﬁ", "fi", "FI", "Fi"], ["ς", "σ", "Σ"], ["K", "k", "\u212a"], ["é", "e\u0301", "É"], ["Å", "å", "\u212b", "A\u030a"],
    ["ᾳ", "αι", "α\u0345", "ᾼ"], ["ǰ", "J\u030c", "j\u030c"], ["/", "_", "\\", ":"], ["ŉ", "\u02bcn", "\u02bcN"],
]  # fmt: skip
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def quoted(text):
    """YAML's double quotes: escapes for whatever may not stand in a file as it is."""
    return (
        '"'
        + "".join(char if char.isprintable() and char not in '"\\' else f"\\u{ord(char):04x}" for char in text)
        + '"'
    )


def job_of(folder, labels, template):
    team = "{" + ", ".join(f"{quoted(label)}: '{n}'" for n, label in enumerate(dict.fromkeys(labels))) + "}"
    path = "" if template is None else f", path: {quoted(template)}"
    file = folder / "job.yaml"
    file.write_text(
        "version: 1\nname: paths\napi: {token: '${T}'}\n"
        f"matrix: {{window: {{every: month, from: 2024-01, to: 2024-02}}, team: {team}}}\noutput: {{to: out{path}}}\n"
    )
    return load_job(file, {})


def label(chance):
    if chance.random() < 0.75:
        return f"team {chance.randrange(10**6)}"
    return "".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 5)))


def alike(chance):
    """Two labels that are two names here, and one on some other system."""
    before, after = (f"team {chance.randrange(10**6)}" for _ in range(2))
    return [before + one + after for one in chance.sample(chance.choice(ALIKE), 2)]


def folded(path):
    """As a file system without case, or with other Unicode forms, may see it."""
    for _ in range(3):
        path = unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
    return path


def check(root, path):
    resolved = os.path.normpath(os.path.join(root, path))
    assert os.path.commonpath([root, resolved]) == root
    assert resolved == f"{root}/{path}", "nothing in it is taken out on the way"
    assert len(path.encode()) <= 1024
    for segment in path.split("/"):
        assert segment
        assert len((segment + SUFFIX).encode()) <= LONGEST
        assert unicodedata.is_normalized("NFC", segment)
        assert not re.search(r'[<>:"\\|?*\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff]', segment)
        assert segment[-1] not in ". "
        assert not _RESERVED.fullmatch(segment)
    assert folded(path.split("/")[0]) not in ("manifest.json", ".orchestrator")


def tried(folder, seed):
    """Tries one job full of labels; whether it was taken."""
    chance = random.Random(seed)
    labels = [label(chance) if seed % 2 else f"team {n}" for n in range(A_JOB)]
    if seed % 4 == 0:
        labels[-2:] = alike(chance)
    root = str(folder / "out")
    try:
        paths = [export.path for export in expand(job_of(folder, labels, chance.choice(TEMPLATES)), NOW)]
    except JobError as error:
        assert all(problem.line for problem in error.problems), (seed, error)
        return False
    for path in paths:
        check(root, path)
    assert len({folded(path) for path in paths}) == len(paths) == len(set(labels)) * 2, seed
    return True


def test_every_file_has_a_portable_place_of_its_own_below_the_output(tmp_path):
    taken = sum(tried(tmp_path, seed) for seed in range(400))
    assert 40 < taken < 360


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("quarter", range(4))
def test_and_so_it_is_with_many_more_labels(tmp_path, quarter):
    jobs = LABELS // A_JOB // 4
    taken = sum(tried(tmp_path, seed) for seed in range(quarter * jobs, (quarter + 1) * jobs))
    assert jobs * 0.1 < taken < jobs * 0.9


@pytest.mark.parametrize("letter", ["x", "é", "語", "\U0001f600"])
async def test_names_near_the_longest_are_refused_at_plan_time_or_can_be_stored(tmp_path, letter):
    """Counted in bytes, with room for whatever a temporary name adds."""

    def planned(size):
        width = len(letter.encode())
        name = letter * (size // width) + "x" * (size % width)
        assert len(name.encode()) == size
        return next(expand(job_of(tmp_path, [name], "{window}/{team}"), NOW)).path

    for size in range(250, 261):
        with pytest.raises(JobError, match=f"has {size} bytes"):
            planned(size)
    fits = [size for size in range(200, 250) if not _refused(planned, size)]
    assert fits == list(range(200, fits[-1] + 1))
    assert fits[-1] == LONGEST - 32
    (tmp_path / "state").mkdir()
    async with LocalStorage(tmp_path / "out", tmp_path / "state") as storage:
        writer = await storage.create()
        await writer.write(b"[]")
        await writer.finish()
        await writer.close()
        await storage.place(writer.temp, planned(fits[-1]))
        await storage.move(planned(fits[-1]), aside(planned(fits[-1]), "k1-01234567"))  # as two swapped labels are
        assert await storage.size(aside(planned(fits[-1]), "k1-01234567")) == 2


def _refused(planned, size):
    try:
        planned(size)
    except JobError:
        return True
    return False
