"""Object stores of this machine: s3rver (npm, checks signatures), moto (PyPI, checks the preconditions of puts), azurite
(npm)."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

from . import places

BUCKET = "test-bucket"
AZURE_ACCOUNT = "devstoreaccount1"
# The emulators' documented keys.
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
S3_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER", "AWS_REGION": "us-east-1"}


@dataclass
class Emulator:
    name: str
    url: str  # as calf takes it
    environment: dict = field(default_factory=dict)
    flaws: str = ""  # what it does otherwise than the real service; see object_store_contract_test.cc


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _run(name: str, arguments: list) -> subprocess.Popen:
    return subprocess.Popen(
        ["node", places.EMULATORS_NPM / "node_modules" / ".bin" / name, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _request(port: int, method: str, path: str, headers: dict) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def _until_answered(process: subprocess.Popen, port: int, method: str, path: str, headers: dict, good: set[int]):
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if _request(port, method, path, headers) in good:
                return
        assert process.poll() is None, f"the emulator on port {port} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"the emulator on port {port} does not answer"
        time.sleep(0.1)


def _azure_headers(path: str, query: str) -> dict:
    date = formatdate(usegmt=True)
    text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2021-12-02\n/{AZURE_ACCOUNT}{path}\n{query}"
    digest = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    return {
        "x-ms-date": date,
        "x-ms-version": "2021-12-02",
        "content-length": "0",
        "authorization": f"SharedKey {AZURE_ACCOUNT}:{signature}",
    }


class Emulators:
    """Starts each when it is first asked for; ends them all."""

    def __init__(self):
        self._processes: list[subprocess.Popen] = []
        self._directory = Path(tempfile.mkdtemp(prefix="calf-emulators-"))
        self._made: dict[str, Emulator] = {}

    def __getitem__(self, name: str) -> Emulator:
        if name not in self._made:
            self._made[name] = getattr(self, "_" + name)()
        return self._made[name]

    def _s3rver(self) -> Emulator:
        port = _free_port()
        folder = self._directory / "s3rver"
        process = _run("s3rver", ["-d", folder, "-p", str(port), "-a", "127.0.0.1", "-s", "--no-vhost-buckets", "--configure-bucket", BUCKET])
        self._processes.append(process)
        _until_answered(process, port, "GET", "/", {}, {200, 403})
        return Emulator("s3rver", f"s3://{BUCKET}/?endpoint=http://127.0.0.1:{port}", S3_ENVIRONMENT, "unconditional,unordered")

    def _moto(self) -> Emulator:
        port = _free_port()
        process = subprocess.Popen(
            [*places.pypi_script("moto_server"), "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._processes.append(process)
        _until_answered(process, port, "PUT", f"/{BUCKET}", {}, {200})
        return Emulator("moto", f"s3://{BUCKET}/?endpoint=http://127.0.0.1:{port}", S3_ENVIRONMENT, "unconditional-parts")

    def _azurite(self) -> Emulator:
        port = _free_port()
        process = _run("azurite-blob", ["--blobPort", str(port), "--inMemoryPersistence", "--silent"])
        self._processes.append(process)
        path = f"/{AZURE_ACCOUNT}/{BUCKET}"
        _until_answered(process, port, "PUT", path + "?restype=container", _azure_headers(path, "restype:container"), {201, 409})
        return Emulator(
            "azurite",
            f"azure://{AZURE_ACCOUNT}/{BUCKET}?endpoint=http://127.0.0.1:{port}/{AZURE_ACCOUNT}",
            {"AZURE_STORAGE_KEY": AZURE_KEY},
        )

    def close(self):
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
