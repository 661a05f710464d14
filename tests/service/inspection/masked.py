"""Requests with a mask."""

from fastapi.testclient import TestClient
from PIL import Image

from rig.pictures import encode


def white(*box: int, size: tuple[int, int] = (96, 64)) -> bytes:
    """A mask that is white in a box of x, y, x, y."""
    image = Image.new("L", size)
    image.paste(255, box)
    return encode(image)


def post(client: TestClient, image: bytes, mask: bytes, **options: object):
    """What a gateway answers about an image with a mask."""
    parts = [("image", image), ("mask", mask)]
    return client.post("/v1/inspect", files=parts, params=options)
