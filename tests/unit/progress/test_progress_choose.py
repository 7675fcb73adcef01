import io

import pytest

from orchestrator.progress.choose import pick


class Stream(io.StringIO):
    def __init__(self, tty):
        super().__init__()
        self.tty = tty

    def isatty(self):
        return self.tty


@pytest.mark.parametrize(
    ("tty", "environ", "kind"),
    [
        (True, {"TERM": "xterm"}, "live"),
        (True, {}, "live"),
        (True, {"TERM": "dumb"}, "plain"),
        (True, {"TERM": "xterm", "CI": "true"}, "plain"),
        (True, {"TERM": "xterm", "CI": "woodpecker"}, "plain"),
        (True, {"TERM": "xterm", "CI": ""}, "live"),
        (True, {"TERM": "xterm", "CI": "False"}, "live"),
        (False, {"TERM": "xterm"}, "plain"),
        (False, {"TERM": "xterm", "FORCE_COLOR": "1"}, "plain"),
    ],
)
def test_live_only_where_a_person_watches(tty, environ, kind):
    assert pick(Stream(tty), environ, quiet=False, no_progress=False) == kind


def test_none_for_who_asks_for_none():
    assert pick(Stream(tty=True), {}, quiet=True, no_progress=False) == "none"
    assert pick(Stream(tty=True), {}, quiet=False, no_progress=True) == "none"
