"""A bucket of an S3-compatible server of our own."""

from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
from moto.server import ThreadedMotoServer


@contextmanager
def serving() -> Iterator[dict[str, str]]:
    """The settings by which an S3 client finds a server that runs meanwhile."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.stop()


@contextmanager
def bucket(name: str) -> Iterator[str]:
    """The URL of an empty bucket; the settings of ``serving`` are in the environment."""
    store = fsspec.filesystem("s3", skip_instance_cache=True)
    store.mkdir(name)
    yield f"s3://{name}"
    store.rm(name, recursive=True)
