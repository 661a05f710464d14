from onegauge.service.recording.contact import LONGEST_PAUSE_S, Contact


def test_what_fails_is_left_alone_for_longer_and_longer(caplog):
    now = 0.0
    contact = Contact("database", clock=lambda: now)
    assert contact.due
    waits = []
    for _ in range(9):
        contact.failed(OSError("gone"))
        began = now
        while not contact.due:
            now += 0.25
        waits.append(now - began)
    assert waits == [0.5, 1, 2, 4, 8, 16, *[LONGEST_PAUSE_S] * 3]
    assert contact.lost
    assert caplog.text.count("records cannot be written") == 1


def test_what_works_again_is_told_once_and_forgiven(caplog):
    caplog.set_level("INFO", "onegauge.records")
    contact = Contact("database", clock=lambda: 0.0)
    contact.failed(OSError("gone"))
    for _ in range(2):
        contact.succeeded()
    assert contact.due
    assert not contact.lost
    assert caplog.text.count("written again") == 1
