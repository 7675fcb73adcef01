"""Job files that are YAML and still odd, and the files they name: exports that hold together come out, or problems with places."""

import json
import re

import yaml
from fuzzing import json_values, spoilt
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.errors import JobError
from orchestrator.job.axes import read_csv
from orchestrator.job.expand import Export, expand
from orchestrator.job.loader import load_job
from orchestrator.job.misfit import Misfits
from orchestrator.job.paths import check, collision_key

NOW = 1_710_504_000.0  # 2024-03-15 12:00 UTC
MOST = 3000
WHOLE = {
    "version": 1, "name": "fuzzed", "api": {"base_url": "https://api.example.com", "token": "${T}", "impersonate": "a@b.c"},
    "request": {"timezone": "Europe/Ljubljana", "format": "json", "end": "exclusive", "tags": ["g"], "customers": []},
    "matrix": {
        "window": {"every": "month", "from": "2023-01", "to": "2023-04"},
        "team": {"support": "T1", "sales": ["T2", "T3"]}, "format": ["json", "xlsx"], "customer": ["a@b.c", "d@e.f"],
        "exclude": [{"team": "sales", "window": "..2023-02"}], "include": [{"team": "sales", "window": "2022-12", "format": "json", "customer": "a@b.c"}],
    },
    "limits": {"unfinished": 16, "requests_per_second": 5, "longest_pause": "15m"},
    "polling": {"policy": "steady", "every": "10s"}, "retry": {"attempts": 6, "ambiguous": "stop"},
    "network": {"proxy": "none", "timeout": "30s"}, "output": {"to": "./out", "path": "{team}/{customer}/{window}.{ext}"},
}  # fmt: skip
WORDS = st.sampled_from(
    ["day", "week", "quarter", "year", "2023-W05", "2023-Q2", "2023", "2023-01-15", "2023-01-31", "2023-1-1", "1970-01-01", "9999-12-31",
     "0001-01", "2023-02-30", "9900-12-31", "*", "s*", "[a", "..", "2023-01..", "..2020", "2024..2023", "Pacific/Apia", "Africa/Cairo", "../../etc",
     "~nobody-here", "${T}", "${X}", "${file:/dev/null}", "${", "$$", "file:x#y", "file:#", "file:/dev/null#id", "http://[", "http://localhost:0",
     "1h1h", "0", "0s", "1e3", "00", "١", "9" * 400, "{team}", "{key}/{ext}", "a" * 300, "../x", "con", ".", "..", "\u202e", "NO", "", " ", "auto"]
)  # fmt: skip
FIGURES = st.sampled_from(
    [0, -1, 1, 366, 3660, 3661, 10**6, 10**30, 0.5, 1e300, {"days": 10}, {"days": 0}, {"days": "x"}]
)
ODD = json_values | WORDS | FIGURES


def expanded(text, folder):
    """The exports of a job file, or None if it is refused."""
    path = folder / "fuzzed.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        job = load_job(path, {"X": "x"})
        return job, list(expand(job, NOW, None, MOST))
    except JobError as error:
        for problem in error.problems:
            assert problem.message
            assert problem.message.isprintable()
            assert problem.file is None or problem.file != str(path) or problem.line or "empty" in problem.message
        return None, None


@given(spoilt(WHOLE, ODD), st.booleans())
@example({**WHOLE, "output": {"to": "~nobody-here/x"}}, True)
def test_a_job_with_odd_values_expands_to_sound_exports_or_is_told_with_places(tmp_path_factory, document, flow):
    text = json.dumps(document) if flow else yaml.safe_dump(document, allow_unicode=True)
    job, exports = expanded(text, tmp_path_factory.getbasetemp())
    if exports is None:
        return
    assert job.resolve(job.model.output.to).is_absolute()
    assert len({export.key for export in exports}) == len(exports)
    assert len({collision_key(export.path) for export in exports}) == len(exports)
    for export in exports:
        check(export.path)
        assert export.window.start < export.window.end
        assert export.window.end - export.end == (job.model.request.end == "inclusive")
    for export in exports[:20]:
        assert Export.from_json(json.loads(json.dumps(export.to_json())), job.model.api.base_url) == export


CELLS = st.text(max_size=5) | st.sampled_from(
    ["T1", "support", "", " ", '"', '""', "\r", "\0", "\x1b", "\ufeff", ";", '"a\nb"']
)
LINES = st.lists(CELLS, max_size=3).map(",".join) | st.sampled_from(["T1,support", "T2,support", "T3,sales", ","])
ROWS = st.lists(LINES, max_size=6).map("\n".join)


@given(st.text() | ROWS, st.sampled_from(["", "id,name\n", "name,id\r\n", '"id","name"\n']))
def test_of_a_csv_file_values_come_out_or_what_is_wrong_with_its_lines(rows, head):
    content = head + rows
    try:
        values = read_csv(content, "x.csv", id_column="id", label_column="name")
    except Misfits as error:
        lines = len(re.findall(r"\r\n|\r|\n", content)) + 1
        assert all(misfit.file == "x.csv" and 1 <= misfit.line <= lines for misfit in error.all)
    else:
        assert len({value.label for value in values}) == len(values)
        assert all(value.label.strip() and value.ids[0].strip() for value in values)
