"""Files of parts to inspect."""

from pathlib import Path


def images(folder: Path, **contents: bytes) -> list[Path]:
    """Write PNG files of these names in a new folder."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}.png" for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    return paths
