from __future__ import annotations

import pytest
from api_servers import Resolver
from yarl import URL

from orchestrator.api.addresses import AddressRefused, GuardedResolver, Kind, is_loopback_name, kind_of


def guard(base="api.intheloop.io", *, allow_private=False, **names):
    return GuardedResolver(Resolver(**names), base, allow_private=allow_private)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("93.184.216.34", Kind.GLOBAL),
        ("2600:9000::1", Kind.GLOBAL),
        ("64:ff9b::5db8:d822", Kind.GLOBAL),
        ("10.1.2.3", Kind.PRIVATE),
        ("172.31.255.255", Kind.PRIVATE),
        ("192.168.0.1", Kind.PRIVATE),
        ("100.64.0.1", Kind.PRIVATE),
        ("fd12::1", Kind.PRIVATE),
        ("::ffff:10.0.0.1", Kind.PRIVATE),
        ("2002:0a00:0001::", Kind.PRIVATE),
        ("127.0.0.1", Kind.LOOPBACK),
        ("127.255.0.9", Kind.LOOPBACK),
        ("::1", Kind.LOOPBACK),
        ("::ffff:127.0.0.1", Kind.LOOPBACK),
        ("169.254.169.254", Kind.FORBIDDEN),
        ("::ffff:169.254.169.254", Kind.FORBIDDEN),
        ("64:ff9b::a9fe:a9fe", Kind.FORBIDDEN),
        ("2002:a9fe:a9fe::", Kind.FORBIDDEN),
        ("::127.0.0.1", Kind.FORBIDDEN),
        ("100.100.100.200", Kind.FORBIDDEN),
        ("fd00:ec2::254", Kind.FORBIDDEN),
        ("fe80::1%eth0", Kind.FORBIDDEN),
        ("fec0::1", Kind.FORBIDDEN),
        ("0.0.0.0", Kind.FORBIDDEN),
        ("::", Kind.FORBIDDEN),
        ("224.0.0.1", Kind.FORBIDDEN),
        ("ff02::1", Kind.FORBIDDEN),
        ("240.0.0.1", Kind.FORBIDDEN),
        ("255.255.255.255", Kind.FORBIDDEN),
        ("192.0.2.1", Kind.FORBIDDEN),
        ("2001:db8::1", Kind.FORBIDDEN),
    ],
)
def test_kinds(address, kind):
    assert kind_of(address) is kind


def test_loopback_names():
    assert all(map(is_loopback_name, ["localhost", "LOCALHOST.", "files.localhost", "127.3.2.1", "::1"]))
    assert not any(map(is_loopback_name, ["localhost.example", "mylocalhost", "10.0.0.1", "", "127.1"]))


REFUSED = [
    "http://reports.example/f",
    "http://93.184.216.34/f",
    "http://10.0.0.1/f",
    "ftp://reports.example/f",
    "file:///etc/passwd",
    "gopher://reports.example/",
    "//reports.example/f",
    "https:///f",
    "https://user@reports.example/f",
    "https://user:pass@reports.example/f",
    "https://:pass@reports.example/f",
    "https://127.0.0.1/f",
    "https://localhost/f",
    "https://LocalHost./f",
    "https://a.localhost:8443/f",
    "https://10.0.0.1/f",
    "https://192.168.1.1:8443/f",
    "https://[::1]/f",
    "https://[::]/f",
    "https://[fd12::1]/f",
    "https://[fe80::1]/f",
    "https://[::ffff:10.0.0.1]/f",
    "https://[::ffff:169.254.169.254]/f",
    "https://[64:ff9b::a9fe:a9fe]/f",
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254./latest/meta-data/",
    "https://0.0.0.0/f",
    "https://0/f",
    "https://127.1/f",
    "https://2130706433/f",
    "https://017700000001/f",
    "https://0177.0.0.1/f",
    "https://0x7f.0.0.1/f",
    "https://0x7f000001/f",
    "https://224.0.0.1/f",
    "https://255.255.255.255/f",
]


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("url", REFUSED)
async def test_what_a_global_api_may_not_point_at(url, proxied):
    with pytest.raises(AddressRefused):
        await guard(api_intheloop_io="93.184.216.34").check(URL(url, encoded=True), proxied=proxied)


