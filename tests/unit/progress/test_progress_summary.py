import io

import pytest
from rich.cells import cell_len

from orchestrator.engine.events import NOT_CREATED
from orchestrator.progress.console import PeopleConsole
from orchestrator.progress.summary import print_summary

MONTHS = [f"2024-{month:02}" for month in range(1, 13)]
ERROR = {"code": "export.failed", "message": "Loop says that this report failed, three times", "hint": "ask for less"}


def export(team, window, state="stored", **more):
    stored = state == "stored"
    return {
        "coordinates": {"team": team, "window": window},
        "state": state,
        "action": "skip" if state == "skipped" else "create",
        "bytes": 123_456 if stored else None,
        "rows": 1234 if stored else None,
        "error": None,
        "report_ids": [],
        **more,
    }


def report(outcome, exports, **api):
    counts = {state: sum(e["state"] == state for e in exports) for state in ("stored", "skipped", "failed", "pending")}
    stored = [e for e in exports if e["state"] == "stored"]
    return {
        "job": "support-backfill",
        "outcome": outcome,
        "started_at": "2026-11-23T12:00:00Z",
        "finished_at": "2026-11-23T12:05:12.250Z",
        "counts": {"planned": len(exports), **counts},
        "api": {"posts": 24, "polls": 61, "throttled": 1, "errors": 0, "possible_duplicates": 0, **api},
        "bytes": sum(e["bytes"] for e in stored),
        "rows": sum(e["rows"] or 0 for e in stored),
        "exports": exports,
    }


def told(report, width=80, **options):
    out = io.StringIO()
    print_summary(report, PeopleConsole(out, width=width), **options)
    return out.getvalue()


def test_a_good_run():
    exports = [export(team, month) for team in ("support", "sales") for month in MONTHS]
    assert told(report("succeeded", exports), manifest="exports/manifest.json") == (
        "support-backfill: done, 24 exports stored\n"
        "\n"
        "  team     stored    size    rows\n"
        "  support      12  1.5 MB  14,808\n"
        "  sales        12  1.5 MB  14,808\n"
        "\n"
        "  3.0 MB and 29,616 rows stored in 5 min 12 s\n"
        "  Requests to Loop: 24 creations, 61 polls, 1 throttled (429), 0 errors\n"
        "  Every file, with its sha256: exports/manifest.json\n"
    )


def test_nothing_to_do():
    exports = [export("support", month, "skipped") for month in MONTHS]
    assert told(report("succeeded", exports, posts=0, polls=0), width=120, manifest="m.json") == (
        "support-backfill: nothing to do; every export is stored, or waits for its window to close\n"
        "  Every file, with its sha256: m.json\n"
    )


def test_files_that_are_renamed_are_told_as_such():
    exports = [export("support", month, "skipped", action="move") for month in MONTHS]
    assert told(report("succeeded", exports, posts=0, polls=0)) == "support-backfill: done, 12 files renamed\n"
    exports += [export("sales", "2024-01", "skipped"), export("sales", "2024-02")]
    assert told(report("succeeded", exports)).startswith(
        "support-backfill: done, 1 export stored, 12 files renamed\n"
        "  1 stored, 12 renamed, 1 needed nothing, of 14 exports planned\n"
        "\n"
        "  team     stored  renamed  no need    size   rows\n"
        "  support       0       12        0     0 B      0\n"
        "  sales         1        0        1  123 kB  1,234\n"
    )
    exports[0] = export("support", "2024-01", "pending", action="move")
    assert "1 stored, 11 renamed, 1 pending, 1 needed nothing, of 14 exports planned" in told(report("parked", exports))


