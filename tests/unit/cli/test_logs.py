import io
import json
import logging
import re
from dataclasses import replace

import pytest
import structlog

from orchestrator.cli.logs import LogObserver, configure
from orchestrator.engine.events import (
    BytesReceived,
    ExportChanged,
    Learned,
    OutageBegan,
    OutageEnded,
    Parking,
    Paused,
    RequestSent,
    RunEnded,
    RunStarted,
    Told,
    Troubled,
)
from orchestrator.engine.states import Cause, Failure, File, Part, Record, Report, State

T = 1_763_900_000.0
SECRET = "lp_canary_0123456789"


@pytest.fixture(autouse=True)
def as_it_was():
    root = logging.getLogger()
    level = root.level
    yield
    for handler in ours():
        root.removeHandler(handler)
    root.setLevel(level)
    structlog.reset_defaults()


def ours():
    return [handler for handler in logging.getLogger().handlers if type(handler).__module__ == configure.__module__]


@pytest.fixture
def log():
    """Configures, and gives what was written since."""

    def start(form="json", level=logging.DEBUG, stream=None):
        stream = stream or io.StringIO()
        configure(form, level, stream, [SECRET])
        if form == "text":
            return lambda: stream.getvalue().splitlines()
        return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]

    return start


def record(state, **part):
    return Record(
        "k1-abc", {"team": "support", "window": "2024-05"}, "p.json", None, (0, 1), (Part(0, {}, state, **part),)
    )


EVENTS = [
    RunStarted(T, "backfill", "run-1", 24, 3, 16, 4),
    RequestSent(T, "create", "k1-new"),
    ExportChanged(T, record(State.GENERATING), "created"),
    RequestSent(T, "poll", "k1-abc"),
    ExportChanged(T, record(State.WAITING), "unanswered"),
    ExportChanged(T, record(State.WAITING, reports=(Report("r", T, cause=Cause.EXPIRED),)), "lost"),
    ExportChanged(T, record(State.READY), "torn"),
    BytesReceived(T, "k1-abc", 5, None),
    ExportChanged(T, record(State.STORED, stored=File("r", 100, "0", 3, T, partial=False)), "stored"),
    ExportChanged(T, record(State.FAILED, failure=Failure("export.failed", "Loop says no")), "failed"),
    Troubled(T, "k1-abc", "api.broken", f"https://h/p?Signature=x {SECRET}", T + 5),
    Paused(T, T + 300, "429"),
    OutageBegan(T, "api", "refused", T + 900),
    OutageEnded(T, "api"),
    Learned(T, 12.04, None, 4.8312, 12, 4, rate_found=True, cap_found=False),
    Parking(T, "SIGTERM"),
    RunEnded(T, "parked"),
    Told(T),
]


def tell_all():
    observer = LogObserver()
    for told in EVENTS:
        observer.tell(told)


def test_an_export_is_called_by_its_latest_labels(log):
    lines = log()
    observer = LogObserver()
    before = record(State.WAITING)
    observer.tell(ExportChanged(T, before, "planned"))
    observer.tell(ExportChanged(T, replace(before, coordinates={**before.coordinates, "team": "help"}), "planned"))
    observer.tell(RequestSent(T, "create", "k1-abc"))
    assert [line["export"] for line in lines()] == ["support 2024-05", "help 2024-05", "help 2024-05"]


