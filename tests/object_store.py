"""An S3 server on this machine, and a bucket in it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pyarrow import fs

from tests.web import free_port

_SECONDS_TO_START = 60


@contextmanager
def s3_server() -> Iterator[str]:
    """Run moto's S3 server, which keeps everything in memory; yield its URL."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + _SECONDS_TO_START
        while not _answers(f"{url}/moto-api/"):
            assert server.poll() is None, "the S3 server has ended"
            assert time.monotonic() < until, "the S3 server does not answer"
            time.sleep(0.1)
        yield url
    finally:
        server.kill()
        server.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url):  # noqa: S310
            return True
    except OSError:
        return False


def use_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point this process and those that it starts to an S3 server."""
    for name, value in server_environment(url).items():
        monkeypatch.setenv(name, value)


def server_environment(url: str) -> dict[str, str]:
    """Return the variables that point a process to an S3 server."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "no_proxy": os.environ.get("no_proxy", "127.0.0.1"),
    }


def make_bucket(url: str, name: str) -> None:
    """Create a bucket."""
    fs.S3FileSystem(
        access_key="key",
        secret_key="secret",  # noqa: S106
        region="us-east-1",
        scheme="http",
        endpoint_override=url.removeprefix("http://"),
        allow_bucket_creation=True,
    ).create_dir(name)
