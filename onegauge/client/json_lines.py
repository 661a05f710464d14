"""Files of JSON, one object a line."""

import json
import os
from typing import Any


def write_line(file: int, line: dict[str, Any]) -> None:
    """Write a line to an open file at once, whole; raises OSError, then a part may be written."""
    # the escape of a byte that is no UTF-8 is JSON's own: the line gives a path unchanged
    text = json.dumps(line, ensure_ascii=False) + "\n"
    data = text.encode(errors="backslashreplace")
    while data:
        data = data[os.write(file, data) :]
