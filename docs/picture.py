"""Draw docs/images/inspection.jpg: sample images, their anomaly maps and the verdicts.

    make picture

The samples go through a gateway on the bundled model, as any upload does.
"""

import sys
from base64 import b64decode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from fastapi.testclient import TestClient
from PIL import Image, ImageDraw, ImageFont

from onegauge.schemas import Answer, Decision
from onegauge.service.app import create_app
from onegauge.service.model.backends import load_backend
from onegauge.service.settings import Settings

DOCS = Path(__file__).parent
SAMPLES = ("ring-chip.jpg", "cloth-normal.jpg", "board-missing-component.jpg")
HEADINGS = ("image", "anomaly map", "verdict at the one threshold")
CELL, GAP, HEADING = 256, 12, 34  # pixels
COLOURS = {"normal": "#1b7f3b", "anomalous": "#c62828"}
INK, FAINT = "#202124", "#d7dade"
FULL_SCALE = 2.0  # score at the end of the bar


def main(repository: Path, out: Path) -> None:
    """Inspect the samples by the model `onegauge` of `repository` and write the picture to `out`.

    Raises RuntimeError when a sample gets no decision.
    """
    found = inspect(repository, [DOCS / "samples" / name for name in SAMPLES])
    size = (3 * CELL + 4 * GAP, HEADING + len(found) * (CELL + GAP))
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    for column, heading in enumerate(HEADINGS):
        draw.text((_x(column), 9), heading, INK, _font(17))
    for row, decision in enumerate(found):
        top = HEADING + row * (CELL + GAP)
        sample = Image.open(DOCS / "samples" / SAMPLES[row])
        overlay = Image.open(BytesIO(b64decode(decision.anomaly_map.data)))
        page.paste(sample.resize((CELL, CELL)), (_x(0), top))
        page.paste(overlay.resize((CELL, CELL)), (_x(1), top))
        _write_verdict(draw, (_x(2), top), SAMPLES[row], decision)
    page.save(out, quality=90)


def inspect(repository: Path, samples: Sequence[Path]) -> list[Decision]:
    """What a gateway in this process decides on the samples, overlays included."""
    settings = Settings(repository=repository, api_keys="off")
    files = [("image", (sample.name, sample.read_bytes())) for sample in samples]
    with TestClient(create_app(settings, load_backend(settings))) as client:
        response = client.post("/inspect", params={"map": "overlay"}, files=files)
    if response.status_code != 200:
        raise RuntimeError(f"the gateway answered {response.status_code}: {response.text}")
    answer = Answer.model_validate(response.json())
    if any(not isinstance(result, Decision) for result in answer.results):
        raise RuntimeError(f"a sample got no decision: {response.text}")
    return [result for result in answer.results if isinstance(result, Decision)]


def _write_verdict(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], name: str, decision: Decision
) -> None:
    x, y = corner
    colour = COLOURS[decision.decision]
    draw.text((x, y + 50), decision.decision, colour, _font(30))
    draw.text((x, y + 96), f"score {decision.score:z.2f}", INK, _font(22))
    _draw_bar(draw, (x, y + 136), decision.score, colour)
    draw.text((x, y + 184), f"p-value {decision.p_value:.2g}", INK, _font(15))
    draw.text((x, y + 206), name, INK, _font(15))


def _draw_bar(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], score: float, colour: str
) -> None:
    """The score on a bar from 0 to FULL_SCALE, with a mark at the threshold 1.0."""
    x, y = corner
    width = CELL - GAP
    filled = min(max(score / FULL_SCALE, 0.0), 1.0) * width
    threshold = x + width / FULL_SCALE
    draw.rectangle((x, y, x + width, y + 14), FAINT)
    draw.rectangle((x, y, x + filled, y + 14), colour)
    draw.line((threshold, y - 5, threshold, y + 19), INK, 2)
    draw.text((threshold, y + 22), "1.0", INK, _font(13), anchor="ma")


def _x(column: int) -> int:
    return GAP + column * (CELL + GAP)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
