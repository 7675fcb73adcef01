"""Secrets in eight places, and not a trace of one in any encoding wherever the program has written anything."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from parrot import Parrot
from secrets_hunt import files_below, hunt

SIGNATURE, POLICY, KEY_PAIR = "canary~signature-5Kd0/x==", "canary-policy-eyJTdGF0", "CANARYKEYPAIR77"
URL_TOKEN, API_KEY, MOVED = "canary-url-token-19", "canary-api-key-73", "canary-moved-31"
TOKEN, RENEWED, LITERAL = "canary-token/5b1f7c20d9", "canary-renewed+77aa1c", "canary-literal-40"
PROXY, NETRC, ENV = "canary-proxy-pw-91", "canary-netrc-pw-55", "canary-env-value-62"
SECRETS = (SIGNATURE, POLICY, KEY_PAIR, URL_TOKEN, API_KEY, MOVED, TOKEN, RENEWED, LITERAL, PROXY, NETRC, ENV)
QUERY = f"Expires=1&Policy={POLICY}&Signature={SIGNATURE}&Key-Pair-Id={KEY_PAIR}&token={URL_TOKEN}&X-Api-Key={API_KEY}"
BUGGY = str(Path(__file__).with_name("planted_bugs.py"))


def unbroken(seen):
    """What was written and, besides, the same without blanks and line breaks, between which a secret might be split."""
    return seen | {f"{place}, without its line breaks": b"".join(data.split()) for place, data in seen.items()}


class Watch:
    """Runs the program, and keeps what it says."""

    def __init__(self, it, env):
        self.it = it
        self.env = env
        self.said = {}

    async def run(self, status, *arguments, **program):
        done = await self.it.run(*arguments, env=self.env, python=["-X", "dev"], **program)
        assert done.status == status, f"{arguments}: {done}"
        return self.keep((*arguments, *program.values()), done)

    def keep(self, arguments, done):
        assert f"stdout of {arguments}" not in self.said, "each is kept"
        self.said |= {f"stdout of {arguments}": done.out.encode(), f"stderr of {arguments}": done.err.encode()}
        return done

    def finds(self, *inputs):
        """All secrets found, but in what we have written ourselves."""
        for name in inputs:
            (self.it.folder / name).unlink()
        return hunt(unbroken(self.said | files_below(self.it.folder)), SECRETS)


async def proxy_that_refuses(reader, writer):
    """Repeats the credentials that it was given."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        head = await reader.readuntil(b"\r\n\r\n")
        proxy_that_refuses.heard += head
        told = head.replace(b"\r\n", b" ")
        writer.write(b"HTTP/1.1 407 %s\r\nContent-Length: %d\r\n\r\n" % (told, len(told)) + told)
        await writer.drain()
    writer.close()


@pytest.mark.timeout(300)
async def test_eight_secrets_in_four_encodings_are_nowhere(stage):
    proxy_that_refuses.heard = b""
    proxy = await asyncio.start_server(proxy_that_refuses, "127.0.0.1", 0)
    async with proxy, Parrot(QUERY, f"token={MOVED}") as parrot, stage() as it:
        token, netrc = it.folder / "token.txt", it.folder / ".netrc"
        token.write_text(TOKEN + "\n")
        netrc.write_text(f"machine 127.0.0.1 login me password {NETRC}\ndefault login me password {NETRC}\n")
        env = {
            "https_proxy": f"http://joe:{PROXY}@127.0.0.1:{proxy.sockets[0].getsockname()[1]}",
            "NETRC": str(netrc),
            "CANARY": ENV,
        }
        it.job(months=4, api={"base_url": parrot.url, "token": "${file:token.txt}", "impersonate": "ana@example.com"})
        it.job(name="far.yaml", api={"base_url": "https://loop.example.com", "token": "${file:token.txt}"}, retry={"outage": 0.2},
               output={"to": "./far"})  # fmt: skip
        it.job(name="literal.yaml", api={"token": LITERAL})
        it.job(name="values.yaml", limits={"unfinished": "${CANARY}"}, request={"timezone": "${CANARY}"}, output={"path": "{${CANARY}}"},
               network={"proxy": "${CANARY}"}, api={"base_url": "http://${CANARY}@x", "token": "${CANARY}${CANARY}"})  # fmt: skip
        watch = Watch(it, env)
        await watch.run(0, "validate", "job.yaml")
        await watch.run(0, "plan", "job.yaml", "--json", "--out", "frozen.json")
        await watch.run(0, "plan", "job.yaml", "--set", f"network.proxy=http://joe:{PROXY}@127.0.0.1:1")
        await watch.run(1, "run", "job.yaml", "--json", "--verbose", "--log-format", "json")
        token.write_text(RENEWED)
        parrot.asked.clear()
        await watch.run(1, "run", "job.yaml", "--verbose", "--only", "all")
        await watch.run(0, "status", "job.yaml", "--json")
        await watch.run(0, "verify", "job.yaml", "--json")
        await watch.run(7, "run", "far.yaml", "--json", "--verbose")
        await watch.run(2, "validate", "literal.yaml", "--json")
        await watch.run(2, "validate", "values.yaml", "--json")
        # Python's own traces of a process that is ended in the middle of things, with a journal that was never closed.
        parrot.holds.set()
        running = await it.start("run", "frozen.json", "--verbose", "--state", "again", env=env, python=["-X", "dev"])
        await parrot.holding.wait()
        running.send(signal.SIGABRT)
        aborted = watch.keep("aborted", await running.ended())
        assert "Fatal Python error" in aborted.err
        assert (it.folder / "again" / "journal.db-wal").exists()
        assert len(it.manifest()["exports"]) == 3, "the runs came far enough to leak"
        assert json.loads((it.folder / "frozen.json").read_text())
        assert watch.finds("token.txt", ".netrc", "literal.yaml") == []
        there = hunt({"on the wire": bytes(parrot.heard)}, SECRETS)
        assert {secret for secret, _, _ in there} == {TOKEN, RENEWED, SIGNATURE, POLICY, KEY_PAIR, URL_TOKEN, API_KEY}
        assert hunt({"at the proxy": proxy_that_refuses.heard}, [PROXY]), "the proxy was given its password"
        assert not hunt({"at the proxy": proxy_that_refuses.heard}, [TOKEN, RENEWED, NETRC])


@pytest.mark.timeout(300)
async def test_nor_are_they_in_the_last_words_of_our_own_bugs(stage):
    """Exceptions that hold secrets: in the run, and beside it in tasks, threads, finalizers, warnings and log lines."""
    async with Parrot(QUERY, f"token={MOVED}") as parrot, stage() as it:
        parrot.asked.update(create=9, ask=9, file=9)  # nothing goes wrong but what is planted
        it.job(months=2, api={"base_url": parrot.url})
        watch = Watch(it, {"LOOP_API_TOKEN": TOKEN})
        for bug, status in {"in create": 70, "in get": 70, "in open": 70, "beside": 0, "leaving": 70}.items():
            done = await watch.run(
                status, "run", "job.yaml", "--json", "--verbose", "--only", "all", program=(BUGGY, bug)
            )
            assert "planted" in done.err, str(done)
            assert done.err.count("planted") >= 6 or bug != "beside"
        assert watch.finds() == []
