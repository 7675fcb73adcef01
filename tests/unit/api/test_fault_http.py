"""Faults of the catalogue that need real sockets and certificates."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys

import pytest
from api_servers import CLOCK, RawServer, answer, make_authority

from orchestrator.api.client import LoopClient
from orchestrator.api.files import FileHost
from orchestrator.api.network import Network
from orchestrator.engine.ports import Broken, FileBroken, SignedUrl


async def test_a_slow_reader_gets_all_bytes_of_a_host_that_closes_its_half_early():
    body = bytes(range(256)) * 20_000

    async def script(head, reader, writer):
        writer.write(answer(200, body))
        writer.write_eof()
        await reader.read()

    network = Network(timeout=20.0, proxy="none")
    async with RawServer(script) as server, FileHost(server.url, network=network, clock=CLOCK) as host:
        received = bytearray()
        async with host.open(SignedUrl(f"{server.url}/f")) as opened:
            async for block in opened.blocks:
                received += block
                await asyncio.sleep(0.001)  # a disk that is slower than the network
    assert received == body


@pytest.fixture(scope="module")
def expired(tmp_path_factory):
    """A server whose certificate, signed by a trusted root, was valid for one day long ago."""
    folder = tmp_path_factory.mktemp("expired")
    ca_file, context = make_authority(folder)
    (folder / "index").touch()
    (folder / "serial").write_text("02\n")
    (folder / "ca.conf").write_text(
        "[ca]\ndefault_ca = ours\n[ours]\ndatabase = index\nserial = serial\nnew_certs_dir = .\ndefault_md = sha256\n"
        "policy = any\nx509_extensions = names\n[any]\ncommonName = supplied\n[names]\nsubjectAltName = DNS:localhost,IP:127.0.0.1\n"
    )
    day = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    dates = ("-startdate", f"{day:%Y%m%d%H%M%SZ}", "-enddate", f"{day + dt.timedelta(days=1):%Y%m%d%H%M%SZ}")
    subprocess.run(
        ["openssl", "ca", "-batch", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", "srv.csr", *dates,
         "-out", "old.pem"],
        check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    context.load_cert_chain(folder / "old.pem", folder / "srv.key")
    return ca_file, context


async def test_an_expired_certificate_is_not_trusted_and_hears_nothing(expired):
    ca_file, context = expired
    network = Network(timeout=20.0, proxy="none", ca_file=ca_file)
    async with (
        RawServer(answer(200, b"[]"), context=context) as server,
        LoopClient(server.url, token=lambda: "token", network=network, clock=CLOCK) as client,
        FileHost(server.url, network=network, clock=CLOCK) as host,
    ):
        told = await client.create({}, None)
        assert isinstance(told, Broken)
        assert (told.sent, told.trusted) == (False, False)
        assert "expired" in told.detail
        with pytest.raises(FileBroken) as raised:
            async with host.open(SignedUrl(f"{server.url}/f")):
                pass
        assert not raised.value.trusted
        assert server.heads == []


async def run_of(folder, base_url, **environ):
    """A run of one export, as a process of its own: its exit status and what it says."""
    (folder / "job.yaml").write_text(
        f"version: 1\nname: tls\napi: {{token: '${{T}}', base_url: '{base_url}'}}\nnetwork: {{proxy: none}}\n"
        "matrix: {window: {every: month, from: 2023-01, to: 2023-01}}\noutput: {to: out}\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "run", "job.yaml", "--json"),
        cwd=folder,
        env={**os.environ, "T": "token-for-tls", **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return process.returncode, json.loads(out)


async def test_a_run_ends_at_once_where_nobody_can_be_trusted_and_goes_on_with_the_right_authority(tmp_path):
    ca_file, context = make_authority(tmp_path)
    greetings = []
    context.sni_callback = lambda _socket, name, _context: greetings.append(name)
    async with RawServer(answer(400, b'{"message": "reached"}'), context=context) as server:
        base_url = server.url.replace("127.0.0.1", "localhost")
        status, report = await run_of(tmp_path, base_url)
        assert (status, report["outcome"], report["error"]["code"]) == (7, "unreachable", "host.untrusted")
        assert "SSL_CERT_FILE" in report["error"]["cause"]
        assert (greetings, server.heads) == (["localhost"], []), "it was not tried again"
        status, report = await run_of(tmp_path, base_url, SSL_CERT_FILE=ca_file)
        assert status == 1
        assert "reached" in report["exports"][0]["error"]["message"]
        assert len(server.heads) == 1


def test_no_setting_of_a_job_turns_verification_off():
    assert set(Network.__dataclass_fields__) == {"timeout", "proxy", "ca_file"}