def test_failures_come_first_each_reason_told_once():
    exports = [export("support", month, "failed", error=ERROR) for month in MONTHS]
    exports += [export("sales", month) for month in MONTHS]
    exports[0] = export("support", "2024-01", "failed", error={**ERROR, "message": "bad\x1b[2J request", "hint": None})
    exports[1] = export("support", "2024-02", "failed")
    for export_ in exports[2:4]:
        export_["report_ids"] = [f"R-{export_['coordinates']['window']}-{n}" for n in (1, 2)]
    text = told(report("failed", exports, possible_duplicates=2))
    assert text.startswith(
        "support-backfill: 12 exports failed\n"
        "  12 stored, 12 failed, of 24 exports planned\n"
        "\n"
        "  FAILED support 2024-01  [export.failed]\n"
        "    bad request\n"
        "  FAILED support 2024-02  [error]\n"
        "    no reason was kept\n"
        "  FAILED support 2024-03, support 2024-04, support 2024-05, support 2024-06,\n"
    )
    assert "    report ids: R-2024-03-1, R-2024-03-2, R-2024-04-1, R-2024-04-2\n" in text
    assert text.count("report ids") == 1, "of those that have some"
    assert text.count("Loop says") == text.count("hint: ask for less") == 1
    assert "support 2024-10" in text
    assert "support 2024-11" not in text
    assert "  … and 2 more: see `orchestrator status`\n" in text
    assert "  support       0      12     0 B       0\n" in text
    assert "2 possible duplicates: creations that got no readable answer" in text
    assert "Next: see to what the hints say" in text


@pytest.mark.parametrize(
    ("outcome", "why", "what_next"),
    [
        ("parked", None, "Next: run the same command again to go on"),
        ("refused", "the service refused the account", "see to the account"),
        ("unreachable", "the service could not be reached or trusted", "see to the network"),
        ("storage", "the place for the files refused", "make room"),
        ("bug", "a bug of ours", "please report it"),
    ],
)
def test_what_ended_early_says_why_and_what_next(outcome, why, what_next):
    exports = [export("support", month, "pending") for month in MONTHS]
    text = told(report(outcome, exports))
    assert "nothing is lost" in text
    assert "12 pending, of 12 exports planned" in text
    assert "Nothing was stored; it took 5 min 12 s" in text
    assert what_next in text
    if why:
        assert f"  {why}\n" in text


def test_a_half_of_a_run_names_the_other():
    exports = [export("support", month, "pending") for month in MONTHS]
    nothing_created = told(report("parked", exports) | {"command": "collect", "reason": NOT_CREATED})
    assert f"  {NOT_CREATED}\n" in nothing_created
    assert "Next: `submit` creates it" in nothing_created
    assert "same command" not in nothing_created
    assert "Next: `collect`, or a whole `run`, brings home" in told(report("succeeded", exports))


def test_what_parked_for_a_long_pause_is_run_again_after_it():
    exports = [export("support", month, "pending") for month in MONTHS]
    parked = {"error": None, "reason": "the service asks for silence", "resume_after": "2026-11-23T13:05:12.000Z"}
    text = told(report("parked", exports) | parked)
    assert "Next: after 2026-11-23 13:05:12 UTC, run the same command again to go on" in text


def test_a_parked_run_says_what_came():
    exports = [export("support", month, "pending") for month in MONTHS]
    assert "  SIGTERM came\n" in told(report("parked", exports) | {"error": None, "reason": "SIGTERM came"})


def test_an_error_that_ended_the_run_is_told_with_its_code_and_its_own_hint():
    error = {"code": "account.token", "message": "HTTP 401", "hint": "Make a new token."}
    text = told(report("refused", []) | {"error": error})
    assert "  HTTP 401 [account.token]\n" in text
    assert text.endswith("Next: Make a new token.\n")


def test_an_outcome_of_a_later_version():
    assert "support-backfill: adjourned\n" in told(report("adjourned", []))


def test_workbooks_that_were_not_counted_have_no_rows():
    exports = [export(team, month, rows=None) for team in ("a", "b") for month in MONTHS]
    text = told(report("succeeded", exports))
    assert "  a         12  1.5 MB     -\n" in text
    assert "  3.0 MB stored in 5 min 12 s\n" in text


def test_the_manifest_path_is_never_broken():
    path = "/long" * 30 + "/manifest.json"
    assert f"  Every file, with its sha256: {path}\n" in told(report("succeeded", [export("a", "b")]), manifest=path)


