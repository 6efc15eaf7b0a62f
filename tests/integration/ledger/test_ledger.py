"""The ledger on a real PostgreSQL: gapless under concurrency, append-only, and honest about tampering."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fraud_ml.errors import BadInput, Tampered, Unavailable
from fraud_ml.events import Event, EventType
from fraud_ml.ledger import GENESIS, EntryKind, Ledger
from fraud_ml.ledger._database import APPENDING
from fraud_ml.settings import Settings

Superuser = Callable[[str], None]


def an_event(number: int = 1, *, dataset: str = "motor") -> Event:
    return Event(f"e{number}", EventType.PROMOTED, "fraud-ml", "ab", "2026-01-31T00:00:00+00:00", {"dataset": dataset})


def decide(ledger: Ledger, number: int = 1, *, event: bool = False, dataset: str = "motor", **extra: object):
    return ledger.append(
        EntryKind.PROMOTED,
        dataset=dataset,
        subject=f"subject{number}",
        actor="ana",
        body={"number": number, **extra},
        event=an_event(number, dataset=dataset) if event else None,
    )


# --- appending ------------------------------------------------------------------------------------------------------


def test_entries_are_chained_from_the_genesis(ledger: Ledger) -> None:
    first, second = decide(ledger, 1), decide(ledger, 2, name="Ü", share=0.1, none=None)
    assert (first.seq, first.previous, second.seq, second.previous) == (1, GENESIS, 2, first.digest)
    assert ledger.find() == (first, second)
    assert ledger.latest(kind=EntryKind.PROMOTED, dataset="motor", subject="subject2") == second
    assert ledger.latest(subject="subject3") is None
    assert (ledger.head().seq, ledger.head().digest) == (2, second.digest)
    assert ledger.verify() == ()


def _append_many(url: str, appender: int) -> None:
    ledger = Ledger(url)
    for number in range(10):
        decide(ledger, 100 * appender + number, event=True)
        ledger.append(
            EntryKind.RUN_OPENED, dataset="motor", subject="run", actor="pin", body={"by": appender}, once=True
        )


def test_eight_appenders_at_once_make_one_gapless_chain(ledger: Ledger, place: Settings) -> None:
    with ThreadPoolExecutor(8) as appenders:
        list(appenders.map(lambda number: _append_many(place.ledger_url, number), range(8)))
    entries = ledger.find()
    assert [entry.seq for entry in entries] == list(range(1, 82))
    assert sum(entry.kind is EntryKind.RUN_OPENED for entry in entries) == 1
    assert [event.data["sequence"] for event in ledger.pending()] == [e.seq for e in entries if e.event_id]
    assert ledger.verify() == ()


def test_once_returns_the_first_entry_of_kind_subject_and_actor(ledger: Ledger) -> None:
    def opened(actor: str, champion: str):
        return ledger.append(
            EntryKind.RUN_OPENED, dataset="motor", subject="run", actor=actor, body={"champion": champion}, once=True
        )

    first = opened("pin", "1")
    assert opened("pin", "2") == first
    assert opened("other", "2").seq == 2


def test_an_entry_whose_event_cannot_be_written_is_not_written_either(ledger: Ledger) -> None:
    decide(ledger, 1, event=True)
    with pytest.raises(Exception, match="refused"):
        decide(ledger, 1, event=True)  # the same event id again
    assert len(ledger.find()) == 1
    assert len(ledger.pending()) == 1
    assert decide(ledger, 2).seq == 2
    assert ledger.verify() == ()


@pytest.mark.parametrize("subject", ["", "a\nb", "a\0b"])
def test_an_entry_needs_a_printable_subject(ledger: Ledger, subject: str) -> None:
    with pytest.raises(BadInput):
        ledger.append(EntryKind.APPROVED, dataset="motor", subject=subject, actor="ana", body={})


def test_migrating_twice_and_at_once_changes_nothing(ledger: Ledger, place: Settings) -> None:
    decide(ledger)
    migrate = "import sys; from fraud_ml.ledger import Ledger; Ledger(sys.argv[1]).migrate()"
    again = [subprocess.Popen([sys.executable, "-c", migrate, place.ledger_url]) for _ in range(2)]
    assert [process.wait(60) for process in again] == [0, 0]
    assert ledger.verify() == ()


# --- append-only ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "update entries set body = '{}' where seq = 1",
        "update entries set actor = actor",
        "delete from entries where seq = 2",
        "truncate entries cascade",
        "delete from outbox",
        "truncate outbox",
        "update outbox set envelope = '{}'",
        "update outbox set sent_at = now(); update outbox set sent_at = null",
        "delete from inbox",
        "truncate inbox",
        "update chain_head set seq = 0",
        "delete from chain_head",
        "insert into entries select 4, at, kind, dataset, subject, actor, body, 'x', 'y' from entries where seq = 1",
        "insert into entries select 3, at, kind, dataset, subject, actor, body, 'x', 'y' from entries where seq = 1",
    ],
)
def test_the_database_itself_refuses(ledger: Ledger, superuser: Superuser, sql: str) -> None:
    import psycopg

    decide(ledger, 1, event=True)
    decide(ledger, 2)
    ledger.receive(
        an_event(7), kind=EntryKind.DEPLOYED, dataset="motor", subject="s", actor="a", body={}
    ) if "inbox" in sql else None
    with pytest.raises(psycopg.errors.RaiseException):
        superuser(sql)
    assert ledger.verify() == ()


def without_guards(table: str, sql: str) -> str:
    return f"alter table {table} disable trigger all; {sql}; alter table {table} enable trigger all"


@pytest.mark.parametrize(
    ("table", "sql", "named"),
    [
        ("entries", "update entries set body = replace(body, 'number', 'numbep') where seq = 2", "entry 2:"),
        ("entries", "update entries set body = body || ' ' where seq = 2", "entry 2:"),
        ("entries", "update entries set actor = 'bna' where seq = 1", "entry 1:"),
        ("entries", "update entries set at = replace(at, '20', '19') where seq = 3", "entry 3:"),
        (
            "entries",
            "update entries set digest = translate(digest, '0123456789', '1234567890') where seq = 2",
            "entry 2:",
        ),
        (
            "entries",
            "update entries set previous = translate(previous, '0123456789', '1234567890') where seq = 3",
            "entry 3:",
        ),
        ("entries", "delete from entries where seq = 2", "entry 2: missing"),
        ("entries", "delete from entries where seq = 3", "entry 3: missing"),
        ("entries", "update entries set seq = 5 where seq = 3", "entries 3 to 4: missing"),
        ("outbox", "update outbox set envelope = replace(envelope, 'motor', 'motel')", "event e1: its bytes"),
        ("outbox", "update outbox set event_id = 'e9'", "event e9:"),
        ("outbox", "delete from outbox", "entry 1: its event e1 is missing"),
        (
            "outbox",
            "insert into outbox (event_id, seq, dataset, envelope) values ('x', 2, 'motor', '{}')",
            "event x: no entry",
        ),
        ("inbox", "insert into inbox (event_id, seq) values ('x', 9)", "received event x: its entry 9 is missing"),
    ],
)
def test_one_who_switches_the_guards_off_is_found_out(
    ledger: Ledger, superuser: Superuser, table: str, sql: str, named: str
) -> None:
    decide(ledger, 1, event=True)
    decide(ledger, 2)
    decide(ledger, 3)
    assert ledger.verify() == ()
    superuser(without_guards(table, sql))
    assert any(problem.startswith(named) for problem in ledger.verify())


def test_a_tampered_entry_is_never_handed_out(ledger: Ledger, superuser: Superuser) -> None:
    decide(ledger, 1)
    superuser(without_guards("entries", "update entries set body = replace(body, '1', '2')"))
    with pytest.raises(Tampered, match="entry 1 "):
        ledger.find(kind=EntryKind.PROMOTED)


def test_appending_after_a_cut_end_leaves_the_gap_in_sight(ledger: Ledger, superuser: Superuser) -> None:
    decide(ledger, 1)
    decide(ledger, 2)
    superuser(without_guards("entries", "delete from entries where seq = 2"))
    assert decide(ledger, 3).seq == 3
    assert ledger.verify() == ("entry 2: missing",)


# --- outbox and inbox -----------------------------------------------------------------------------------------------


def test_pending_events_leave_in_the_order_of_decisions_until_sent(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        decide(ledger, number, event=True)
    assert [event.id for event in ledger.pending()] == ["e1", "e2", "e3"]
    assert [event.id for event in ledger.pending(2)] == ["e1", "e2"]
    ledger.mark_sent("e1")
    ledger.mark_sent("e1")
    assert [event.id for event in ledger.pending()] == ["e2", "e3"]


def test_an_event_that_waits_holds_back_its_dataset_and_no_other(ledger: Ledger) -> None:
    decide(ledger, 1, event=True)
    decide(ledger, 2, event=True)
    decide(ledger, 3, event=True, dataset="home")
    ledger.mark_failed("e1", "no queue takes it")
    assert [event.id for event in ledger.pending()] == ["e3"]
    assert ledger.waiting() == 3
    time.sleep(0.35)
    assert [event.id for event in ledger.pending()] == ["e1", "e2", "e3"]


def test_a_watch_wakes_when_an_event_is_written(ledger: Ledger) -> None:
    with ledger.watch_outbox() as watch:
        assert watch.wait(0.05) is False
        decide(ledger, 1)
        assert watch.wait(0.05) is False
        decide(ledger, 2, event=True)
        began = time.monotonic()
        assert watch.wait(5) is True
        assert time.monotonic() - began < 1


def test_one_relay_watches_at_a_time(ledger: Ledger) -> None:
    with ledger.watch_outbox(), pytest.raises(Unavailable, match="another relay"), ledger.watch_outbox():
        pass
    with ledger.watch_outbox():
        pass


def deployed(ledger: Ledger, number: int, **body: object) -> bool:
    return ledger.receive(
        an_event(number),
        kind=EntryKind.DEPLOYED,
        dataset="motor",
        subject="s",
        actor="scorer-1",
        body={"event_id": "p", **body},
    )


def test_an_event_received_twice_is_recorded_once(ledger: Ledger) -> None:
    assert deployed(ledger, 1) is True
    assert deployed(ledger, 1) is False
    assert len(ledger.find()) == 1
    assert ledger.verify() == ()


def test_the_same_answer_under_a_new_id_is_recorded_once(ledger: Ledger) -> None:
    assert deployed(ledger, 1) is True
    assert deployed(ledger, 2) is False
    assert deployed(ledger, 3, reason="other") is True
    assert [entry.seq for entry in ledger.find()] == [1, 2]


# --- unavailable ----------------------------------------------------------------------------------------------------


def test_a_database_that_is_away_is_unavailable_and_names_no_password() -> None:
    with pytest.raises(Unavailable) as away:
        Ledger("postgresql+psycopg://someone:s3cret@127.0.0.1:1/ledger").find()
    assert "s3cret" not in str(away.value)


def test_an_address_that_is_no_url_is_bad_input_and_is_not_shown() -> None:
    with pytest.raises(BadInput) as refused:
        Ledger("s3cret").find()
    assert "s3cret" not in str(refused.value)


def test_a_database_without_tables_says_what_to_run(postgres_settings: Settings) -> None:
    from sqlalchemy import make_url

    empty = make_url(postgres_settings.ledger_url).set(database="template1")
    with pytest.raises(Unavailable, match="no tables yet"):
        Ledger(empty.render_as_string(hide_password=False)).find()


def test_appending_gives_up_waiting_for_a_stuck_appender(ledger: Ledger, place: Settings) -> None:
    import psycopg

    with psycopg.connect(place.ledger_url.replace("+psycopg", "")) as stuck:
        stuck.execute(f"select pg_advisory_xact_lock({APPENDING})")
        began = time.monotonic()
        with pytest.raises(Unavailable):
            Ledger(place.ledger_url, lock_timeout_s=1).append(
                EntryKind.APPROVED, dataset="motor", subject="s", actor="ana", body={}
            )
        assert time.monotonic() - began < 10
    assert decide(ledger).seq == 1


def test_importing_the_ledger_loads_no_database_library() -> None:
    heavy = "{'sqlalchemy', 'alembic', 'psycopg', 'pika', 'cloudevents', 'cryptography'}"
    program = f"import sys, fraud_ml.ledger, fraud_ml.messaging; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
