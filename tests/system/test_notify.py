"""LISTEN and NOTIFY: at once, also to sessions that do nothing but wait."""

import time

from harness.measure import assert_below
from harness.sessions import Pending


def wait_notification(listener, timeout_s=20):
    for notification in listener.connection.notifies(timeout=timeout_s, stop_after=1):
        return time.monotonic(), notification
    raise AssertionError(f"no notification within {timeout_s} s")


def test_an_idle_session_is_told_at_once(session):
    listener, sender = session(), session()
    listener.run("listen news")
    delays = []
    for n in range(10):
        waiting = Pending(lambda: wait_notification(listener))
        time.sleep(0.05)
        sent = time.monotonic()
        sender.run(f"notify news, 'number {n}'")
        arrived, notification = waiting.result()
        assert (notification.channel, notification.payload, notification.pid) == ("news", f"number {n}", sender.pid)
        delays.append(arrived - sent)
    assert_below(sorted(delays)[5], 0.2, "seconds until an idle session is told, the median")


def test_eight_idle_listeners_are_told(session):
    listeners, sender = [session() for _ in range(8)], session()
    for each in listeners:
        each.run("listen everyone")
    waiting = [Pending(lambda s=s: wait_notification(s)) for s in listeners]
    time.sleep(0.1)
    sender.run("notify everyone, 'hello'")
    assert [each.result()[1].payload for each in waiting] == ["hello"] * 8


def test_notifications_are_sent_at_commit_and_never_at_rollback(session):
    listener, sender = session(), session()
    listener.run("listen c")
    sender.run("begin", "notify c, 'no'", "rollback", "begin", "notify c, 'yes'")
    assert list(listener.connection.notifies(timeout=0.2, stop_after=1)) == []
    sender.run("commit")
    assert wait_notification(listener)[1].payload == "yes"


def test_a_listener_in_a_transaction_is_told_after_it(session):
    listener, sender = session(), session()
    listener.run("listen c", "begin")
    sender.run("notify c, 'later'")
    assert list(listener.connection.notifies(timeout=0.2, stop_after=1)) == []
    listener.run("commit")
    assert wait_notification(listener)[1].payload == "later"


def test_unlisten_and_other_databases_hear_nothing(server, session):
    from harness.sessions import Session

    listener, sender = session(), session()
    elsewhere = Session(server.connect("postgres"))
    try:
        elsewhere.run("listen c")
        listener.run("listen c", "unlisten c")
        sender.run("notify c, 'x'")
        assert list(listener.connection.notifies(timeout=0.2)) == []
        assert list(elsewhere.connection.notifies(timeout=0.2)) == []
    finally:
        elsewhere.close()


def test_a_thousand_notifications_arrive_in_order(session):
    listener, sender = session(), session()
    listener.run("listen many")
    sender.run("begin")
    for n in range(1000):
        sender.run(f"notify many, '{n}'")
    sender.run("commit")
    got = [n.payload for n in listener.connection.notifies(timeout=20, stop_after=1000)]
    assert got[:1000] == [str(n) for n in range(1000)]


def test_triggers_notify_about_rows(session):
    listener, writer = session(), session()
    writer.run(
        "create table t (id int)",
        """create function told() returns trigger language plpgsql as
           $$ begin perform pg_notify('rows', new.id::text); return new; end $$""",
        "create trigger told after insert on t for each row execute function told()",
    )
    listener.run("listen rows")
    writer.run("insert into t select generate_series(1, 3)")
    got = [n.payload for n in listener.connection.notifies(timeout=20, stop_after=3)]
    assert got == ["1", "2", "3"]
