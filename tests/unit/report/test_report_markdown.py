"""The Markdown of a run: what it tells, what it makes of hostile text, and how it keeps to its limit."""

import pytest
from markdown_it import MarkdownIt
from report_records import export, failed, months, run_record

from orchestrator.report import markdown

PLENTY = 1_000_000
HOSTILE = (
    "a|b", "# heading", "1. one", "<script>alert(1)</script>", "[link](http://evil)", "![i](x)", "`code`", "**bold**", "~~gone~~",
    "@everyone", "fixes #123", "&lt;", "=1+1", "a\n\n# b", "\x1b[31mred\x1b[0m", "\u202egnp.exe", "$$x$$", "\\", "\\|", "_a_", "\ud800",
)  # fmt: skip


def rendered(text):
    """What a reader sees of GitHub flavoured Markdown, by a parser that is not ours."""
    return MarkdownIt("gfm-like", {"linkify": False}).render(text)


def test_the_outcome_the_counts_and_the_next_step_come_first():
    record = run_record(export("2024-01"), failed("2024-02"), outcome="failed")
    lines = markdown.render(record, limit=PLENTY).splitlines()
    assert lines[0] == "## ❌ support-backfill: 1 export failed"
    assert lines[2].startswith("**Next:** see to what the hints say")
    assert "| ❌ failed | ✅ stored | exports |" in lines
    assert "| 1 | 1 | 2 |" in lines


def test_exports_that_failed_for_one_reason_share_its_telling():
    exports = [failed(window) for window in months(2024, 1)] + [failed("2025-01", "another", hint=None)]
    text = markdown.render(run_record(*exports, outcome="failed"), limit=PLENTY)
    assert text.count("cause:") == 2
    assert text.count("hint:") == 1
    assert "2024-12 support" in text
    assert text.index("### Failures") < text.index("### Grid") < text.index("### Figures")


def test_why_a_run_ended_early_is_told():
    error = {"code": "account.refused", "message": "the token is refused", "hint": "Make a new one."}
    text = markdown.render(run_record(export("2024-01", "pending"), outcome="refused", error=error), limit=PLENTY)
    assert "**Why:** the token is refused \\[account.refused\\]" in text
    assert "**Next:** Make a new one." in text


def test_each_cell_of_the_grid_shows_where_its_export_stands():
    exports = [
        export("2024-01"),
        failed("2024-02"),
        export("2024-03", "skipped", action="wait"),
        export("2024-01", "skipped", action="skip", team="sales"),
        export("2024-02", "pending", team="sales"),
    ]
    text = markdown.render(run_record(*exports, outcome="failed"), limit=PLENTY)
    assert "| | 2024-01 | 2024-02 | 2024-03 |" in text
    assert "| support | ✅ | ❌ | 🕒 |" in text
    assert "| sales | ☑️ | ⏳ |  |" in text


def test_many_windows_stand_year_by_year_in_one_cell():
    text = markdown.render(run_record(*(export(window) for window in months(2023, 2))), limit=PLENTY)
    assert f"| support | 2023-01 to 2023-12 | {'✅' * 12} |" in text
    assert f"| support | 2024-01 to 2024-12 | {'✅' * 12} |" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_read_as_it_is_and_nothing_else(text):
    bad = failed("2024-01", text, hint=text, coordinates={"window": text, "team": text}, report_ids=[text], code="a`b")
    error = {"code": "x", "message": text, "hint": text}
    page = rendered(markdown.render(run_record(bad, export("2024-02"), outcome="failed", error=error), limit=PLENTY))
    plain = rendered(
        markdown.render(
            run_record(
                failed("2024-01", "x", hint="x", coordinates={"window": "x", "team": "x"}, report_ids=["x"], code="ab"),
                export("2024-02"),
                outcome="failed",
                error={"code": "x", "message": "x", "hint": "x"},
            ),
            limit=PLENTY,
        )
    )

    def tags(html):
        return [piece.split(">")[0] for piece in html.split("<")[1:] if not piece.startswith(("code", "/code"))]

    assert tags(page) == tags(plain)
    assert not set(page) & set("\x1b\u202e")


def test_mentions_stand_in_code_where_nobody_is_called():
    assert markdown.foreign("ask @ops or a@b.example") == "ask <code>\\@ops</code> or <code>a\\@b.example</code>"


def test_a_command_in_a_hint_stands_as_code():
    text = markdown.render(run_record(failed("2024-01", hint="see `status` | more"), outcome="failed"), limit=PLENTY)
    assert "hint: see <code>status</code> &#124; more" in text


def test_a_submitted_half_is_told_as_such_and_what_brings_it_home():
    text = markdown.render(run_record(export("2024-01", "pending"), command="submit"), limit=PLENTY)
    assert text.startswith("## ✅ support-backfill: submitted, 1 export to be collected\n")
    assert "<code>collect</code>" in text


def test_the_limits_that_refusals_have_shown_are_told():
    found = {"requests_per_second": 4.83, "unfinished": 16}
    text = markdown.render(run_record(export("2024-01"), found=found), limit=PLENTY)
    assert "- limits found: about 4.8 requests a second, about 16 exports unfinished at once" in text


@pytest.mark.parametrize("limit", [0, 10, 200, 700, 2_000, 10_000, 60_000])
def test_the_limit_holds_and_no_line_is_torn(limit):
    exports = [failed(window, f"reason {n} — ünïcode", team=f"team-{n}") for n, window in enumerate(months(2015, 10))]
    record = run_record(*exports, outcome="failed")
    whole = set(markdown.render(record, limit=PLENTY).splitlines())
    text = markdown.render(record, limit=limit)
    assert len(text.encode()) <= limit
    cut = [line for line in text.splitlines() if line not in whole]
    assert all("cut to fit" in line for line in cut)
    assert cut or not text
