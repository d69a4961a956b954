"""Certificates for the tests that speak TLS, and whether the redis-server at hand can."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers import find_redis_server


def certify(folder: Path, name: str, *addresses: str) -> tuple[Path, Path]:
    """A certificate for ``name``, and for these IP addresses, that has signed itself; and its key."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("there is no openssl to make a certificate with")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = ",".join([f"DNS:{name}", *(f"IP:{address}" for address in addresses)])
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *("-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
    return certificate, key


def demand_tls() -> None:
    """Skip a test where the redis-server at hand was built without TLS.

    An older one stops at the setting then, a newer one when it wants to listen. One with TLS stops at the certificate.
    """
    command = [
        find_redis_server(),
        "--port",
        "0",
        "--tls-port",
        "1",
        "--tls-cert-file",
        "none",
        "--tls-key-file",
        "none",
    ]
    said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    if any(words in said.stdout + said.stderr for words in ("tls-port", "finding TLS support")):
        pytest.skip("this redis-server speaks no TLS; MASSCONVERT_TEST_REDIS may name one that does")
