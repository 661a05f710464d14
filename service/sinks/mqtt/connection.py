"""A connection to an MQTT broker, where paho is called.

It speaks MQTT 5: there a broker that does not take what is published says so, and why, where with
MQTT 3.1.1 it acknowledges and drops it. All happens in the thread that calls, while it waits for
the broker. A connection that is lost stays so.
"""

import selectors
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from selectors import EVENT_READ, EVENT_WRITE
from ssl import SSLCertVerificationError, SSLSocket
from time import monotonic

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from onegauge.service.sinks.errors import RefusedEvent, SinkUnavailable
from onegauge.service.sinks.mqtt.settings import MqttSettings

CONNECT_S = 5.0
ANSWER_S = 10.0
KEEPALIVE_S = 30  # the broker publishes the will after one and a half times as long without a word
IN_FLIGHT = 100  # messages that are not acknowledged yet; a broker may want fewer
OVERHEAD = 100  # bytes of a packet beside topic and payload, at most
# paho's own loop cannot wait for files with numbers above 1023, which a gateway may well have
Selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)
ADVICE = {
    "Bad user name or password": "check user and password_file",
    "Not authorized": "check user and password_file, and what the broker allows that user",
    "Session taken over": "another client has the same name: each gateway needs ONEGAUGE_SOURCE",
    "Unspecified error": "it has stopped, or has another client of this name: ONEGAUGE_SOURCE",
    "Unsupported protocol version": "it does not speak MQTT 5",
}
_FOR_EVER = frozenset({"Topic name invalid", "Payload format invalid"})


@dataclass(frozen=True)
class Message:
    """What is published where; the broker keeps the last of a topic that is to be retained."""

    topic: str
    payload: bytes
    retain: bool = False


class _TlsSocket(SSLSocket):
    """Closes itself where nobody is to be trusted, which paho does not do."""

    def do_handshake(self, block: bool = False) -> None:
        """As any."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class _Heard:
    """What the broker has said; apart from `Connection`, so that a client is in no cycle."""

    def __init__(self) -> None:
        self.welcome = False
        self.end: ReasonCode | None = None
        self.in_flight, self.max_packet = IN_FLIGHT, 2**28
        self.under_way: dict[int, str] = {}  # the topic of each message, by its number
        self.refused: list[tuple[str, ReasonCode]] = []

    def connected(
        self,
        _client: Client,
        _data: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        told: Properties | None,
    ) -> None:
        """Take a broker's answer to who connects."""
        if reason.is_failure:
            self.end = reason
            return
        self.welcome = True
        self.in_flight = min(self.in_flight, getattr(told, "ReceiveMaximum", IN_FLIGHT))
        self.max_packet = getattr(told, "MaximumPacketSize", self.max_packet)

    def acknowledged(
        self, _client: Client, _data: object, number: int, reason: ReasonCode, _told: Properties
    ) -> None:
        """Take a broker's word for a message."""
        topic = self.under_way.pop(number)
        if reason.is_failure:
            self.refused.append((topic, reason))

    def ended(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _told: Properties | None,
    ) -> None:
        """Take the end of the connection."""
        self.end = self.end or reason


class Connection:
    """A connection of one client to one broker."""

    def __init__(self, settings: MqttSettings, client_id: str, will: Message) -> None:
        self._settings, self._client_id = settings, client_id
        self._heard = _Heard()
        self._properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        self._properties.ContentType = "application/cloudevents+json"
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self._client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        self._client.connect_timeout = CONNECT_S
        self._client.max_inflight_messages = 0  # none: `publish` keeps the broker's
        self._client.on_connect = self._heard.connected
        self._client.on_publish = self._heard.acknowledged
        self._client.on_disconnect = self._heard.ended

    def open(self) -> None:
        """Reach the broker and say who it is; raises SinkUnavailable."""
        url, client = self._settings.url, self._client
        try:
            if (context := self._settings.tls_context()) is not None:
                context.sslsocket_class = _TlsSocket
                client.tls_set_context(context)
            client.username_pw_set(self._settings.user, self._settings.password())
            client.connect(self._settings.host, self._settings.port, KEEPALIVE_S)
        except SSLCertVerificationError as exc:
            raise SinkUnavailable(
                f"{url} has a certificate that is not trusted: {exc.verify_message}; ca_file names "
                "a file with that of the CA which made it"
            ) from exc
        except (OSError, UnicodeError) as exc:  # a file may have changed since the start
            raise SinkUnavailable(f"{url} cannot be reached: {exc}") from exc
        self._until(lambda: self._heard.welcome)

    def publish(self, messages: Sequence[Message]) -> None:
        """Return once all are acknowledged; of none, if the broker is still there.

        Raises SinkUnavailable where not all are, and RefusedEvent where one never will be.
        """
        heard = self._heard
        for message in messages:
            self._check_size(message)
        self._turn(0)
        heard.refused.clear()
        for message in messages:
            self._until(lambda: len(heard.under_way) < heard.in_flight)
            heard.under_way[self._publish(message)] = message.topic
        self._until(lambda: not heard.under_way)
        for topic, reason in heard.refused:
            error = RefusedEvent if str(reason) in _FOR_EVER else SinkUnavailable
            raise error(f"{self._settings.url} refuses what is for {topic}: {_told(reason)}")

    def close(self) -> None:
        """End it in a way that has the broker publish the will."""
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))

    def _check_size(self, message: Message) -> None:
        size = len(message.topic.encode()) + len(message.payload) + OVERHEAD
        if size > self._heard.max_packet:
            raise RefusedEvent(
                f"{self._settings.url} takes packets of {self._heard.max_packet} bytes at most: "
                f"one for {message.topic} would have {size}"
            )

    def _publish(self, message: Message) -> int:
        """The number of what is under way now."""
        return self._client.publish(
            message.topic, message.payload, 1, message.retain, self._properties
        ).mid

    def _until(self, done: Callable[[], bool]) -> None:
        """Return when it is; raises SinkUnavailable where that takes too long."""
        deadline = monotonic() + ANSWER_S
        while not done():
            if (left := deadline - monotonic()) <= 0:
                raise SinkUnavailable(
                    f"{self._settings.url} has not answered within {ANSWER_S:g} s"
                )
            self._turn(left)

    def _turn(self, wait_s: float) -> None:
        """Receive and send, and wait so long at most until there is something to.

        Raises SinkUnavailable where the connection is lost.
        """
        client = self._client
        if (opened := client.socket()) is not None:
            with Selector() as selector:
                wanted = EVENT_READ | EVENT_WRITE if client.want_write() else EVENT_READ
                selector.register(opened, wanted)
                selector.select(0 if isinstance(opened, SSLSocket) and opened.pending() else wait_s)
            client.loop_read()
            client.loop_write()
            client.loop_misc()
        if (end := self._heard.end) is not None:
            raise SinkUnavailable(
                f"{self._settings.url} has ended the connection of {self._client_id}: {_told(end)}"
            )


def _told(reason: ReasonCode) -> str:
    """A reason, with what to do about it."""
    advice = ADVICE.get(str(reason))
    return f"{reason}; {advice}" if advice else str(reason)
