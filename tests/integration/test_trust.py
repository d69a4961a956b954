"""A Redis behind TLS: whose certificate is trusted, and what is said where it is not."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from massconvert.errors import StoreError
from massconvert.settings import load_settings
from massconvert.store import connect, reaching
from tests.certificates import certify

pytestmark = pytest.mark.integration


class _Answers(socketserver.BaseRequestHandler):
    """Speaks just enough: a PONG for a PING, an OK for all else."""

    def handle(self) -> None:
        try:
            while said := self.request.recv(4096):
                answers = [b"+PONG\r\n" if b"PING" in part else b"+OK\r\n" for part in said.split(b"*")[1:]]
                self.request.sendall(b"".join(answers))
        except OSError:
            return


@contextmanager
def behind_tls(folder: Path, name: str) -> Iterator[tuple[int, Path]]:
    """A server whose certificate is for ``name`` and has signed itself: its port, and the certificate."""
    certificate, key = certify(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Answers) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that does not trust it hangs up
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1], certificate
        finally:
            server.shutdown()
            thread.join()


def ping(url: str) -> str:
    """What becomes of a PING to ``url`` as a setting: blank, or the code and the words of the refusal."""
    client = connect(load_settings({"REDIS_URL": url}, dotenv=None).redis_url)
    try:
        with reaching(client):
            client.ping()
    except StoreError as error:
        return f"{error.code}: {error}"
    finally:
        client.close()
    return ""


def test_a_certificate_that_signed_itself_is_told_and_taken_where_it_is_named(tmp_path: Path) -> None:
    with behind_tls(tmp_path, "localhost") as (port, certificate):
        said = ping(f"rediss://localhost:{port}/0")
        assert said.startswith("CERTIFICATE: ")
        assert f"Redis at localhost:{port} has a certificate that is not trusted here." in said
        assert "ssl_ca_certs=/path/to/ca.pem" in said
        assert ping(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}") == ""
        assert ping(f"rediss://localhost:{port}/0?ssl_cert_reqs=CERT_NONE&ssl_check_hostname=false") == ""


@pytest.mark.parametrize("how", ["", "&ssl_cert_reqs=required", "&ssl_cert_reqs=CERT_REQUIRED"])
def test_a_certificate_for_another_name_is_told(tmp_path: Path, how: str) -> None:
    with behind_tls(tmp_path, "other.example.test") as (port, certificate):
        said = ping(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}{how}")
        assert said.startswith("CERTIFICATE: ")
        assert ping(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}&ssl_check_hostname=false") == ""


def test_an_authority_that_did_not_sign_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    authority, _ = certify(tmp_path / "other", "localhost")
    with behind_tls(tmp_path, "localhost") as (port, _):
        assert ping(f"rediss://localhost:{port}/0?ssl_ca_certs={authority}").startswith("CERTIFICATE: ")


@pytest.mark.parametrize("options", ["ssl_ca_certs={none}", "ssl_certfile={none}&ssl_keyfile={none}"])
def test_a_file_that_is_no_certificate_is_told(tmp_path: Path, options: str) -> None:
    none = tmp_path / "none.pem"
    none.write_text("not a certificate\n")
    with behind_tls(tmp_path, "localhost") as (port, _):
        said = ping(f"rediss://localhost:{port}/0?{options.format(none=none)}")
    assert said.startswith("TLS: ")
    assert "ssl_ca_certs, ssl_certfile and ssl_keyfile" in said


def test_tls_spoken_to_a_redis_without_it_and_the_other_way_round(tmp_path: Path, redis_tcp_url: str) -> None:
    said = ping(redis_tcp_url.replace("redis://", "rediss://"))  # it waits for more of what is no command
    assert said.startswith("TIMEOUT: ")
    assert said.endswith("If it does not speak TLS, begin REDIS_URL with redis://.")
    with behind_tls(tmp_path, "localhost") as (port, _):
        assert "rediss://" in ping(f"redis://localhost:{port}/0")
