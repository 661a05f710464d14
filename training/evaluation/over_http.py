"""A running gateway asked about labelled images over HTTP, as any line asks it."""

from __future__ import annotations

import os
import time
from base64 import b64decode
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import torch
import torch.nn.functional as F

from onegauge.client.proxy import transport_to, with_proxy
from onegauge.service.imaging.depth import Depth
from onegauge.training.data.dataset import TestImage
from onegauge.training.errors import DataError
from onegauge.training.evaluation.readings import Inspected, Subject
from onegauge.training.progress import Progress

TIMEOUT_S = 60.0


def is_address(target: str) -> bool:
    """Whether it is the address of a gateway and no folder."""
    return target.lower().startswith(("http://", "https://"))


def evaluate_gateway(url: str, images: Sequence[TestImage], progress: Progress) -> Subject:
    """The model that a gateway serves, with the threshold that it decides by.

    One image a request; maps are brought back from the image's size to the model's. Raises
    DataError when no gateway answers.
    """
    kept, results, started = [], [], time.perf_counter()
    with _client(url) as client:
        card = _ask(client, "GET", "/v1/model")
        with progress.step("inspecting", len(images)) as step:
            for image in images:
                files = {"image": (image.path.name, image.path.read_bytes())}
                answer = _ask(client, "POST", "/v1/inspect", params={"map": "npy"}, files=files)
                (result,) = answer["results"]
                if "decision" in result:
                    kept.append(image)
                    results.append(_without_map(result, card))
                else:
                    progress.say(f"warning: skipped {image.path}: {result['problem']['detail']}")
                step.advance()
    if not kept:
        raise DataError(f"{url} could inspect none of the {len(images)} test images")
    milliseconds = 1000 * (time.perf_counter() - started) / len(images)
    told = card["parameters"]
    rows = {"model": card["name"], "version": card["version"], "backend": card["backend"], **told}
    rows["time for an image"] = f"{milliseconds:.0f} ms with its map, one after the other"
    return Subject(
        url,
        told.get("alignment", ""),
        float(card["max_false_alarm_rate"] or told.get("false_alarm_rate", "nan")),
        _threshold(card, results),
        rows,
        _inspected(kept, results, Depth.from_parameters(told)),
    )


def _client(url: str) -> httpx.Client:
    try:
        transport = transport_to(url, httpx.HTTPTransport, DataError)
        return httpx.Client(base_url=url, timeout=TIMEOUT_S, headers=_key(), transport=transport)
    except httpx.InvalidURL as exc:
        raise DataError(f"no gateway answers at {url}: {exc}") from exc


def _key() -> dict[str, str]:
    """The API key of the environment, for a gateway that asks for one."""
    key = os.environ.get("ONEGAUGE_API_KEY", "").strip("\ufeff \t\r\n")
    if not (key.isascii() and key.isprintable()):
        raise DataError("ONEGAUGE_API_KEY has a character that no key has: copy it anew")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _ask(client: httpx.Client, method: str, path: str, **request: Any) -> dict[str, Any]:
    """The JSON answer; a problem of the images sent is an answer, any other an error."""
    try:
        response = client.request(method, path, **request)
        answer = response.json()
    except (httpx.HTTPError, ValueError) as exc:
        asked = with_proxy(str(client.base_url))
        raise DataError(f"no gateway answers at {asked}: {exc}") from exc
    if response.is_error and "results" not in answer:
        raise DataError(f"{client.base_url} answered {response.status_code}: {answer}")
    return answer


def _without_map(result: dict[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    """The result with its map as an array fp16 (h, w) of the model's size."""
    enlarged = np.load(BytesIO(b64decode(result["anomaly_map"]["data"])))  # (H, W)
    size = card["map_height"], card["map_width"]
    pixels = torch.from_numpy(enlarged)[None, None]  # (1, 1, H, W)
    reduced = F.interpolate(pixels, size, mode="bilinear", antialias=True)[0, 0]
    return result | {"anomaly_map": reduced.half().numpy()}


def _threshold(card: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> float:
    """The score from which it decided; where it decides by p-value, the least that was anomalous.

    The p-value falls as the score grows, so the two decide these images alike.
    """
    if card["threshold"] is not None:
        return float(card["threshold"])
    alarms = [result["score"] for result in results if result["decision"] == "anomalous"]
    return min(alarms, default=float("inf"))


def _inspected(
    images: Sequence[TestImage], results: Sequence[Mapping[str, Any]], depth: Depth
) -> Inspected:
    names = ("score", "p_value", "raw_score", "novelty", "anomaly_map")
    columns = (np.array([r[name] for r in results]) for name in names)
    return Inspected(tuple(images), *columns, depth=depth)
