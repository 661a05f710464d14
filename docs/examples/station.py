"""One part, one answer for a PLC: takes a picture's file, ends with a status the PLC can read.

    python docs/examples/station.py photo.jpg http://gateway:8000 press-3

0  the part is good      1  it is anomalous
2  a product that nobody has trained: look at it by hand
3  no decision: stop the line, or let the part through by hand
"""

import sys
from pathlib import Path

from onegauge import Client
from onegauge.client import ClientError, Decision, Options, key_of_environment

GOOD, ANOMALOUS, UNKNOWN, NO_DECISION = range(4)
TIMEOUT_S = 2.0  # then the part has left the station


def main(picture: str, url: str, line: str) -> int:
    """The status of a part."""
    try:
        with Client(url, api_key=key_of_environment(), timeout_s=TIMEOUT_S) as gateway:
            (found,) = gateway.inspect([Path(picture)], Options(line=line)).results
    except (ClientError, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return NO_DECISION
    if not isinstance(found, Decision):
        return NO_DECISION
    if found.unknown_product:
        return UNKNOWN
    return ANOMALOUS if found.decision == "anomalous" else GOOD


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