def test_a_table_only_where_it_groups():
    assert "\n  window" not in told(report("succeeded", [export("support", month) for month in MONTHS]))
    many = [export(f"team {n}", month) for n in range(13) for month in MONTHS]
    assert "\n  window " in told(report("succeeded", many))
    odd = [export("support", month) for month in MONTHS] + [export("日本" * 30, month) for month in MONTHS]
    odd.append({**export("", ""), "coordinates": {"window": "2024-01"}})
    text = told(report("succeeded", odd))
    assert "…" in text
    assert "\n  -  " in text


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (
            {"requests_per_second": 4.83, "unfinished": 12},
            "about 4.8 requests a second, about 12 exports unfinished at once",
        ),
        ({"requests_per_second": 4.83, "unfinished": None}, "about 4.8 requests a second"),
        ({"requests_per_second": None, "unfinished": 1}, "about 1 export unfinished at once"),
    ],
)
def test_limits_that_were_found_are_told(found, line):
    text = told(report("succeeded", [export("a", "b")]) | {"found": found})
    assert f"  Limits found: {line}\n" in text


def test_where_no_limit_was_found_none_is_told():
    found = {"requests_per_second": None, "unfinished": None}
    assert "Limits" not in told(report("succeeded", [export("a", "b")]) | {"found": found})
    assert "Limits" not in told(report("succeeded", [export("a", "b")])), "the report of an older version"


@pytest.mark.parametrize("width", [40, 80, 140])
def test_it_fits(width):
    exports = [export("support", month, "failed", error=ERROR) for month in MONTHS]
    text = told(report("failed", exports, possible_duplicates=1), width=width)
    lines = [line for line in text.splitlines() if not line.startswith("  Every file")]
    assert all(cell_len(line) <= width for line in lines)
    assert not any(line.endswith(" ") for line in lines)


def test_a_path_is_never_broken_and_any_other_long_word_is():
    path = f"/srv/{'exports/' * 12}2024-01.json"
    error = {"code": "storage.full", "message": f"{path}: the disk is full", "cause": None, "hint": "x" * 100}
    text = told(report("storage", [export("support", "2024-01", "pending")]) | {"error": error}, width=60)
    assert path in text
    assert "x" * 61 not in text


def test_a_long_word_is_not_broken_into_what_a_pipelines_runner_obeys():
    error = {"code": "x", "message": f"{'x' * 56}::error::forged", "cause": None, "hint": "wait"}
    failed = export("support", "2024-01", "failed", error=error)
    lines = [line.strip() for line in told(report("failed", [failed]), width=60).splitlines()]
    assert ": :error::forged" in lines
    assert not any(line.startswith("::") for line in lines)


def test_a_command_in_a_hint_is_not_broken():
    error = {"code": "x", "message": "no", "cause": None, "hint": "look whether `orchestrator doctor job.yaml` says so"}
    text = told(report("storage", [export("support", "2024-01", "pending")]) | {"error": error}, width=40)
    assert "`orchestrator doctor job.yaml`" in text


def test_what_takes_less_than_a_second_is_not_said_to_take_none():
    quick = report("succeeded", [export("a", "b")]) | {"finished_at": "2026-11-23T12:00:00.420Z"}
    assert "1,234 rows stored in 0.4 s" in told(quick)


def test_what_the_service_refused_names_the_option_that_asks_again_once():
    hint = "Change what the job asks for; an unchanged request is not sent again (unless with --only failed)."
    error = {"code": "request.invalid", "message": "the service refuses this request", "hint": hint}
    text = told(report("failed", [export("support", "2024-01", "failed", error=error)]))
    assert text.count("--only failed") == 1
    assert "Next: change what the job asks for" in text


def test_what_was_refused_and_what_failed_otherwise_need_different_things():
    errors = [{"code": code, "message": code, "hint": None} for code in ("request.invalid", "export.failed")]
    text = told(report("failed", [export(f"team-{n}", "2024-01", "failed", error=e) for n, e in enumerate(errors)]))
    assert "change what the job asks for where the service refused it" in " ".join(text.split())
    assert "it tries the others afresh" in " ".join(text.split())
