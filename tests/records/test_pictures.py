"""Pictures are found by their digest again, in a folder and in a bucket of S3."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from onegauge.records.errors import PictureGone, RecordsError, RecordsUnavailable
from onegauge.records.pictures import Pictures

DATA = b"\x89PNG of a part"
DIGEST = sha256(DATA).hexdigest()
FULL = """
import resource, signal, sys
from onegauge.records.errors import RecordsUnavailable
from onegauge.records.pictures import Pictures

pictures = Pictures(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    pictures.put(b"x" * 5000)
except RecordsUnavailable as exc:
    print(exc)
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty one, on a server that speaks S3."""
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    client = boto3.client("s3")
    client.create_bucket(Bucket="records")
    for stored in client.list_objects_v2(Bucket="records").get("Contents", []):
        client.delete_object(Bucket="records", Key=stored["Key"])
    client.close()
    return "s3://records/line/1"


@pytest.fixture(params=["folder", "bucket"])
def pictures(request: pytest.FixtureRequest, tmp_path: Path) -> Pictures:
    folder = request.param == "folder"
    return Pictures(tmp_path / "pictures" if folder else request.getfixturevalue("bucket"))


def test_what_is_kept_is_read_again(pictures):
    assert pictures.put(DATA) == DIGEST
    pictures.put_thumbnail(DIGEST, b"small")
    assert pictures.read(DIGEST) == DATA
    assert pictures.thumbnail(DIGEST) == b"small"
    assert pictures.size() == len(DATA) + len(b"small")


def test_the_same_picture_is_kept_once(pictures):
    assert pictures.put(DATA) == pictures.put(DATA) == DIGEST
    assert pictures.size() == len(DATA)


def test_those_are_found_that_nobody_has_put_since(pictures):
    now = datetime.now(UTC)
    pictures.put(DATA)
    pictures.put_thumbnail(DIGEST, b"small")
    assert pictures.before(now - timedelta(minutes=1)) == set()
    assert pictures.before(now + timedelta(minutes=1)) == {DIGEST}


def test_a_picture_that_is_put_again_is_as_young_as_that(tmp_path):
    pictures = Pictures(tmp_path)
    pictures.put(DATA)
    os.utime(tmp_path / DIGEST[:2] / DIGEST[2:], (0, 0))
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert pictures.before(an_hour_ago) == {DIGEST}
    pictures.put(DATA)
    assert pictures.before(an_hour_ago) == set()


def test_what_is_removed_is_gone_and_removing_it_again_does_no_harm(pictures):
    pictures.put(DATA)
    pictures.put_thumbnail(DIGEST, b"small")
    assert pictures.remove(DIGEST) == len(DATA) + len(b"small")
    assert pictures.remove(DIGEST) == pictures.size() == 0
    for read in (pictures.read, pictures.thumbnail):
        with pytest.raises(PictureGone):
            read(DIGEST)


def test_a_picture_that_was_torn_by_a_power_cut_is_written_again(tmp_path):
    pictures = Pictures(tmp_path)
    pictures.put(DATA)
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert file == tmp_path / DIGEST[:2] / DIGEST[2:]
    file.write_bytes(b"")
    pictures.put(DATA)
    assert pictures.read(DIGEST) == DATA


def test_a_full_disk_is_told_and_leaves_nothing_half(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True
    )
    assert os.strerror(errno.EFBIG) in done.stdout
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecordsUnavailable):
        Pictures(tmp_path / "file" / "pictures")


def test_a_bucket_that_is_not_there_is_told(bucket):
    with pytest.raises(RecordsUnavailable, match="bucket"):
        Pictures(bucket.replace("records", "elsewhere")).put(DATA)


def test_a_store_that_does_not_answer_is_told(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(RecordsUnavailable, match="127.0.0.1:9"):
        Pictures(bucket).read(DIGEST)


def test_a_bucket_needs_its_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(RecordsError, match=r"s3fs is missing: pip install 'onegauge\[s3\]'"):
        Pictures("s3://records")
