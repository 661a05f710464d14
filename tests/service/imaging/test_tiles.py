from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from tritonclient.grpc.model_config_pb2 import ModelParameter

from onegauge.service.errors import ImageError, UnreadableImage
from onegauge.service.imaging.depth import Depth
from onegauge.service.imaging.image import read_original
from onegauge.service.imaging.tiles import Mosaic, Tile, TiledPicture, Tiling
from onegauge.service.model.repository import read_config
from rig.gateway_process import gateway_process
from rig.pictures import encode, oriented, png_of_12_bits
from rig.publishing import add_and_publish

TILING = Tiling(size=64, overlap=16)
LARGE = 12_500, 8_000


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 112, 113, 200, 1000])
def test_tiles_cover_a_picture_from_end_to_end_and_overlap(length):
    cut = TILING.tiles(length, 64)
    assert cut[0].left == 0
    assert cut[-1].left + cut[-1].width == length
    for before, after in zip(cut, cut[1:], strict=False):
        assert before.left + before.width - after.left >= TILING.overlap - 1  # rounding
        assert after.width == 64


def test_no_more_tiles_than_it_takes():
    assert len(TILING.tiles(64, 64)) == 1
    assert len(TILING.tiles(112, 64)) == 2
    assert len(TILING.tiles(113, 112)) == 3 * 2
    assert TILING.tiles(30, 200)[0] == Tile(0, 0, 30, 64)


