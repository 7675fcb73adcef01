"""Eight secrets, and not a trace of one in four encodings wherever the program has written anything."""

from __future__ import annotations

import base64
import json
import urllib.parse

from rehearsal import TOKEN

PROXY, NETRC = "canary-proxy-pw-91", "canary-netrc-pw-55"
SECRETS = {
    "the token": TOKEN,
    "a token that was renewed": "canary-renewed-77aa1c",
    "the proxy's password": PROXY,
    "netrc's password": NETRC,
    "the URL's signature": "Signature=",
    "its key pair": "KSIMULATOR0001",
    "a redirect's query": "canary-redirect-31",
    "what a server echoes": "canary-echoed-08",
}
FAULTS = [
    {"on": "create", "do": "status", "code": 500, "body": "html", "match": {"nth": 2}},
    {"on": "get", "do": "status", "code": 503, "body": "json", "match": {"nth": 2}},
    {"on": "download", "do": "forbidden", "match": {"nth": 1}},
    {"on": "download", "do": "truncate", "match": {"nth": 3}},
    {"on": "download", "do": "corrupt", "how": "html", "match": {"nth": 5}},
    {"on": "download", "do": "redirect", "to": "http://127.0.0.1:1/?token=canary-redirect-31", "match": {"nth": 7}},
]


def forms(secret):
    """Plain, percent-encoded, in hexadecimal, and in base64 at each of its three alignments."""
    raw = secret.encode()
    yield raw
    yield urllib.parse.quote(secret, safe="").encode()
    yield raw.hex().encode()
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + raw)[4:-4]


async def test_eight_secrets_in_four_encodings_are_nowhere(stage):
    async with stage(faults=FAULTS, tokens=[TOKEN, SECRETS["a token that was renewed"]]) as it:
        token = it.folder / "token.txt"
        token.write_text(TOKEN + "\n")
        (it.folder / ".netrc").write_text(f"machine 127.0.0.1 login me password {NETRC}\n")
        env = {
            "https_proxy": f"http://joe:{PROXY}@127.0.0.1:9",
            "NETRC": str(it.folder / ".netrc"),
            "NO_PROXY": "127.0.0.1",
        }
        it.job(months=8, api={"token": "${file:token.txt}", "impersonate": "ana@example.com"})
        said = []
        for arguments in (
            ("validate", "job.yaml"),
            ("plan", "job.yaml", "--json", "--out", "frozen.json"),
            ("run", "job.yaml", "--json", "--verbose", "--log-format", "json"),
            ("run", "job.yaml", "--json", "--verbose", "--only", "all"),
            ("status", "job.yaml", "--json"),
            ("verify", "job.yaml", "--json"),
        ):
            said.append((arguments, await it.run(*arguments, env=env, python=["-X", "dev"])))
            if "--verbose" in arguments:
                token.write_text(SECRETS["a token that was renewed"])
        # Through the proxy there is nobody; and a job file that holds a literal token is refused, not repeated.
        it.job(name="far.yaml", api={"base_url": "https://loop.example.com"}, retry={"outage": 0.2})
        said.append(("far", await it.run("run", "far.yaml", "--json", "--verbose", env=env)))
        it.job(name="literal.yaml", api={"token": SECRETS["what a server echoes"]})
        said.append(("literal", await it.run("validate", "literal.yaml", "--json", env=env)))
        (it.folder / "literal.yaml").unlink()
        token.unlink()
        (it.folder / ".netrc").unlink()
        assert [ended.status for _, ended in said[:2]] == [0, 0], str(said[1][1])
        assert said[-1][1].status == 2
        assert len(it.manifest()["exports"]) >= 7, "the run came far enough to leak"
        seen = {str(how): (ended.out + ended.err).encode() for how, ended in said}
        seen |= {str(path): path.read_bytes() for path in it.folder.rglob("*") if path.is_file()}
        assert json.loads(seen[str(it.folder / "frozen.json")])
        hits = [
            (what, place)
            for what, one in SECRETS.items()
            for form in forms(one)
            for place, data in seen.items()
            if form in data
        ]
        assert hits == []
        assert it.sim.stats.with_credentials == 0
