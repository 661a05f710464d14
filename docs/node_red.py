"""Draw docs/images/node-red.png: the flow of docs/examples in the editor of Node-RED.

    make picture

A decision comes by a real broker, and a real controller is written to. It needs Debian's `chromium`
and `mosquitto`, and `npm`.
"""

import os
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import sync_playwright

from onegauge.service.sinks.event import INSPECTION, Event
from onegauge.service.sinks.mqtt.settings import MqttSettings
from onegauge.service.sinks.wire import Wire
from rig.mosquitto import PASSWORD, USER, Mosquitto, mosquitto
from rig.node_red import flow_of, node_red
from rig.plc import plc

FLOW = Path(__file__).parent / "examples" / "node-red.json"
SIZE = {"width": 1280, "height": 340}
HEADER, FOOTER = 48, 26  # pixels of the editor beside the flow
COLOURS = 48
BARS_MS = 1000  # until the bars beside the flow have gone


def main(file: Path) -> None:
    """Write the picture."""
    with TemporaryDirectory() as place, plc() as controller:
        folders = Path(place) / "broker", Path(place) / "node-red"
        for folder in folders:
            folder.mkdir()
        with mosquitto(folders[0]) as broker:
            host, _, port = controller.address.partition(":")
            variables = {"MQTT_HOST": host, "MQTT_PORT": broker.port}
            variables |= {"PLC_HOST": host, "PLC_PORT": port}
            secrets = {"onegauge-broker": {"user": USER, "password": PASSWORD}}
            with (
                node_red(folders[1], flow_of(FLOW, variables), secrets) as url,
                closing(gateway_of(broker)) as gateway,
            ):
                draw(url, lambda: gateway.send([anomalous_part()]), file)


def draw(url: str, decide: Callable[[], None], file: Path) -> None:
    """Show the flow once it has written a decision."""
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        page = browser.new_page(viewport=SIZE)
        page.goto(url)
        page.locator("#onegauge-gate").get_by_text("connected").wait_for()
        for bar in ("palette", "sidebar"):
            page.evaluate(f"RED.actions.invoke('core:toggle-{bar}')")
        decide()
        page.locator("#onegauge-written").get_by_text("1, 2, 1870").wait_for()
        page.wait_for_timeout(BARS_MS)
        shot = Image.open(BytesIO(page.screenshot()))
        browser.close()
    shot = shot.crop((0, HEADER, shot.width, shot.height - FOOTER)).convert("RGB")
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


def gateway_of(broker: Mosquitto) -> Wire:
    """What a gateway would publish with."""
    settings = {"url": broker.url, "user": USER, "password_file": broker.password_file}
    wire = MqttSettings(kind="mqtt", **settings).wire("docs", "docs")
    wire.open()
    return wire


def anomalous_part() -> Event:
    """A decision of now."""
    return Event(
        id="0" * 32,
        type=INSPECTION,
        source="/onegauge/docs",
        time=datetime.now(UTC),
        line="press-3",
        decision="anomalous",
        unknown_product=False,
        data={"decision": "anomalous", "unknown_product": False, "score": 1.87},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
