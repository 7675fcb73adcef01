"""What a fact means for a part, as tables; and that whatever is answered, the journal folds to the same record."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from fakes import START, make_export, make_policy
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.content.digest import Digest
from orchestrator.engine.health import Streak
from orchestrator.engine.policy import Retry
from orchestrator.engine.ports import Accepted, Broken, Denied, Invalid, NotFound, SignedUrl, Status, Throttled
from orchestrator.engine.states import (
    FINAL,
    Alive,
    Cause,
    Created,
    Doubted,
    Failed,
    Intended,
    Lost,
    Planned,
    Ready,
    Refused,
    State,
    Stored,
    Torn,
    Unanswered,
    Verified,
    apply,
    event_from_json,
    event_to_json,
)
from orchestrator.engine.step import (
    Asked,
    Create,
    Fetch,
    FetchBroke,
    Fetched,
    FetchWrong,
    Live,
    NotPosted,
    NotThere,
    Place,
    Placed,
    Poll,
    Posted,
    Posting,
    Resumed,
    UrlDied,
    Watch,
    step,
)

POLICY = make_policy()
URL = SignedUrl("https://files.test/1?Signature=canary")
COMPLETED = Status("Completed", URL)
DIGEST = Digest(2, "ab", 0)


class Story:
    """A part under way, told fact by fact."""

    def __init__(self, policy=POLICY, chance=lambda: 0.0, **live):
        export = make_export(0)
        planned = Planned(export.key, START, path=export.path, window=(0, 10), requests=export.parts)
        self.record = apply(None, planned)
        self.live = Live(**live)
        self.now = START
        self.policy = policy
        self.chance = chance
        self.events = []
        self.wants = ()

    @property
    def part(self):
        return self.record.parts[0]

    def take(self, *facts, after=1.0):
        """The kinds of the events that the last fact gave."""
        for fact in facts:
            self.now += after
            done = step(self.record, 0, self.live, fact, now=self.now, policy=self.policy, chance=self.chance)
            self.record, self.live, self.wants = done.record, done.live, done.wants
            self.events += done.events
        return [type(event) for event in done.events]

    def created(self, report_id="r1"):
        self.take(Resumed(), Posting(), Posted(Accepted(report_id, "Processing")))
        return self

    def ready(self):
        self.created().take(Asked("r1", COMPLETED))
        return self

    def wanted(self):
        return [type(want) for want in self.wants]


def counted(tries, failures=1):
    return Streak(began=0, failures=failures, tries=tries)


# ---------------------------------------------------------------------------------------------------------- creating


def test_a_new_export_wants_to_be_created_at_once():
    story = Story()
    assert story.take(Resumed()) == []
    assert story.wanted() == [Create]
    assert story.wants[0].at <= story.now


@pytest.mark.parametrize(
    ("answer", "streak", "events", "state"),
    [
        (Accepted("r1", "Processing"), None, [Created], State.GENERATING),
        (Throttled(5, "429"), None, [Refused], State.WAITING),
        (Throttled(5, "503", unavailable=True), counted(0), [Refused], State.WAITING),
        (Invalid("tagIds"), None, [Refused, Failed], State.FAILED),
        (Denied(403, "no"), None, [Refused, Failed], State.FAILED),
        (Broken("refused", sent=False), counted(0), [Refused], State.WAITING),
        (Broken("reset"), counted(0), [Unanswered], State.WAITING),
        (Broken("500"), counted(5), [Unanswered], State.WAITING),
        (Broken("500"), counted(6), [Unanswered, Failed], State.FAILED),
        (Broken("refused", sent=False), counted(6), [Refused, Failed], State.FAILED),
    ],
)
def test_what_an_answer_to_a_post_means(answer, streak, events, state):
    story = Story()
    assert story.take(Resumed(), Posting()) == [Intended]
    assert story.take(Posted(answer, streak)) == events
    assert story.part.state is state
    assert story.part.spent == 0


def test_stop_fails_an_ambiguous_creation():
    story = Story(make_policy(retry=Retry(ambiguous="stop")))
    story.take(Resumed(), Posting())
    assert story.take(Posted(Broken("reset"), counted(0))) == [Unanswered, Failed]
    assert story.part.failure.code == "create.ambiguous"


def test_an_intent_that_was_not_sent_is_no_duplicate():
    story = Story()
    story.take(Resumed(), Posting())
    assert story.take(NotPosted("the gate closed")) == [Refused]
    assert (story.part.duplicates, story.wanted()) == (0, [Create])


def test_a_crash_between_intent_and_id_is_a_possible_duplicate():
    story = Story()
    story.take(Resumed(), Posting())
    story.live = Live()
    assert story.take(Resumed()) == [Unanswered]
    assert (story.part.duplicates, story.wanted()) == (1, [Create])


def test_a_failed_creation_waits_before_the_next():
    story = Story(chance=lambda: 0.5)
    story.take(Resumed(), Posting(), Posted(Broken("500"), counted(0, failures=3)))
    assert story.wants[0].at == story.now + 4.5


def test_the_first_poll_comes_after_first():
    story = Story().created()
    assert story.wants == (Poll(story.now + 10, "r1", planned=True),)


# ----------------------------------------------------------------------------------------------------------- polling


@pytest.mark.parametrize(
    ("answer", "events", "wanted"),
    [
        (Status("Processing"), [Alive], [Poll]),
        (Status("Completed"), [Alive], [Poll]),
        (COMPLETED, [Ready], [Fetch]),
        (Status("PendingOrExpired"), [], [Poll]),
        (Status("Queued"), [], [Poll]),
        (Status("Failed"), [Lost], [Create]),
        (Status("Expired"), [Lost], [Create]),
        (NotFound(), [Doubted], [Poll]),
        (Throttled(5, "429"), [], [Poll]),
        (Denied(403, "no"), [Failed], []),
        (Denied(401, "no"), [], [Poll]),
    ],
)
def test_what_an_answer_to_a_first_poll_means(answer, events, wanted):
    story = Story().created()
    assert story.take(Asked("r1", answer)) == events
    assert story.wanted() == wanted


def test_a_poll_that_was_throttled_is_due_as_soon_as_the_gate_opens():
    story = Story().created()
    story.take(Asked("r1", Throttled(5, "429")))
    assert story.wants[0].at == story.now
    assert story.live.watches["r1"].asked == 0


def test_failing_polls_are_counted_and_throttled_ones_change_nothing():
    story = Story().created()
    story.take(Asked("r1", Broken("500"), counted(5)))
    story.take(Asked("r1", Throttled(5, "429")))
    assert story.live.asking == counted(5)
    assert story.take(Asked("r1", Broken("500"), counted(6))) == [Failed]
    story = Story().created()
    story.take(Asked("r1", Broken("500"), counted(5)), Asked("r1", Status("Processing")))
    assert story.live.asking is None


@pytest.mark.parametrize(("apart", "events"), [(9.9, []), (10.0, [Lost]), (3600.0, [Lost]), (-86_400.0, [Doubted])])
@pytest.mark.parametrize("gone", [NotFound(), Status("PendingOrExpired")])
def test_gone_takes_two_reads_apart(gone, apart, events):
    story = Story().created()
    story.take(Asked("r1", Status("Processing")), Asked("r1", gone))
    assert story.part.reports[0].doubted_at == story.now
    assert story.take(Asked("r1", gone), after=apart) == events
    assert all(want.at <= story.now + 10 for want in story.wants)


def test_a_read_is_as_old_as_its_question():
    story = Story().created()
    story.take(Asked("r1", Status("Processing")), Asked("r1", NotFound()))
    doubted_at = story.now
    assert story.take(Asked("r1", NotFound(), sent_at=doubted_at + 9.9), after=10.5) == []
    assert [want.at for want in story.wants] == [story.now]
    assert story.take(Asked("r1", NotFound(), sent_at=doubted_at + 10.5), after=0.5) == [Lost]


def test_a_sign_of_life_ends_a_doubt():
    story = Story().created()
    story.take(Asked("r1", NotFound()), Asked("r1", Status("Processing")))
    assert story.part.reports[0].doubted_at is None
    assert story.take(Asked("r1", Status("PendingOrExpired")), after=100) == [Doubted]


@pytest.mark.parametrize(("age", "events"), [(7100.0, []), (7300.0, [Lost])])
def test_pending_that_was_never_alive_is_given_up_after_stuck_after(age, events):
    assert Story().created().take(Asked("r1", Status("PendingOrExpired")), after=age) == events


def test_age_without_a_fresh_answer_decides_nothing():
    story = Story().created()
    assert story.take(Resumed(), after=1e6) == []
    assert story.wants == (Poll(story.now, "r1"),)


@pytest.mark.parametrize("status", [Status("Processing"), Status("Completed"), Status("Queued")])
def test_stuck_is_followed_slowly_beside_its_successor(status):
    story = Story().created()
    assert Lost in story.take(Asked("r1", status), after=7300)
    assert story.part.reports[0].cause is Cause.STUCK
    assert story.wanted() == [Poll, Create]
    assert story.wants[0].at == story.now + POLICY.polling.max
    story.take(Posting(), Posted(Accepted("r2", "Processing")))
    assert story.take(Asked("r1", COMPLETED)) == [Ready]
    assert story.wants[0].report_id == "r1"


def test_the_creations_of_a_part_are_bounded():
    story = Story(make_policy(retry=Retry(exports=2)))
    for n in range(3):
        story.take(Posting(), Posted(Accepted(f"r{n}", "")))
        last = story.take(Asked(f"r{n}", Status("Failed")))
    assert last == [Lost, Failed]
    assert story.part.failure.code == "export.failed"


def test_what_the_job_no_longer_names_is_not_created():
    story = Story(may_create=False, named=False).created()
    story.take(Asked("r1", Status("Failed")))
    assert story.wants == ()
    story = Story(may_create=False, named=False).created()
    story.take(Asked("r1", Status("Processing")), after=7300)
    assert story.wants == ()


@pytest.mark.parametrize("named", [True, False])
def test_what_is_not_created_anew_fails_with_its_last_creation_unless_the_job_no_longer_names_it(named):
    story = Story(make_policy(retry=Retry(exports=0)), may_create=False, named=named).created()
    assert story.take(Asked("r1", Status("Failed"))) == ([Lost, Failed] if named else [Lost])


# ---------------------------------------------------------------------------------------------------------- fetching


def test_from_ready_to_stored():
    story = Story().ready()
    assert story.take(Fetched("r1", DIGEST, "t.part")) == [Verified]
    assert story.wanted() == [Place]
    file = story.part.file
    assert (file.path, file.exported_at, file.partial) == (story.record.path, story.part.reports[0].created_at, False)
    assert story.take(Placed()) == [Stored]
    assert story.wants == ()


def test_what_was_created_before_its_window_ended_is_partial():
    story = Story().created()
    story.record = replace(story.record, window=(0, int(START) + 10_000))
    story.take(Asked("r1", COMPLETED), Fetched("r1", DIGEST, "t.part"))
    assert story.part.file.partial


def test_bytes_that_are_nowhere_are_fetched_again_with_a_fresh_url():
    story = Story().ready()
    story.take(Fetched("r1", DIGEST, "t.part"))
    story.live = Live()
    story.take(Resumed())
    assert story.wanted() == [Place]
    assert story.take(NotThere()) == [Torn]
    assert story.wants == (Poll(story.now, "r1"),)
    assert story.take(Asked("r1", COMPLETED)) == [], "it was known to be ready"
    assert story.wanted() == [Fetch]


def test_a_dead_url_is_asked_for_anew_at_once_then_ever_later():
    story = Story(chance=lambda: 0.5).ready()
    waits = []
    for _ in range(5):
        story.take(UrlDied(403))
        waits.append(story.wants[0].at - story.now)
        story.take(Asked("r1", COMPLETED))
    assert waits == [0, 1.5, 2.5, 4.5, 8.5]
    assert story.take(UrlDied(403)) == [Failed]


def test_a_broken_download_keeps_its_url():
    story = Story().ready()
    story.take(FetchBroke("cut", counted(0), wait=30.0))
    assert story.wants == (Fetch(story.now + 30, "r1", URL),)
    assert story.take(FetchBroke("cut", counted(6))) == [Failed]


def test_wrong_content_is_fetched_three_times_before_the_report_is_given_up():
    story = Story().ready()
    for _ in range(2):
        assert story.take(FetchWrong("r1", "content.invalid", "torn")) == []
        story.take(Asked("r1", COMPLETED))
    assert story.take(FetchWrong("r1", "content.invalid", "torn")) == [Lost]
    assert story.part.reports[0].cause is Cause.CORRUPT


# -------------------------------------------------------------------------------------------------------- properties

answers = st.one_of(
    st.sampled_from(["Processing", "Completed", "PendingOrExpired", "Failed", "Expired", "Queued"]).map(Status),
    st.just(COMPLETED),
    st.just(NotFound()),
    st.just(Throttled(3, "429")),
    st.just(Denied(403, "no")),
    st.just(Broken("500")),
)
creations = st.sampled_from(["accepted", Throttled(1, "429"), Invalid("x"), Broken("reset"), Broken("dns", sent=False)])
fetches = st.sampled_from(["whole", UrlDied(403), "broken", "wrong"])


@given(st.data())
def test_whatever_is_answered_the_journal_folds_to_the_same_record(data):
    story = Story(make_policy(stuck_after=500.0), chance=lambda: 0.5)
    begun = story.record
    story.take(Resumed())
    ids = 0
    for _ in range(60):
        if not story.wants:
            break
        if data.draw(st.integers(0, 15)) == 0:  # the process dies and another one goes on
            story.live = Live()
            story.take(Resumed())
            continue
        want = data.draw(st.sampled_from(story.wants))
        story.now = max(story.now, want.at)
        streak = counted(data.draw(st.integers(0, 7)))
        match want:
            case Create():
                story.take(Posting())
                if data.draw(st.booleans()) and data.draw(st.booleans()):
                    continue_with = NotPosted("parked")
                else:
                    answer = data.draw(creations)
                    if answer == "accepted":
                        ids += 1
                        answer = Accepted(f"r{ids}", "Processing")
                    continue_with = Posted(answer, streak if isinstance(answer, Broken) else None)
                story.take(continue_with)
            case Poll(_, report_id):
                answer = data.draw(answers)
                story.take(Asked(report_id, answer, streak if isinstance(answer, Broken) else None))
            case Fetch(_, report_id, _):
                match data.draw(fetches):
                    case "whole":
                        story.take(Fetched(report_id, DIGEST, "t.part"))
                    case "broken":
                        story.take(FetchBroke("cut", streak))
                    case "wrong":
                        story.take(FetchWrong(report_id, "content.invalid", "torn"))
                    case died:
                        story.take(died)
            case Place():
                story.take(data.draw(st.sampled_from([Placed(), NotThere()])))
    folded = begun
    for event in story.events:
        row = json.loads(json.dumps(event_to_json(event)))
        folded = apply(folded, event_from_json(event.kind, event.key, event.part, event.at, row))
    assert folded == story.record
    part = story.part
    assert bool(story.wants) == (part.state not in FINAL)
    assert all(isinstance(watch, Watch) for watch in story.live.watches.values())
    # The promise of accounting.
    accepted = sum(isinstance(event, Created) for event in story.events)
    assert accepted <= 1 + sum(report.cause is not None for report in part.reports)
    assert part.duplicates == sum(isinstance(event, Unanswered) for event in story.events)
    assert part.spent <= POLICY.retry.exports + 1
