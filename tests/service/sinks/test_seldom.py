import logging

from onegauge.service.sinks.seldom import Seldom

LIBRARY = "a_library_of_servers"


def test_each_place_of_a_library_is_heard_once_a_minute(caplog):
    logger = logging.getLogger(f"{LIBRARY}.module")
    Seldom.listen(LIBRARY)
    Seldom.listen(LIBRARY)
    for number in range(3):
        logger.info("client %d", number)
        logger.warning("client %d is odd", number)
        logger.error("client %d is wrong", number)
    assert caplog.record_tuples == [
        ("onegauge.sinks", logging.WARNING, "client 0 is odd"),
        ("onegauge.sinks", logging.ERROR, "client 0 is wrong"),
    ]
