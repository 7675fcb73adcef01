"""The page of a run in a real browser: it opens without a complaint, filters, sorts, tells what lies under the pointer, prints.

Left out, with the reason told, where no Chromium is installed. The browser is driven by Playwright, without one of its own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from orchestrator.report import html

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "report"))
from report_records import export, failed, months, run_record

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = "<img src=x onerror=\"window.hacked='label'\"><script>window.hacked='label'</script>"
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium here (`apt-get install chromium`)")
    if subprocess.run([CHROMIUM, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"{CHROMIUM} does not start (a stub that asks for a snap?)")
    with sync_playwright() as playwright:
        # A browser started by root refuses to run in its own sandbox.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens text as a file; in the end nothing may have been complained of, and nothing loaded."""
    contexts, complaints, loaded = [], [], []

    def open_it(text, *, allowed=(), **settings):
        file = tmp_path / f"report{len(contexts)}.html"
        file.write_text(text, encoding="utf-8")
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        if settings.get("java_script_enabled", True):
            page.add_init_script(WATCH)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: loaded.append(request.url))
        page.goto(file.as_uri())
        if settings.get("java_script_enabled", True):
            assert page.evaluate("window.violations") == list(allowed)
            complaints[:] = complaints[len(allowed) :]
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []
    assert len(loaded) == len(contexts)


RECORD = run_record(
    *(export(window, team=team) for window in months(2024, 1) for team in ("support", "sales")),
    failed("2025-01", f"cause {HOSTILE}", team="support"),
    failed("2025-01", team=HOSTILE, hint=HOSTILE, code="export.corrupt"),
    export("2025-02", "pending", team="support"),
    export("2025-02", "skipped", action="wait", reason="open until March", team="sales"),
    outcome="failed",
)
PAGE = html.render(RECORD)


def rows(page):
    return page.locator("#exports tbody tr:visible").count()


def test_it_opens_without_a_complaint_and_what_a_label_holds_is_not_run(open_page):
    page = open_page(PAGE)
    assert page.title() == "support-backfill: 2 exports failed"
    assert page.evaluate("window.hacked") is None
    assert page.locator("#exports td", has_text="window.hacked='label'").count() > 0
    assert page.locator("img").count() == 0
    assert rows(page) == 28


def test_a_script_that_found_its_way_in_would_not_be_run(open_page):
    smuggled = PAGE.replace("<main>", "<main><script>window.hacked = 'smuggled'</script>")
    page = open_page(smuggled, allowed=["script-src-elem"])
    assert page.evaluate("window.hacked") is None
    assert page.locator("search").is_visible()  # its own script is


def test_the_search_looks_for_all_words_in_any_column(open_page):
    page = open_page(PAGE)
    search = page.get_by_role("searchbox", name="Search")
    for text, count in (
        ("sales", 13),
        ("sales 2024-0", 9),
        ("EXPORT.CORRUPT", 1),
        ("open until", 1),
        ("ID-2024-03/sales", 1),
        ("nowhere", 0),
        ("", 28),
    ):
        search.fill(text)
        assert rows(page) == count, text
        assert page.get_by_role("status").inner_text() == f"{count} of 28 found"


def test_states_can_be_left_out_by_mouse_and_by_keyboard(open_page):
    page = open_page(PAGE)
    page.get_by_role("checkbox", name="stored", exact=True).uncheck()
    assert rows(page) == 4
    page.get_by_role("checkbox", name="failed").focus()
    page.keyboard.press("Space")
    assert rows(page) == 2
    page.get_by_role("searchbox", name="Search").fill("march")
    assert rows(page) == 1


def test_columns_sort_figures_by_their_value_and_words_by_the_alphabet(open_page):
    sizes = [900, 5_000_000, 30_000]
    page = open_page(html.render(run_record(*(export(f"2024-0{n}", bytes=size) for n, size in enumerate(sizes, 1)))))
    windows = page.locator("#exports tbody td:nth-child(2)")
    page.get_by_role("button", name="Size").click()
    assert windows.all_inner_texts() == ["2024-02", "2024-03", "2024-01"]
    assert page.get_by_role("columnheader", name="Size").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="Size").click()
    assert windows.all_inner_texts() == ["2024-01", "2024-03", "2024-02"]
    page.get_by_role("button", name="window").click()
    assert windows.all_inner_texts() == ["2024-01", "2024-02", "2024-03"]
    assert page.locator("[aria-sort]").count() == 1