@pytest.mark.parametrize(
    ("mode", "encoding", "options"),
    [
        ("RGB", "JPEG", {}),
        ("L", "JPEG", {}),
        ("RGB", "PNG", {}),
        ("L", "PNG", {}),
        ("RGB", "TIFF", {}),
        ("RGB", "WEBP", {"lossless": True}),
        ("CMYK", "JPEG", {}),
        ("RGBA", "PNG", {}),
        ("RGB", "JPEG", {"exif": oriented(6)}),
        ("RGB", "PNG", {"exif": oriented(3)}),
    ],
)
def test_tiles_are_the_pixels_of_the_whole_however_it_is_decoded(mode, encoding, options):
    data = encode(noise(200, 130, mode), encoding, **options)
    whole = np.asarray(read_original(data, max_pixels=10**6))
    tiles = TiledPicture(data, TILING, (64, 64), max_pixels=10**6)
    assert (tiles.height, tiles.width) == whole.shape[:2]
    seen = list(tiles)
    assert [tile for tile, _ in seen] == TILING.tiles(tiles.width, tiles.height)
    for tile, pixels in seen:
        np.testing.assert_array_equal(
            pixels, whole[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        )


def test_tiles_are_brought_to_the_size_of_the_model():
    tiles = TiledPicture(encode(noise(200, 130)), TILING, (32, 48), max_pixels=10**6)
    assert {pixels.shape for _, pixels in tiles} == {(32, 48, 3)}


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_cut_off_file_is_unreadable_at_the_latest_when_it_is_read(encoding):
    rng = np.random.default_rng(0)
    data = encode(Image.fromarray(rng.integers(0, 256, (300, 300, 3), np.uint8)), encoding)
    with pytest.raises(UnreadableImage):
        list(TiledPicture(data[: len(data) // 2], TILING, (64, 64), max_pixels=10**6))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_jpeg_of_which_data_were_lost_is_unreadable(options):
    data = encode(noise(300, 300), "JPEG", quality=95, **options)
    with pytest.raises(UnreadableImage):
        list(TiledPicture(data[:5000] + data[5512:], TILING, (64, 64), max_pixels=10**6))


def test_png_whose_checksum_is_wrong_is_unreadable():
    data = bytearray(encode(noise(300, 300)))
    data[len(data) // 2] ^= 1
    with pytest.raises(UnreadableImage):
        list(TiledPicture(bytes(data), TILING, (64, 64), max_pixels=10**6))


def test_tiles_of_more_than_8_bits_are_scaled_by_the_depth():
    levels = np.asarray(noise(200, 130))
    data = png_of_12_bits(levels)
    for tile, pixels in TiledPicture(data, TILING, (64, 64), max_pixels=10**6, depth=Depth(12)):
        np.testing.assert_array_equal(
            pixels, levels[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        )


def test_damage_of_any_kind_is_an_image_error():
    rng = np.random.default_rng(0)
    files = [encode(noise(80, 70), encoding) for encoding in ("JPEG", "PNG")]
    for trial in range(200):
        data = bytearray(files[trial % 2])
        for position in rng.integers(0, len(data), 3):
            data[position] = rng.integers(256)
        try:
            list(TiledPicture(bytes(data), TILING, (64, 64), max_pixels=10**5))
        except ImageError:
            continue


def outputs(anomaly_map: np.ndarray, **columns: list[float]) -> dict[str, np.ndarray]:
    """Of tiles with maps (T, h, w), by default all alike."""
    alike = dict.fromkeys(("score", "p_value", "novelty", "raw_score"), [0.5] * len(anomaly_map))
    told = {name: np.array(column, np.float32) for name, column in (alike | columns).items()}
    return told | {"anomaly_map": anomaly_map.astype(np.float32)}


def test_maps_of_tiles_are_one_map_again():
    picture = noise(200, 130, "L")
    mosaic = Mosaic(200, 130, TILING, (64, 64))
    for tile in TILING.tiles(200, 130):
        part = picture.crop((tile.left, tile.top, tile.left + tile.width, tile.top + tile.height))
        mosaic.add([tile], outputs(np.asarray(part)[np.newaxis]))
    (anomaly_map,) = mosaic.whole()["anomaly_map"]
    np.testing.assert_allclose(anomaly_map, np.asarray(picture, np.float32), atol=1e-3)


def test_overlapping_maps_are_blended_without_a_step():
    tiling = Tiling(64, 32)
    mosaic = Mosaic(96, 64, tiling, (16, 16))
    mosaic.add(tiling.tiles(96, 64), outputs(np.stack([np.zeros((16, 16)), np.ones((16, 16))])))
    row = mosaic.whole()["anomaly_map"][0, 8]
    assert (row[:8] == 0).all()
    assert (row[16:] == 1).all()
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 0.2


def test_a_picture_is_judged_by_its_worst_tiles():
    mosaic = Mosaic(160, 64, TILING, (4, 4))
    left, middle, right = TILING.tiles(160, 64)
    mosaic.add(
        [left, middle],
        outputs(
            np.zeros((2, 4, 4)),
            score=[0.2, 1.5],
            p_value=[0.3, 0.02],
            novelty=[0.9, 0.1],
            raw_score=[9.0, 4.0],
        ),
    )
    mosaic.add([right], outputs(np.zeros((1, 4, 4)), score=[1.1], p_value=[0.01]))
    whole = mosaic.whole()
    assert whole.pop("anomaly_map").shape == (1, 4, 10)
    expected = {"score": 1.5, "p_value": 0.01, "novelty": 0.9, "raw_score": 4.0}
    assert whole == {name: pytest.approx(value) for name, value in expected.items()}


def test_100_megapixels_stay_below_600_megabytes(gauge_repository, gauge_model, tmp_path):
    config = read_config(gauge_repository / "onegauge", "config.pbtxt")
    for name, value in (("tile_size", "512"), ("tile_overlap", "64")):
        config.parameters[name].CopyFrom(ModelParameter(string_value=value))
    add_and_publish(tmp_path, config, gauge_model)
    image = noise(*LARGE)
    image.paste((255, 255, 255), (9000, 5000, 9200, 5200))
    file = BytesIO()
    image.save(file, "JPEG", quality=90)
    settings = {"ONEGAUGE_MAX_PIXELS": "100000000", "ONEGAUGE_THRESHOLD": "1.99"}
    with gateway_process(tmp_path, **settings) as process:
        (result,) = post(process.url, file.getvalue())
        status = Path(f"/proc/{process.popen.pid}/status").read_text()
    assert result["decision"] == "anomalous"
    x, y, width, height = result["regions"][0]["box"]
    assert x <= 9100 <= x + width
    assert y <= 5100 <= y + height
    assert int(status.split("VmHWM:")[1].split()[0]) < 600_000  # KiB


def post(url: str, image: bytes) -> list[dict]:
    response = httpx.post(f"{url}/v1/inspect", files=[("image", image)], timeout=120)
    assert response.status_code == 200, response.text
    return response.json()["results"]
