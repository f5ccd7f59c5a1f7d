"""One client is one allowance, however its proxies spell its address, and no client chooses which."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from ipaddress import IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict
from tests.support.node import running_node
from tests.support.raw_http import exchange

from laurels.config import Settings
from laurels.web.http.forwarded import MAX_ELEMENT, ForwardedHeader, client_address

PEER = "198.51.100.7"
IPV4 = st.ip_addresses(v=4).map(str)
IPV6 = st.ip_addresses(v=6).map(IPv6Address).filter(lambda address: address.ipv4_mapped is None).map(str)
PORT = st.one_of(st.just(""), st.integers(1, 65_535).map(":{}".format))
HEADER_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)


def counted_as(*lines: tuple[str, str], proxies: int = 1, header: ForwardedHeader = "either") -> str:
    """The key of the allowance of a request with these header lines."""
    return client_address(CIMultiDict(lines), PEER, proxies, header)


def xff(*lines: str, proxies: int = 1) -> str:
    return counted_as(*(("X-Forwarded-For", line) for line in lines), proxies=proxies)


def forwarded(*lines: str, proxies: int = 1) -> str:
    return counted_as(*(("Forwarded", line) for line in lines), proxies=proxies)


def network(address: str) -> str:
    return str(ipaddress.ip_network((int(ipaddress.ip_address(address)), 64), strict=False))


@given(address=IPV4, port=PORT)
def test_an_ipv4_client_is_one_whatever_its_port(address: str, port: str) -> None:
    mapped = f"::ffff:{address}"
    spellings = [f"{address}{port}", mapped, f"[{mapped}]{port}", f"[{mapped}%eth0]{port}", f'"{address}{port}"']
    assert {xff(spelling) for spelling in spellings} == {address}
    pairs = [f"for={address}", f'For="{address}{port}"', f'proto=https;for="[{mapped}]{port}";by=_edge']
    assert {forwarded(pair) for pair in pairs} == {address}


@given(address=IPV6, port=PORT)
def test_an_ipv6_client_is_its_64_whatever_its_port_and_zone(address: str, port: str) -> None:
    spellings = [address, f"[{address}]{port}", f"[{address.upper()}]", f"{address}%eth0", f"[{address}%25en1]{port}"]
    assert {xff(spelling) for spelling in spellings} == {network(address)}
    pairs = [f'for="[{address}]{port}"', f'  FOR="[{address}]{port}" ; proto=https', f'host="a, b";for="[{address}]"']
    assert {forwarded(pair) for pair in pairs} == {network(address)}


@pytest.mark.parametrize(
    "entry",
    [
        *("unknown", "_hidden", "", "localhost", "evil.test", "203.0.113.10:abc", "203.0.113.256", "203.0.113.010"),
        *("203.0.113.10:50000:1", "[2001:db8::9", "2001:db8::9]", "[2001:db8::9]x", "[]:80", "1", "0x7f.1", "127.1"),
        *("203.0.113.10/24", "203.0.113.1O", "٢٠٣.0.113.10", "2001:db8:::9", "x" * 5_000, "203.0.113.10 203.0.113.11"),
    ],
)
def test_what_is_not_an_address_counts_as_the_peer(entry: str) -> None:
    assert xff(entry) == PEER
    quoted = entry.replace('"', "")
    assert forwarded(f'for="{quoted}"') == PEER


@pytest.mark.parametrize(
    "element",
    ["", "for", "for=", "by=192.0.2.1", "for=192.0.2.1;for=192.0.2.2", 'for="192.0.2.1', "for =192.0.2.1", ";"],
)
def test_an_element_that_is_not_one_counts_as_the_peer(element: str) -> None:
    assert forwarded(element) == PEER


@given(invented=st.lists(HEADER_TEXT, max_size=3), hops=st.lists(IPV4, min_size=1, max_size=4), port=PORT)
@example(invented=['for="'], hops=["192.0.2.1"], port=":1")
@example(invented=['for="\\'], hops=["192.0.2.1"], port="")
def test_no_client_chooses_what_it_counts_as(invented: list[str], hops: list[str], port: str) -> None:
    """Its own entries stand to the left of what the trusted proxies append, or on lines before."""
    appended = ", ".join(f"{hop}{port}" for hop in hops)
    assert xff(*invented[:-1], ", ".join([*invented[-1:], appended]), proxies=len(hops)) == hops[0]
    assert xff(*invented, appended, proxies=len(hops)) == hops[0]
    elements = ", ".join(f'for="{hop}{port}";proto=https' for hop in hops)
    assert forwarded(*invented, elements, proxies=len(hops)) == hops[0]
    assert forwarded(*invented[:-1], ", ".join([*invented[-1:], elements]), proxies=len(hops)) == hops[0]


@given(host=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_a_host_that_a_proxy_quotes_says_nothing_about_the_client(host: str) -> None:
    quoted = host.replace("\\", "\\\\").replace('"', '\\"')
    assert forwarded(f'for=192.0.2.1;host="{quoted}";proto=https') == "192.0.2.1"


@given(line=HEADER_TEXT, proxies=st.integers(0, 4), name=st.sampled_from(["X-Forwarded-For", "Forwarded"]))
def test_every_header_is_counted_as_the_peer_or_as_an_address(line: str, proxies: int, name: str) -> None:
    found = counted_as((name, line), proxies=proxies)
    assert found == PEER or ipaddress.ip_network(found)


def test_a_peer_is_one_client_too() -> None:
    """On a link of its own, over both protocols, or on a Unix socket."""
    peers = {"fe80::1%eth0": "fe80::/64", "::ffff:192.0.2.1": "192.0.2.1", "192.0.2.1": "192.0.2.1"}
    assert {peer: client_address(CIMultiDict(), peer, 0) for peer in peers} == peers
    assert client_address(CIMultiDict(), None, 1) == client_address(CIMultiDict(), "", 0) == "unknown"


def test_a_request_past_the_proxies_counts_as_its_peer() -> None:
    assert xff("192.0.2.1", proxies=2) == PEER
    assert forwarded("for=192.0.2.1", proxies=2) == PEER
    assert forwarded("for=192.0.2.1", proxies=0) == PEER


def test_an_element_beyond_any_length_counts_as_the_peer() -> None:
    assert forwarded(f'for=192.0.2.1;host="{"a," * MAX_ELEMENT}"') == PEER


def test_one_header_counts_alone_where_the_operator_says_which() -> None:
    """Proxies that write the one pass the other on, as the client sent it."""
    both = (("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.2"))
    assert counted_as(*both) == "192.0.2.1"
    assert counted_as(*both, header="x-forwarded-for") == "192.0.2.1"
    assert counted_as(*both, header="forwarded") == "192.0.2.2"
    assert counted_as(both[0], header="forwarded") == PEER
    assert counted_as(both[1], header="x-forwarded-for") == PEER


async def test_a_client_with_a_new_port_for_each_request_has_one_allowance(settings: Settings) -> None:
    """As several balancers write it, through the whole node."""
    kinds = {
        "X-Forwarded-For": [f"203.0.113.10:{port}" for port in (50_000, 50_001, 50_002)],
        "Forwarded": [f'for="[2001:db8::9]:{port}";proto=https' for port in (50_000, 50_001, 50_002)],
    }
    async with running_node(replace(settings, address_rate=2, trusted_proxies=1)) as node:
        for name, lines in kinds.items():
            heads = [f"GET /api/boards HTTP/1.1\r\nHost: x\r\n{name}: {line}\r\n\r\n".encode() for line in lines]
            assert [(await exchange(node.url, head)).status for head in heads] == [200, 200, 429]
