"""What can go wrong with sinks.

SinkError
├── InvalidSinks      the file of settings makes no sense
├── UnknownSink       there is no sink of this name
├── SinkUnavailable   what a sink brings events to does not take any now
└── RefusedEvent      it will never take this one
"""


class SinkError(Exception):
    """A sink cannot be what is asked of it; its text is for the user."""


class InvalidSinks(SinkError):
    """The file of the sinks makes no sense; the message names the sink, the key and the value."""


class UnknownSink(SinkError):
    """There is no sink of this name."""


class SinkUnavailable(SinkError):
    """Events cannot be brought now; it is worth trying again, after `rest_s` seconds at least."""

    def __init__(self, detail: str, rest_s: float = 0.0) -> None:
        super().__init__(detail)
        self.rest_s = rest_s


class RefusedEvent(SinkError):
    """What an event is brought to will never take it."""
