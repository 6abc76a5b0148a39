"""Which addresses the guard lets be connected; that it is asked at each connection is for test_egress.py."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from ironclaw.egress import Guard, is_metadata, redirected
from ironclaw.errors import ConfigError, Forbidden, Invalid

REFUSED = """\
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.255 169.254.0.1 169.254.169.254 172.16.0.1
172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1
239.255.255.255 240.0.0.1 255.255.255.255 100.100.100.200 168.63.129.16 192.0.0.192
:: ::1 ::7f00:1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::7f00:1 100::1
2001::1 2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 4000::1 5f00::1
8000::1 fc00::1 fd00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::1%1 fec0::1 ff02::1
"""
OPEN = """\
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255 172.15.0.1
172.32.0.0 192.0.1.1 192.167.1.1 192.169.0.1 198.17.1.1 198.20.0.1 203.0.114.1 223.255.255.255
2001:200::1 2001:4860:4860::8888 2003::1 2606:4700:4700::1111 2a00:1450::1 3ffe::1
"""


@pytest.mark.parametrize("address", REFUSED.split())
def test_what_is_not_public_is_refused_s68(address: str) -> None:
    assert Guard().refusal("name.example", address, 80)


@pytest.mark.parametrize("address", OPEN.split())
def test_what_is_public_is_open_s68(address: str) -> None:
    assert Guard().refusal("name.example", address, 80) is None


# `ipaddress` calls these global, at least in some versions.
STRICTER = [
    ipaddress.ip_network(network)
    for network in (
        *("192.0.0.0/24", "192.88.99.0/24", "::/96", "64:ff9b::/96", "64:ff9b:1::/48"),
        *("2001::/23", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10"),
    )
]


@settings(max_examples=2000)
@given(st.ip_addresses())
def test_the_guard_is_never_laxer_than_ipaddress_and_stricter_only_where_it_says_so_s68(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    special = (
        not ip.is_global
        or ip.is_multicast
        or ip.is_reserved
        or ip.is_link_local
        or any(ip in network for network in STRICTER)
    )
    if isinstance(ip, ipaddress.IPv6Address):
        special = special or bool(ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip.is_site_local)
    assert (Guard().refusal("name.example", str(ip), 80) is not None) is (special or is_metadata(ip))


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("169.254.169.254", True),
        ("169.254.170.2", True),
        ("100.100.100.200", True),
        ("168.63.129.16", True),
        ("fe80::1", True),
        ("fe80::a9fe:a9fe%2", True),
        ("fd00:ec2::254", True),
        ("::ffff:169.254.169.254", True),
        ("::169.254.169.254", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("64:ff9b:1::a9fe:a9fe", True),
        ("2002:a9fe:a9fe::1", True),
        ("127.0.0.1", False),
        ("192.168.1.20", False),
        ("100.100.100.201", False),
        ("fd00::1", False),
        ("::1", False),
        ("::ffff:192.168.1.20", False),
        ("8.8.8.8", False),
    ],
)
def test_metadata_addresses_are_known_in_each_form(address: str, answer: bool) -> None:
    assert is_metadata(address) is answer


def test_a_host_name_is_not_taken_for_an_address_without_metadata() -> None:
    with pytest.raises(ValueError, match=r"metadata\.google\.internal"):
        is_metadata("metadata.google.internal")


@pytest.mark.parametrize(
    ("entry", "host", "address", "port", "opens"),
    [
        ("192.168.1.5", "192.168.1.5", "192.168.1.5", 80, True),
        ("192.168.1.5", "any.example", "192.168.1.5", 8080, True),
        ("192.168.1.5", "192.168.1.6", "192.168.1.6", 80, False),
        ("192.168.1.5", "::ffff:c0a8:105", "::ffff:c0a8:105", 80, False),
        ("192.168.1.5:8080", "192.168.1.5", "192.168.1.5", 8080, True),
        ("192.168.1.5:8080", "192.168.1.5", "192.168.1.5", 80, False),
        ("192.168.0.0/16", "nas", "192.168.7.7", 80, True),
        ("192.168.0.0/16", "nas", "10.0.0.1", 80, False),
        ("fd00::/8", "nas", "fd12::1", 80, True),
        ("fd12::1", "fd12::1", "fd12::1", 80, True),
        ("[fd12::1]:90", "fd12::1", "fd12::1", 90, True),
        ("[fd12::1]:90", "fd12::1", "fd12::1", 91, False),
        ("nas.local", "nas.local", "192.168.1.5", 80, True),
        ("NAS.local.", "nas.local", "192.168.1.5", 80, True),
        ("nas.local", "nas.local.", "192.168.1.5", 80, True),
        ("nas.local", "evil.example", "192.168.1.5", 80, False),
        ("nas.local", "x.nas.local", "192.168.1.5", 80, False),
        ("nas.local", "192.168.1.5", "192.168.1.5", 80, False),
        ("nas.local:5000", "nas.local", "192.168.1.5", 5000, True),
        ("nas.local:5000", "nas.local", "192.168.1.5", 80, False),
        ("bücher.test", "xn--bcher-kva.test", "10.0.0.1", 80, True),
        ("meta.example", "meta.example", "169.254.169.254", 80, False),
        ("169.254.0.0/16", "169.254.169.254", "169.254.169.254", 80, False),
        ("0.0.0.0/0", "meta.example", "100.100.100.200", 80, False),
    ],
)
def test_an_entry_opens_what_it_names_and_nothing_else(
    entry: str, host: str, address: str, port: int, opens: bool
) -> None:
    assert (Guard((entry,)).refusal(host, address, port) is None) is opens


@pytest.mark.parametrize(
    "entry",
    ["http://nas.local", "nas.local/path", "u@nas", "*", "*.local", "a?b", "a#b", "", "nas:99999", "10.0.0.0/99"],
)
def test_an_entry_of_another_kind_is_told_at_the_start(entry: str) -> None:
    with pytest.raises(ConfigError, match="WEB_FETCH_ALLOW") as caught:
        Guard(("ok.example", entry))
    assert caught.value.field == "web_fetch_allow"


def test_the_refusal_says_what_the_address_is_and_what_would_open_it() -> None:
    guard = Guard()
    assert guard.refusal("192.168.1.5", "192.168.1.5", 80) == (
        "192.168.1.5 is a private address; WEB_FETCH_ALLOW=192.168.1.5:80 lets the assistant read it."
    )
    assert guard.refusal("evil.example", "fd00::1", 81) == (
        "evil.example is at fd00::1, a private address; WEB_FETCH_ALLOW=[fd00::1]:81 lets the assistant read it."
    )
    assert "64:ff9b::808:808, an IPv4 address in another form;" in str(
        guard.refusal("a.example", "64:ff9b::808:808", 80)
    )
    assert guard.refusal("169.254.169.254", "169.254.169.254", 80) == (
        "169.254.169.254 is a link-local or metadata address, which is never read."
    )


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("http://a.example/x/y", "../z?q#f", "http://a.example/z?q"),
        ("http://a.example/", "https://b.example/", "https://b.example/"),
        ("https://a.example/", "//b.example:444/", "https://b.example:444/"),
        ("https://a.example/", "http://a.example/", Forbidden),
        ("https://a.example/", "HTTP://b.example/", Forbidden),
        ("http://a.example/", "file:///etc/passwd", Invalid),
        ("http://a.example/", "data:text/html,x", Invalid),
        ("http://a.example/", "ftp://b.example/", Invalid),
        ("http://a.example/", "http://user:word@b.example/", Invalid),
        ("http://a.example/", "http://b.example:99999/", Invalid),
    ],
)
def test_where_a_redirect_may_lead_s69(url: str, location: str, target: str | type[Exception]) -> None:
    if isinstance(target, str):
        assert str(redirected(URL(url), location)) == target
    else:
        with pytest.raises(target):
            redirected(URL(url), location)
