"""What the library tells the caller's log, line by line."""

import logging

import pytest

from orchestrator.engine.events import Paused, Troubled
from orchestrator.library.telling import Logged

TOKEN = "canary-token-5b1f7c20d9"
URL = "https://files.example/x?Signature=canary-signature"


@pytest.fixture
def speech():
    speech = Logged(None)
    speech.never([TOKEN])
    return speech


def test_whatever_a_service_echoes_is_logged_without_secrets_and_on_one_line(speech, caplog):
    observer = speech.observer()
    observer.tell(Troubled(0.0, "k1-a", "api.poll", f"it said {TOKEN} and {URL}\nforged: a line", 1.0))
    speech.never(["a-later-token"])  # the file that holds it was read again
    observer.tell(Paused(0.0, 60.0, "a-later-token is tired"))
    speech.note(f"reading {TOKEN}")
    speech.warn(f"{URL} is odd")
    speech.bug(ValueError(TOKEN))
    assert len(caplog.records) == 4  # a note is below the level
    for record in caplog.records:
        text = record.getMessage()
        assert "[redacted]" in text or "https://files.example/x" in text
        assert not any(secret in text for secret in (TOKEN, "a-later-token", "canary-signature"))
        assert "\n" not in text or record.levelno == logging.ERROR
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "WARNING", "ERROR"]


def test_what_nobody_listens_to_is_not_put_into_words(speech, caplog):
    caplog.set_level(logging.ERROR, "orchestrator")
    speech.observer().tell(Paused(0.0, 60.0, "tired"))
    assert caplog.records == []
