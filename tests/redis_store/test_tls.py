"""`rediss://`: calls and the bus through TLS, to a server whose certificate is looked at."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.live.test_bus import Heard
from tests.support.polling import eventually
from tests.support.ports import free_block
from tests.support.redis import RedisServer

from laurels.live.bus import Bus
from laurels.redis_store import RedisStore, RedisUnavailable, parse_address


@dataclass(frozen=True, slots=True)
class Secured:
    """Address of a server with TLS, and the file of its certificate authority."""

    port: int
    ca: Path


def _certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """(certificate, key) that vouch for themselves."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / f"{host}.pem", folder / f"{host}.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return certificate, secret


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    certificate, key = _certificate(tmp_path, "127.0.0.1")
    port = free_block()
    options = {"tls-port": str(port), "tls-cert-file": str(certificate), "tls-key-file": str(key)}
    server = RedisServer(tmp_path, bind="127.0.0.1", **{"tls-auth-clients": "no", **options})
    server.start()
    yield Secured(port, certificate)
    server.kill()


async def test_calls_and_the_bus_go_through_tls(secured: Secured) -> None:
    store = RedisStore(parse_address(f"rediss://127.0.0.1:{secured.port}?ca={secured.ca}"), "test")
    await store.check()
    assert await store.call(lambda redis: redis.set("a", "1"))
    heard = Heard()
    bus = Bus(store, "a", heard.listener())
    running = asyncio.create_task(bus.run())

    async def is_up() -> bool:
        return bus.is_up

    await eventually(is_up, bool)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()


@pytest.mark.parametrize("why", ["an unknown authority", "it is another host's"])
async def test_a_certificate_that_is_not_the_servers_is_refused(secured: Secured, tmp_path: Path, why: str) -> None:
    stranger, _ = _certificate(tmp_path, "127.0.0.2")
    host, ca = ("127.0.0.1", stranger) if why == "an unknown authority" else ("localhost", secured.ca)
    store = RedisStore(parse_address(f"rediss://{host}:{secured.port}?ca={ca}"), "test")
    with pytest.raises(RedisUnavailable, match="certificate"):
        await store.call(lambda redis: redis.ping())
    await store.close()
