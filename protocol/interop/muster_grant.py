"""Verifies a grant offline, with nothing but the vendor's public key: section 10 of docs/PROTOCOL.md,
and written from it alone.
"""

from __future__ import annotations

import hashlib
import struct
from collections import namedtuple
from dataclasses import dataclass
from typing import Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from muster_wire import Reader


class InvalidGrant(Exception):
    """A grant that must not be used."""


@dataclass(frozen=True)
class Use:
    """What a check-in asks for."""

    product: str
    version: int = 0
    edition: str = ""
    deployment: str = ""
    modules: tuple[str, ...] = ()
    charge_way: int = 0
    validation_value: str = ""
    instances: int = 0


# What the vendor signed for one item.
Terms = namedtuple("Terms", "item_id product versions edition deployment modules charge_way"
                   " start expiry grace quota flags")


@dataclass(frozen=True)
class Grant:
    client_uuid: bytes
    project: str
    license_id: str
    item_id: str
    revision: int
    item: int
    charge_way: int
    flags: int
    instances: int
    issued: int
    active_until: int
    boot_clock: int
    modules: dict[str, int]  # name: ordinal
    terms: Terms


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def known_proof(proof: bytes) -> int:
    """The name of a proof in a check-in."""
    return int.from_bytes(sha256(proof)[:8], "big") if proof else 0


def vendor_key_id(public: bytes) -> bytes:
    return sha256(b"muster vendor key id 1\0", public)[:8]


def server_uuid(identity: bytes) -> bytes:
    return sha256(b"muster server uuid 1\0", identity)[:16]


def tree_root(leaf: bytes, number: int, size: int, path: list[bytes]) -> bytes:
    """The root of an RFC 6962 tree from one leaf and the path upwards from it."""
    if number >= size:
        raise ValueError("no such leaf")
    rest, last, digest = list(path), size - 1, sha256(b"\0", leaf)
    while last > 0:
        if number % 2:
            digest = sha256(b"\1", rest.pop(0), digest)
        elif number < last:
            digest = sha256(b"\1", digest, rest.pop(0))
        number, last = number // 2, last // 2
    if rest:
        raise ValueError("the path is too long")
    return digest


def verify_grant(signed: bytes, proof: bytes, vendor_keys: Iterable[bytes], client_uuid: bytes, use: Use) -> Grant:
    """The grant, if the way from a vendor's key to it is unbroken and it is for this use; InvalidGrant otherwise."""
    try:
        return _verify_grant(signed, proof, {vendor_key_id(key): key for key in vendor_keys}, client_uuid, use)
    except (ValueError, LookupError, InvalidSignature) as error:
        raise InvalidGrant(str(error) or type(error).__name__) from error


def _verify_grant(
        signed: bytes, proof: bytes, vendor_keys: dict[bytes, bytes], client_uuid: bytes, use: Use) -> Grant:
    def require(holds: bool, what: str) -> None:
        if not holds:
            raise ValueError(what)

    certificate = Reader(proof)
    identity = certificate.take(97)
    mode, signing_key, machine = identity[0], identity[1:33], identity[65:]
    require(certificate.uint(1) == 1, "certificate of another version")
    vendor_key = vendor_keys[certificate.take(8)]
    size, item_index = certificate.uint(4), certificate.uint(4)
    license_leaf, item_leaf = certificate.take(certificate.uint(2)), certificate.take(certificate.uint(2))
    license_path, item_path = (certificate.list8(lambda: certificate.take(32)) for _ in range(2))
    signature = certificate.take(64)
    certificate.end()
    require(item_index >= 1, "the license is not an item")
    root = tree_root(license_leaf, 0, size, license_path)
    require(root == tree_root(item_leaf, item_index, size, item_path), "license and item are of two trees")
    Ed25519PublicKey.from_public_bytes(vendor_key).verify(
        signature, b"muster license certificate 1\0" + root + struct.pack(">I", size))
    license_id, revision, servers, bindings = _license_terms(license_leaf)
    terms = _item_terms(item_leaf)

    uuid = server_uuid(identity)
    require(uuid in servers and mode in bindings, "the license is for another server")
    require((mode == 2) == any(machine), "machine digest and mode disagree")

    batch = Reader(signed)
    leaf = batch.take(batch.uint(2))
    index_and_previous = batch.take(8 + 32)
    size, number = batch.uint(4), batch.uint(4)
    root = tree_root(leaf, number, size, batch.list8(lambda: batch.take(32)))
    signature = batch.take(64)
    batch.end()
    Ed25519PublicKey.from_public_bytes(signing_key).verify(
        signature, b"muster grant batch v1\0" + uuid + index_and_previous + struct.pack(">I", size) + root)

    grant = _grant_leaf(leaf, terms)
    require(grant.client_uuid == client_uuid, "the grant is another device's")
    require((grant.license_id, grant.item_id, grant.revision, grant.charge_way)
            == (license_id, terms.item_id, revision, terms.charge_way), "the grant is of another item")
    require(not terms.flags, "the item is revoked")
    require(grant.issued >= terms.start, "granted before the item's start")
    require(grant.active_until <= terms.expiry + terms.grace, "granted beyond the item's end")
    require(grant.instances <= terms.quota, "more instances than the quota")
    require(not terms.modules or set(grant.modules) <= set(terms.modules), "a module that is not the item's")
    require(terms.product == use.product, "the item is of another product")
    require(not terms.versions or use.version in terms.versions, "the item is for other versions")
    require(terms.edition in ("", use.edition), "the item is for another edition")
    require(terms.deployment in ("", use.deployment), "the item is for another deployment")
    require(use.charge_way in (0, terms.charge_way), "the item is of another charge way")
    require(not terms.modules or set(use.modules) <= set(grant.modules), "a module asked for is missing")
    return grant


def _of(value: int, allowed: Iterable[int]) -> int:
    if value not in allowed:
        raise ValueError(f"unknown value {value}")
    return value


def _license_terms(leaf: bytes) -> tuple[str, int, list[bytes], list[int]]:
    reader = Reader(leaf)
    _of(reader.uint(1), [1])
    license_id, revision, _organization = reader.string8(), reader.uint(4), reader.string8()
    servers = reader.list8(lambda: reader.take(16))
    bindings = reader.list8(lambda: _of(reader.uint(1), [1, 2]))
    reader.end()
    return license_id, revision, servers, bindings


def _item_terms(leaf: bytes) -> Terms:
    reader = Reader(leaf)
    _of(reader.uint(1), [1])
    terms = Terms(
        reader.string8(), reader.string8(), reader.list8(lambda: reader.uint(2)), reader.string8(), reader.string8(),
        reader.list8(reader.string8), _of(reader.uint(1), range(1, 11)),
        *(_of(reader.uint(8), range(1 << 61)) for _ in range(3)), reader.uint(8), _of(reader.uint(1), [0, 1]))
    reader.end()
    return terms


def _grant_leaf(leaf: bytes, terms: Terms) -> Grant:
    reader = Reader(leaf)
    _of(reader.uint(1), [1])
    values = (reader.take(16), reader.string8(), reader.string8(), reader.string8(), reader.uint(4), reader.uint(4),
              _of(reader.uint(1), range(1, 11)), reader.uint(1), reader.uint(4),
              reader.uint(8), reader.uint(8), reader.uint(8))
    modules = reader.list8(lambda: (reader.uint(2), reader.string8()))
    reader.end()
    return Grant(*values, {name: ordinal for ordinal, name in modules}, terms)
