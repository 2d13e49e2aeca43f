"""Certificates for tests, made by the openssl command."""

import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.conftest import require_tool

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"
AUTHORITY = """
[ca]
default_ca = own
[own]
database = index
rand_serial = yes
default_md = sha256
policy = policy
[policy]
commonName = supplied
"""


class Pair(NamedTuple):
    """The files of a certificate and of its key."""

    cert: Path
    key: Path


def certificate(folder: Path, name: str = "own", days: int = 30) -> Pair:
    """Make a certificate for this machine, which is valid for some days and signs itself."""
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    _openssl(
        folder, "req", "-x509", "-days", str(days), "-addext", NAMES, *_new(pair.key),
        "-out", pair.cert,
    )  # fmt: skip
    return pair


def expired_certificate(folder: Path) -> Pair:
    """Make a certificate that was valid on one day of 2020."""
    pair = Pair(folder / "expired.crt", folder / "expired.key")
    request = folder / "request"
    (folder / "authority").write_text(AUTHORITY)
    (folder / "index").touch()
    _openssl(folder, "req", "-new", *_new(pair.key), "-out", request)
    _openssl(
        folder, "ca", "-batch", "-config", "authority", "-selfsign", "-keyfile", pair.key,
        "-in", request, "-out", pair.cert, "-outdir", ".", "-notext",
        "-startdate", "20200101000000Z", "-enddate", "20200102000000Z",
    )  # fmt: skip
    return pair


def with_password(key: Path) -> Path:
    """Make a copy of the key that is encrypted."""
    locked = key.with_suffix(".locked")
    _openssl(key.parent, "pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:sesame")
    locked.chmod(0o600)
    return locked


def _new(key: Path) -> tuple[str | Path, ...]:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    return (*curve, "-subj", "/CN=localhost", "-keyout", key)


def _openssl(folder: Path, *words: str | Path) -> None:
    done = subprocess.run(
        [require_tool("openssl"), *words], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
