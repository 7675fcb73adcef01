"""The page of a run as text: whole in itself, everything escaped, bounded. Seen by a browser in test_report_page.py."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from report_records import export, failed, months, run_record

from orchestrator.progress.words import printable
from orchestrator.report import html, pictures

HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style>", "{{ 7 * 7 }}", "&lt;b&gt;", "'\"`", "]]>",
    "<!--", "javascript:alert(1)", "\x1b[31mred", "\u202egpj.exe", "a\nb", "a\ud800b", "=1+1",
)  # fmt: skip


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_it_loads_nothing_and_allows_itself_one_style_and_one_script():
    text = html.render(run_record(export("2024-01"), failed("2024-02"), outcome="failed"))
    page = Page(text)
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (body,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    links = {
        (name, value)
        for _, attrs in page.tags
        for name, value in attrs.items()
        if name in ("href", "src", "xlink:href")
    }
    assert all(value.startswith("#") for _, value in links)
    assert not any(name.startswith("on") or name == "style" for _, attrs in page.tags for name in attrs)
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]*)\)", text)) == {"#hatch", "#stripes"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_wherever_it_stands(text):
    def page_of(label):
        bad = failed(
            "x", label, code=label, hint=label, coordinates={"window": label, label: label}, report_ids=[label]
        )
        parked = export("x", "pending", reason=label, path=label, coordinates={"window": label, label: f"{label}2"})
        error = {"code": label, "message": label, "cause": label, "hint": label}
        return Page(
            html.render(run_record(bad, parked, job=label, run_id=label, reason=label, outcome="storage", error=error))
        )

    hostile, plain = page_of(text), page_of("x" * len(printable(text)))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert [set(attrs) for _, attrs in hostile.tags] == [set(attrs) for _, attrs in plain.tags]
    assert not {"\x1b", "\u202e", "\ud800"} & set("".join(hostile.text))
    if text.isprintable():
        assert any(text in piece for piece in hostile.text)


def test_failures_are_told_before_the_grid_with_code_cause_and_hint():
    exports = [failed(window, "no file came", cause=None) for window in months(2024, 1)] + [failed("2025-01", "other")]
    exports[0]["error"]["cause"] = None
    text = html.render(run_record(*exports, outcome="failed"))
    assert "12 exports: no file came" in text
    assert text.index("no file came") < text.index('id="grid"')
    assert "Look at the filters." in text
    assert "orchestrator explain export.failed" in text


def test_a_command_in_a_hint_stands_as_code_and_nothing_else_does():
    exports = [failed("2024-01", hint="see `status <JOB>` & more"), failed("2024-02", hint="an odd ` <b>")]
    text = html.render(run_record(*exports, outcome="failed"))
    assert "see <code>status &lt;JOB&gt;</code> &amp; more" in text
    assert "an odd ` &lt;b&gt;" in text


def test_a_run_that_did_nothing_has_a_page_too():
    error = {"code": "account.token", "message": "the token is refused", "hint": "Make a new one."}
    text = html.render(run_record(outcome="refused", error=error, history=[]))
    assert "the token is refused" in text
    assert "Make a new one." in text
    assert "<table" not in text
    assert 'class="picture' not in text


def test_the_report_of_an_older_version_lacks_pictures_only():
    old = run_record(export("2024-01"))
    del old["history"], old["exports"][0]["stages"]
    text = html.render(old)
    assert 'id="grid"' in text
    assert 'id="stages"' not in text
    assert 'id="requests"' not in text


def test_a_report_of_ten_thousand_exports_is_bounded_and_says_what_it_leaves_out():
    many = [export(window, team=f"team-{n}") for window in months(2015, 10) for n in range(84)]
    many[5000:5010] = [
        failed(each["coordinates"]["window"], team=each["coordinates"]["team"]) for each in many[5000:5010]
    ]
    many[-1] = export("2024-12", "pending", team="team-83")
    text = html.render(run_record(*many, outcome="failed"))
    assert len(text) < 3_000_000
    assert text.count("<tr id=") == html.LISTED
    assert text.count(' data-s="failed" data-ids') == 10
    assert text.count(' data-s="pending" data-ids') == 1
    assert "3,000 of 10,080 exports are listed" in text
    assert f"the {10_079 - pictures.BARS:,} shortest are left out" in text


def test_two_thousand_exports_are_all_there_in_less_than_two_megabytes():
    many = [export(window, team=f"team-{n}") for window in months(2018, 7) for n in range(24)]
    text = html.render(run_record(*many))
    assert text.count("<tr id=") == len(many)
    assert len(text.encode()) < 2_000_000


# ------------------------------------------------------------------------------------------------------- its pictures


def test_each_cell_of_the_grid_knows_its_export_and_an_empty_one_none():
    picture = pictures.draw_grid([export("2024-01"), export("2024-03", team="sales"), failed("2024-03")])
    assert [(row.label, row.exports) for row in picture.rows] == [("support", [0, 2]), ("sales", [None, 1])]
    assert set(picture.rows[0].paths) == {"stored", "failed", "cross"}


def test_a_grid_of_many_windows_is_cut_into_bands_that_fit():
    days = [f"{month}-{day:02}" for month in months(2024, 2) for day in range(1, 29)]
    picture = pictures.draw_grid([export(day, team=team) for day in days for team in ("a", "b")])
    assert len(picture.rows) == 2 * 8
    assert all(len(row.exports) * picture.side <= pictures.WIDTH - pictures.GUTTER for row in picture.rows)
    assert sorted(n for row in picture.rows for n in row.exports) == list(range(2 * len(days)))


def test_the_waiting_of_all_exports_is_summed_by_stage():
    picture = pictures.draw_stages([export("2024-01"), export("2024-02"), failed("2024-03")], 95.0)
    assert picture.means == pytest.approx(
        {"queued": (1 + 1 + 6) / 3, "service": (19 + 19 + 44) / 3, "notice": 22 / 3, "ready": 2 / 3, "transfer": 2}
    )
    assert set(picture.shares) == {"service", "notice", "ready", "transfer"}


def test_few_exports_stand_on_the_run_s_time_with_their_names_and_many_by_their_length():
    few = pictures.draw_stages([export(f"{n}") for n in range(10)], 95.0)
    assert not few.aligned
    assert [bar.label for bar in few.bars] == [f"{n} support" for n in range(10)]
    many = pictures.draw_stages([export(f"{n}") for n in range(100)] + [failed("x")], 95.0)
    assert many.aligned
    assert many.bars[0].number == 100  # it took longest
    assert many.height <= pictures.TALLEST + 1


def test_a_few_that_took_much_longer_than_the_others_are_cut_off_and_that_is_told():
    slow = export("x", stages=[["queued", 0.0], ["service", 1.0], ["end", 90_000.0]])
    record = run_record(*(export(f"{n}") for n in range(200)), slow, finished_at="2026-11-28T08:00:00Z")
    picture = pictures.draw_stages(record["exports"], 172_800.0)
    assert picture.cut == 1
    assert picture.ticks[-1].text == "0:50"  # the others took 34 s
    assert "1 go on beyond the edge" in html.render(record)


def test_an_export_that_is_not_done_waits_until_the_run_ends():
    assert list(pictures.spans(export("2024-01", "pending"), 95.0)) == [("queued", 0.0, 95.0)]
    late = export("2024-01", stages=[["service", 90.0], ["ready", 120.0], ["end", 130.0]])
    assert list(pictures.spans(late, 95.0)) == [("service", 90.0, 95.0)], "nothing is drawn beyond the run"


def test_exports_at_once_are_counted_over_time():
    picture = pictures.draw_load([export("2024-01"), export("2024-02"), export("2024-03", "pending")], 95.0)
    assert picture.most == pytest.approx(2.0)
    assert set(picture.paths) == {"service", "notice", "ready", "transfer"}


@pytest.mark.parametrize(
    ("most", "lines"), [(3.2, "0 1 2 3 4"), (100, "0 50 100"), (0.004, "0 0.001 0.002 0.003 0.004")]
)
def test_lines_across_stand_at_round_figures(most, lines):
    history = [{"at": 0.0, "seconds": 1.0, "posts": most, "polls": 0, "throttled": 0, "paused": 0.0}]
    assert " ".join(tick.text for tick in pictures.draw_requests(history, 1.0).levels) == lines


@pytest.mark.parametrize("seconds", [0.0, 0.4, 35, 3600, 86_400, 40 * 86_400])
def test_a_run_of_any_length_has_a_handful_of_moments(seconds):
    assert 1 <= len(pictures.ticks(seconds)) <= 9
