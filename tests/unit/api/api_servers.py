"""Servers that say exactly the bytes they are told to, and remember what they heard."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import struct
import subprocess
from types import SimpleNamespace

import pytest

CLOCK = SimpleNamespace(now=lambda: 1_700_000_000.0)


class RawServer:
    """Answers the n-th request with the n-th script (the last one again and again).

    A script is the bytes to send, or a coroutine function that is given the request's head, the reader and the writer.
    Bytes are followed by a FIN unless `keep_alive`. `context` makes it speak TLS.
    """

    def __init__(self, *scripts, keep_alive=False, context=None, host="127.0.0.1"):
        self.scripts = list(scripts)
        self.keep_alive = keep_alive
        self.context = context
        self.host = host
        self.heads = []
        self.bodies = []
        self.came_on = []
        """Of each request, the number of its connection."""
        self.connections = 0
        self._writers = set()
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    @property
    def url(self):
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    @property
    def request_lines(self):
        return [head.split(b"\r\n")[0].decode() for head in self.heads]

    async def _serve(self, reader, writer):
        self.connections += 1
        number = self.connections
        self._writers.add(writer)
        self._tasks.add(asyncio.current_task())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                self.came_on.append(number)
                length = next((int(h[15:]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")), 0)
                self.bodies.append(await reader.readexactly(length))
                script = self.scripts[min(len(self.heads), len(self.scripts)) - 1]
                if callable(script):
                    await script(head, reader, writer)
                else:
                    writer.write(script)
                    await writer.drain()
                if not self.keep_alive:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


def answer(status, body=b"", *headers, length=True):
    head = [f"HTTP/1.1 {status} Some Phrase", *headers]
    if length:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def reset(writer):
    """Ends a connection by RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Resolver:
    """Names to addresses out of a table, each at a port of its own; remembers who was asked for."""

    def __init__(self, **table):
        self.table = {name.replace("_", "."): address for name, address in table.items()}
        self.asked = []

    async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
        self.asked.append(host)
        if host not in self.table:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = self.table[host]
        addresses = [found] if isinstance(found, str) else found
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in addresses
        ]

    async def close(self):
        pass


def make_authority(folder, names=("DNS:localhost", "IP:127.0.0.1")):
    """A root certificate, and a server context with a certificate that it signed: `(ca_file, context)`."""

    if shutil.which("openssl") is None:
        pytest.skip("the openssl program makes the certificates, and it is not here")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "2",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    openssl("req", *new_key, "-keyout", "srv.key", "-out", "srv.csr", "-subj", "/CN=server")
    (folder / "ext").write_text(
        f"subjectAltName={','.join(names)}\nbasicConstraints=CA:FALSE\n"
        "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    openssl("x509", "-req", "-in", "srv.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "srv.pem", "-days", "2", "-extfile", "ext")  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "srv.pem", folder / "srv.key")
    return str(folder / "ca.pem"), context