def test_every_event_is_a_line_with_its_level(log):
    lines = log()
    tell_all()
    about = {"export": "support 2024-05", "key": "k1-abc"}
    bare = [{k: v for k, v in line.items() if k != "timestamp"} for line in lines()]
    assert bare == [
        {"level": "info", "event": "run started", "job": "backfill", "run_id": "run-1", "todo": 24, "skipped": 3,
         "unfinished_limit": 16, "downloads_limit": 4},
        {"level": "debug", "event": "request", "kind": "create", "key": "k1-new"},
        {"level": "info", "event": "created", **about},
        {"level": "debug", "event": "request", "kind": "poll", **about},
        {"level": "warning", "event": "a creation got no readable answer: a possible duplicate", **about},
        {"level": "warning", "event": "a report is lost", **about, "cause": "expired"},
        {"level": "warning", "event": "a verified file was gone before it was stored, it is fetched again", **about},
        {"level": "info", "event": "stored", **about, "path": "p.json", "bytes": 100},
        {"level": "error", "event": "failed", **about, "code": "export.failed", "message": "Loop says no"},
        {"level": "warning", "event": "trouble", **about, "code": "api.broken", "message": "https://h/p [redacted]",
         "again_at": "2025-11-23T12:13:25Z"},
        {"level": "warning", "event": "the service asks for silence", "until": "2025-11-23T12:18:20Z", "detail": "429"},
        {"level": "warning", "event": "a host does not answer", "host": "api", "detail": "refused", "gives_up_at": "2025-11-23T12:28:20Z"},
        {"level": "warning", "event": "a host answers again", "host": "api"},
        {"level": "debug", "event": "learned", "seconds": 12.0, "per_second": 4.83, "rate_found": True, "unfinished": 12,
         "cap_found": False, "downloads": 4},
        {"level": "warning", "event": "parking", "reason": "SIGTERM"},
        {"level": "info", "event": "run ended", "outcome": "parked"},
    ]  # fmt: skip
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["timestamp"]) for line in lines())


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        (logging.INFO, {"info", "warning", "error"}),
        (logging.WARNING, {"warning", "error"}),
        (logging.ERROR, {"error"}),
    ],
)
def test_the_level_decides(log, level, seen):
    lines = log(level=level)
    tell_all()
    assert {line["level"] for line in lines()} == seen


def test_text_for_people(log):
    lines = log("text")
    tell_all()
    assert re.fullmatch(r"\d\d:\d\d:\d\d \[warning  \] parking +reason=SIGTERM", lines()[14])
    assert "\x1b" not in "".join(lines())


def test_colours_on_a_terminal_unless_unwanted(log, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = log("text", stream=Terminal())
    structlog.get_logger().info("hello\x1b[2Jworld", field="a\nb")
    assert "\x1b[" in coloured()[0]
    assert "\x1b[2J" not in coloured()[0]
    assert len(coloured()) == 1
    monkeypatch.setenv("NO_COLOR", "1")
    plain = log("text", stream=Terminal())
    structlog.get_logger().info("hello")
    assert "\x1b[" not in plain()[0]


@pytest.mark.parametrize("form", ["text", "json"])
def test_exceptions_show_no_locals_and_no_secrets(log, form):
    stream = io.StringIO()
    log(form, stream=stream)
    try:
        local_value = 41 + 1
        raise ValueError(f"Authorization: Bearer {SECRET}, https://h/p?Signature=abc\x1b[2J {local_value - 42}")
    except ValueError:
        structlog.get_logger().exception("it broke")
        logging.getLogger("aiohttp.client").exception("it %s", "broke")
    text = stream.getvalue()
    assert text.count("ValueError: Authorization: [redacted], https://h/p 0") == 2
    assert "Traceback" in text
    assert not re.search(r"local_value\s*=\s*42|\x1b|canary|abc", text)


def test_the_standard_library_goes_the_same_way(log):
    lines = log()
    logging.getLogger("aiohttp.client").info("not this")
    logging.getLogger("aiohttp.client").error("Unclosed %s", {"Authorization": f"Bearer {SECRET}"})
    logging.getLogger("asyncio").warning("slow callback at https://u:p@h/x?y")
    assert [(line["level"], line["logger"], line["event"]) for line in lines()] == [
        ("error", "aiohttp.client", "Unclosed {'Authorization': '[redacted]'}"),
        ("warning", "asyncio", "slow callback at https://[redacted]@h/x"),
    ]


def test_a_line_that_cannot_be_formatted_shows_nothing_raw(log, capsys):
    lines = log()
    logging.getLogger().handlers[:] = ours()  # pytest's own handler would raise
    logging.getLogger("odd").warning("%d", SECRET)
    assert [(line["event"], line["source"], line["error"]) for line in lines()] == [
        ("a log line could not be put into words", "odd", "TypeError")
    ]
    assert capsys.readouterr() == ("", "")


def test_configuring_again_replaces_the_first(log):
    first, second = log(), log()
    structlog.get_logger().info("hello")
    logging.getLogger("asyncio").warning("hello")
    assert first() == []
    assert len(second()) == 2


def test_a_reader_that_has_gone_is_no_trouble(log):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    log(stream=Gone())
    tell_all()
    logging.getLogger("asyncio").warning("hello")
