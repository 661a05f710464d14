"""Images of a bucket, and rows in one, on a server that speaks S3 and with a Ray of their own."""

from collections.abc import Iterator
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from onegauge.bulk.output import Done
from onegauge.bulk.source import paths_below
from onegauge.cluster import running_ray
from tests.cli.command import status


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """A client of an empty bucket `plant`; fsspec asks one server as long as the process runs."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        client.create_bucket(Bucket="plant")
        yield client
        client.close()
    server.stop()


def test_a_bucket_is_inspected_into_a_bucket(bucket, gauge_repository, normal, defective):
    for name, data in {
        "line/1/a.png": normal,
        "line/1/b [1].png": defective,
        "line/2/ü.png": normal,
        "line/2/broken.png": b"no image",
        "line/2/._a.png": b"of a system",
        "line/notes.txt": b"no image",
    }.items():
        bucket.put_object(Bucket="plant", Key=f"parts/{name}", Body=data)
    model = ("--engine", "ray", "--model", str(gauge_repository))
    with running_ray():  # which has this environment, as the cluster of the other tests has not
        for source, expected in (("s3://plant/parts/line/1", 2), ("s3://plant/parts", 1)):
            assert status("inspect", source, *model, "--output", "s3://plant/found") == expected
    files = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    rows = pq.read_table("plant/found", filesystem=files).to_pylist()
    found = {row["path"]: row["decision"] for row in rows}
    assert len(rows) == len(found)
    by_glob = paths_below("s3://plant/parts/**/*.png", Done())["path"].to_pylist()
    assert sorted(path.decode() for path in by_glob) == sorted(found)
    assert found == {
        "s3://plant/parts/line/1/a.png": "normal",
        "s3://plant/parts/line/1/b [1].png": "anomalous",
        "s3://plant/parts/line/2/ü.png": "normal",
        "s3://plant/parts/line/2/broken.png": None,
    }


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_told(gauge_repository, capsys):
    model = ("--engine", "ray", "--model", str(gauge_repository))
    assert status("inspect", "s3://elsewhere/parts", *model, "--output", "s3://plant/found") == 1
    assert capsys.readouterr().err.startswith("onegauge: s3://elsewhere/parts: ")