def test_a_cell_of_the_grid_tells_its_export_and_leads_to_it(open_page):
    page = open_page(PAGE)
    page.get_by_role("searchbox", name="Search").fill("nothing that there is")
    page.locator("#grid").scroll_into_view_if_needed()
    cross = page.locator("#grid path.failed").first.bounding_box()
    page.mouse.move(cross["x"] + cross["width"] / 2, cross["y"] + cross["height"] / 2)
    assert "2025-01 support: failed" in page.get_by_role("tooltip").inner_text()
    page.mouse.down()
    page.mouse.up()
    found = page.locator("tr.found")
    assert found.is_visible()
    assert "2025-01" in found.inner_text()
    page.mouse.move(1, 1)
    assert page.get_by_role("tooltip").count() == 0


def test_a_bar_of_the_stages_tells_its_export(open_page):
    page = open_page(PAGE)
    page.locator("#stages").hover(position={"x": 500, "y": 5})
    assert "At Loop:" in page.get_by_role("tooltip").inner_text()


def test_the_keyboard_comes_first_to_a_link_past_the_pictures(open_page):
    page = open_page(PAGE)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "exports"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "search"


def test_pictures_have_words_for_those_who_hear_the_page(open_page):
    page = open_page(PAGE)
    names = [page.locator(f"#{name}").get_attribute("aria-label") for name in ("grid", "stages", "load", "requests")]
    assert all(names)
    assert "2 failed, 1 not done yet, 24 stored, 1 window still open" in names[0]
    assert page.get_by_role("img").count() == 4
    assert page.get_by_role("heading", level=1).count() == 1


def test_without_scripts_everything_is_there(open_page):
    page = open_page(PAGE, java_script_enabled=False)
    assert rows(page) == 28
    assert not page.locator("search").is_visible()


LUMINANCE = """(colour) => {
  const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
}"""
CONTRAST = """() => {
  const back = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
  };
  const worst = {};
  for (const element of document.querySelectorAll("h1, h2, h3, p, dt, dd, li, th, td, code, label, legend, span, button")) {
    if (!element.checkVisibility() || !element.textContent.trim()) continue;
    const [a, b] = [getComputedStyle(element).color, back(element)].map(LUMINANCE);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) worst[`${element.tagName} ${element.textContent.trim().slice(0, 30)}`] = contrast;
  }
  return worst;
}""".replace("LUMINANCE", LUMINANCE)
"""Texts that are too faint on what lies behind them, by the measure of WCAG AA."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(open_page, scheme):
    page = open_page(PAGE, color_scheme=scheme)
    background = page.evaluate(f"({LUMINANCE})(getComputedStyle(document.documentElement).backgroundColor)")
    assert (background > 0.5) == (scheme == "light")
    assert page.evaluate(CONTRAST) == {}


def test_on_paper_it_is_light_whole_and_without_controls(open_page):
    page = open_page(PAGE, color_scheme="dark")
    folded = page.locator(".names li").first
    assert not folded.is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert folded.is_visible()
    background = page.evaluate(f"({LUMINANCE})(getComputedStyle(document.documentElement).backgroundColor)")
    assert background > 0.9
    assert not page.locator("search").is_visible()
    assert rows(page) == 28
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("width", [380, 800, 1600])
def test_it_fits_windows_of_any_width(open_page, width):
    page = open_page(PAGE, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_of_two_thousand_exports_a_few_are_shown_until_more_are_wanted(open_page):
    many = [export(window, team=f"team-{n:02}") for window in months(2018, 7) for n in range(24)]
    many[700] = failed(many[700]["coordinates"]["window"], team=many[700]["coordinates"]["team"])
    page = open_page(html.render(run_record(*many, outcome="failed")))
    assert rows(page) == 200
    assert page.get_by_role("status").inner_text() == "2,016 of 2,016 found, the first 200 shown"
    search = page.get_by_role("searchbox", name="Search")
    search.fill("team-07")
    assert rows(page) == 84
    search.fill("")
    grid = page.locator("#grid")
    box = grid.bounding_box()
    grid.click(position={"x": box["width"] * 0.95, "y": box["height"] - 3})  # the last row, and one of the last windows
    assert page.locator("tr.found").is_visible(), "it is not among the first 200"
    assert "team-23" in page.locator("tr.found").inner_text()
    page.get_by_role("button", name="Polls").click()
    assert rows(page) == 200
    page.get_by_role("button", name="Show 1,816 more").click()
    assert rows(page) == 2016
    assert not page.locator("#more").is_visible()
    page.get_by_role("checkbox", name="stored", exact=True).uncheck()
    assert rows(page) == 1


def test_paper_has_what_was_found_and_not_only_the_first_of_it(open_page):
    page = open_page(
        html.render(run_record(*(export(window, team=team) for window in months(2010, 12) for team in "ab")))
    )
    page.get_by_role("searchbox", name="Search").fill("201")
    page.emulate_media(media="print")
    assert rows(page) == 240
