"""One row an image: the fields of the JSON answer, or the problem in their place."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from onegauge.schemas import Decision, MapAnswer, ModelVersion, Options

Row: TypeAlias = dict[str, Any]

# RFC 9457 has this type for a problem that says nothing about what was sent: the image may be fine
NOT_OF_THE_IMAGE = "about:blank"

_MAP = pa.struct(
    {
        "encoding": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "scale": pa.struct({"low": pa.float64(), "high": pa.float64()}),
        "data": pa.binary(),
    }
)
_REGION = pa.struct(
    {
        "box": pa.list_(pa.int32()),  # x, y, width, height
        "area": pa.int64(),
        "peak": pa.float64(),
        "mean": pa.float64(),
    }
)
_PROBLEM = pa.struct(
    {"type": pa.string(), "title": pa.string(), "status": pa.int32(), "detail": pa.string()}
)
SCHEMA = pa.schema(
    {
        "path": pa.string(),
        "line": pa.string(),
        "part": pa.string(),
        "model": pa.struct({"name": pa.string(), "version": pa.string()}),
        "decision": pa.string(),
        "score": pa.float64(),
        "threshold": pa.float64(),
        "max_false_alarm_rate": pa.float64(),
        "p_value": pa.float64(),
        "novelty": pa.float64(),
        "unknown_product": pa.bool_(),
        "raw_score": pa.float64(),
        "normal": pa.struct({"location": pa.float64(), "scale": pa.float64()}),
        "regions": pa.list_(_REGION),
        "anomaly_map": _MAP,
        "problem": _PROBLEM,
    }
)
_OF_DECISIONS = {name for name in SCHEMA.names if name in Decision.model_fields}


def decided(path: str, model: ModelVersion, found: Decision, options: Options) -> Row:
    """The row of an image with a decision."""
    row = found.model_dump(include=_OF_DECISIONS - {"anomaly_map"})
    anomaly_map = found.anomaly_map and _map(found.anomaly_map)
    return _row(path, options) | row | {"model": model.model_dump(), "anomaly_map": anomaly_map}


def refused(path: str, problem: Mapping[str, Any], options: Options) -> Row:
    """The row of an image without a decision, by its problem details."""
    return _row(path, options) | {"problem": dict(problem)}


def not_had(why: object) -> dict[str, Any]:
    """Problem details where nothing is known of an image, so that another run may try again."""
    return {"type": NOT_OF_THE_IMAGE, "detail": str(why)}


def table(rows: Sequence[Row]) -> pa.Table:
    """Rows as they are written; what else an answer has is left out."""
    return pa.Table.from_pylist(rows, SCHEMA)


def _row(path: str, options: Options) -> Row:
    return {"path": path, "line": options.line, "part": options.part}


def _map(found: MapAnswer) -> Row:
    data = found.content or b64decode(found.data or "")
    return found.model_dump(exclude={"data", "part"}) | {"data": data}
