import logging

from onegauge.service.outbox.contact import PAUSES, Contact, Words

WORDS = Words(logging.getLogger("onegauge.records"), "it is gone", "it is back")


def test_what_fails_is_left_alone_for_longer_and_longer(caplog):
    now = 0.0
    contact = Contact("database", WORDS, clock=lambda: now)
    assert contact.due
    waits = []
    for _ in range(9):
        contact.failed(OSError("gone"))
        began = now
        while not contact.due:
            now += 0.05
        waits.append(now - began)
    longest = [0.5, 1, 2, 4, 8, 16, *[PAUSES.longest_s] * 3]  # and up to half of it less
    assert all(up_to / 2 <= wait <= up_to + 0.1 for wait, up_to in zip(waits, longest, strict=True))
    assert contact.lost
    assert caplog.text.count("it is gone") == 1


def test_what_works_again_is_told_once_and_forgiven(caplog):
    caplog.set_level("INFO", "onegauge.records")
    contact = Contact("database", WORDS, clock=lambda: 0.0)
    contact.failed(OSError("gone"))
    for _ in range(2):
        contact.succeeded()
    assert contact.due
    assert not contact.lost
    assert caplog.text.count("it is back") == 1


def test_who_asks_for_a_longer_rest_gets_it():
    now = 0.0
    contact = Contact("receiver", WORDS, clock=lambda: now)
    contact.failed(OSError("busy"), rest_s=5.0)
    now = 4.9
    assert not contact.due
    now = 5.0
    assert contact.due
