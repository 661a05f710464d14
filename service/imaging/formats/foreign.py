"""Formats that are not read, by their first bytes: so that a refusal can name them."""

import re

_BOX = rb".{4}ftyp"
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (rb"GIF8[79]a", "GIF"),
    (_BOX + rb"avi[fs]", "AVIF"),
    (_BOX + rb"(?:he[iv][cmsx]|mif1|msf1)", "HEIC"),
    (_BOX + rb"crx", "Canon CR3 (camera raw)"),
    (_BOX, "MP4 or QuickTime"),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"II\xbc\x01", "JPEG XR"),
    (rb"P[1-7]\s", "PNM (PBM, PGM, PPM, PAM)"),
    (rb"P[Ff]\s", "PFM"),
    (rb"MM\0\+", "BigTIFF in big-endian order"),
    (rb"IIU\0|IIR[OS]|FUJIFILMCCD-RAW|FOVb", "camera raw"),
    (rb"8BPS", "Photoshop"),
    (rb"v/1\x01", "OpenEXR"),
    (rb"#\?R(?:ADIANCE|GBE)", "Radiance HDR"),
    (rb"qoif", "QOI"),
    (rb"DDS ", "DDS"),
    (rb"\0\0[\x01\x02]\0[^\0]", "ICO or CUR"),
    (rb"\x01\xda[\x00\x01][\x01\x02]", "SGI"),
    (rb"\x59\xa6\x6a\x95", "Sun raster"),
    (rb"SIMPLE  =", "FITS"),
    (rb".{128}DICM", "DICOM"),
    (rb"\x8aMNG|\x8bJNG", "MNG or JNG"),
    (rb"\x93NUMPY", "NumPy"),
    (rb"\x89HDF", "HDF5"),
    (rb"%PDF", "PDF"),
    (rb"%!PS", "PostScript"),
    (rb"\n[\x00-\x05]\x01[\x01\x02\x04\x08]", "PCX"),
    (rb"PK\x03\x04", "ZIP"),
    (rb"\x1f\x8b", "gzip"),
    (rb"\s*(?:<\?xml.*)?<svg", "SVG"),
    (rb"RIFF.{4}AVI ", "AVI"),
)


def foreign_format(data: bytes) -> str | None:
    """The name of the format that the content seems to have, None where it is not known here."""
    head = data[:256]
    return next((name for magic, name in _FOREIGN if re.match(magic, head, re.DOTALL)), None)