@pytest.mark.parametrize(
    "url",
    ["https://reports.example/f", "https://reports.example:8443/f", "https://93.184.216.34/f", "https://[2600::1]/f"],
)
async def test_what_a_global_api_may_point_at(url):
    await guard().check(URL(url, encoded=True), proxied=False)
    await guard().check(URL(url, encoded=True), proxied=True)


@pytest.mark.parametrize("base", ["127.0.0.1", "localhost", "::1", "10.9.8.7", "loop.corp.example"])
async def test_where_the_api_is_inside_file_hosts_may_be_inside(base):
    rule = guard(base, loop_corp_example="10.0.0.5", files_corp_example="10.0.0.6", meta_example="169.254.169.254")
    for url in (
        "https://10.0.0.1/f",
        "https://127.0.0.1/f",
        "http://127.0.0.1:8080/f",
        "http://localhost:8080/f",
        "https://[fd12::1]/f",
    ):
        await rule.check(URL(url, encoded=True), proxied=False)
    await rule.resolve("files.corp.example", 443)
    for url in ("http://10.0.0.1/f", "https://169.254.169.254/f", "https://0.0.0.0/f", "https://u@10.0.0.1/f"):
        with pytest.raises(AddressRefused):
            await rule.check(URL(url, encoded=True), proxied=False)
    with pytest.raises(AddressRefused):
        await rule.resolve("meta.example", 443)


async def test_private_addresses_can_be_allowed_but_not_loopback():
    rule = guard(
        allow_private=True, api_intheloop_io="93.184.216.34", files_corp_example="10.0.0.6", evil_example="127.0.0.1"
    )
    await rule.check(URL("https://10.0.0.1/f"), proxied=False)
    await rule.resolve("files.corp.example", 443)
    for url in ("https://127.0.0.1/f", "http://10.0.0.1/f", "https://169.254.169.254/f", "https://fd00:ec2::254/f"):
        with pytest.raises((AddressRefused, ValueError)):
            await rule.check(URL(url), proxied=False)
    with pytest.raises(AddressRefused):
        await rule.resolve("evil.example", 443)


@pytest.mark.parametrize(
    "addresses",
    [
        "10.0.0.1",
        "127.0.0.1",
        "::1",
        "fe80::1",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        ["93.184.216.34", "10.0.0.1"],
    ],
)
async def test_names_are_judged_by_every_address_they_resolve_to(addresses):
    rule = guard(rebound_example=addresses, api_intheloop_io=["93.184.216.34", "10.0.0.2"])
    await rule.check(URL("https://rebound.example/f?canary"), proxied=False)
    with pytest.raises(AddressRefused, match=r"rebound\.example") as caught:
        await rule.resolve("rebound.example", 443)
    assert "canary" not in str(caught.value)


async def test_global_names_resolve_without_a_look_at_the_api():
    rule = guard(reports_example=["93.184.216.34", "2600::1"])
    assert [found["host"] for found in await rule.resolve("reports.example", 443)] == ["93.184.216.34", "2600::1"]
    assert rule._inner.asked == ["reports.example"]


async def test_a_name_under_localhost_must_be_loopback():
    rule = guard("localhost", files_localhost="10.0.0.1", localhost="127.0.0.1")
    with pytest.raises(AddressRefused):
        await rule.resolve("files.localhost", 80)
    await rule.resolve("localhost", 80)


@pytest.mark.parametrize("host", ["intranet", "wiki.local", "metadata.google.internal", "router.home.arpa."])
async def test_through_a_proxy_inner_names_are_refused(host):
    with pytest.raises(AddressRefused):
        await guard().check(URL(f"https://{host}/"), proxied=True)
    await guard(allow_private=True).check(URL(f"https://{host}/"), proxied=True)
    await guard("localhost").check(URL(f"https://{host}/"), proxied=True)
    await guard().check(URL(f"https://{host}/"), proxied=False)  # the resolver will judge it
