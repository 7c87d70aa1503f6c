"""Every golden vector of protocol/testdata/vectors, checked by the Python client."""

from __future__ import annotations

import json
import pathlib
import unittest
from dataclasses import replace
from typing import Any, Callable, Iterator
from unittest import mock

import msgpack
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import muster_client
import muster_grant
import muster_wire as wire
from muster_client import Change, Device, State
from muster_grant import InvalidGrant, Use, verify_grant

USE = Use("barcode-reader", 10, "mobile", "mobile", ("1D", "QR"))  # what the grant of grant.json is for
DIRECTORY = pathlib.Path(__file__).parent.parent / "testdata" / "vectors"


def same(got: Any, wanted: Any) -> None:
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def check_license_key(v: dict) -> None:
    key = wire.LicenseKey.parse(v["string"])
    same((key.project, key.organization, key.password), (v["project_id"], v["organization_id"], v["password"]))
    same([(a.transport, a.standby, a.handshake_key.hex(), a.host, a.port) for a in key.addresses],
         [({"tcp": 1, "udp": 2, "https": 3}[a["transport"]], a["standby"], a["handshake_key"],
           a["host_port"].rpartition(":")[0].strip("[]"), int(a["host_port"].rpartition(":")[2]))
          for a in v["addresses"]])
    same(v["binary"][-8:], v["checksum"])
    # The word of these very bytes is read alike.
    same(wire.LicenseKey.parse(word_of(bytes.fromhex(v["binary"]))), key)
    same(word_of(bytes.fromhex(v["binary"])), v["string"])


def word_of(data: bytes) -> str:
    return "muster1" + wire.base64.b32encode(data).decode().rstrip("=").lower()


def check_handshake(v: dict) -> None:
    server = X25519PrivateKey.from_private_bytes(bytes.fromhex(v["server_private_key"]))
    ephemeral = X25519PrivateKey.from_private_bytes(bytes.fromhex(v["ephemeral_private_key"]))
    public = server.public_key().public_bytes(wire.Encoding.Raw, wire.PublicFormat.Raw)
    same(public.hex(), v["server_public_key"])
    same("HPKE" + v["kem"] + v["kdf"] + v["aead"], "HPKE" + wire.HPKE.SUITE[4:].hex())
    context = wire.HPKE.to(public, v["info"].encode(), ephemeral)
    same(context.export(v["export_label"].encode(), 16).hex(), v["exported_secret"])

    # The Hello that this client seals is the vector's, byte for byte.
    hello = v["hello"]
    key = wire.LicenseKey(hello["project"], hello["organization"], hello["password"], ())
    plain = wire.hello_plain(key, bytes.fromhex(hello["client_uuid"]))
    same(plain.hex(), hello["plain"])
    record = wire.seal_hello(context, plain)
    same(record.hex(), hello["record"])

    # The server's side of HPKE reads it.
    kind, body = wire.split_record(record)
    same(kind, wire.HELLO)
    shared = server.exchange(X25519PublicKey.from_public_bytes(body[:32]))
    receiver = wire.HPKE(shared, body[:32], public, v["info"].encode())
    same(AESGCM(receiver.key).decrypt(receiver.nonce, body[32:], b""), plain)

    # The reply opens under the keys derived, and sealed again gives the same bytes.
    reply = v["reply"]
    record = bytes.fromhex(reply["record"])
    session = wire.open_hello_reply(context, record)
    same((session.ticket.hex(), session.up_key.hex(), session.down_key.hex(), session.time, 0),
         (reply["ticket"], reply["up_key"], reply["down_key"], reply["time"], reply["code"]))
    nonce = record[8:24]
    reply_key, reply_nonce = wire.reply_key(context, nonce)
    sealed = nonce + AESGCM(reply_key).encrypt(reply_nonce, bytes.fromhex(reply["plain"]), b"")
    same(wire.make_record(wire.HELLO_REPLY, sealed), record)


def check_ticket(v: dict) -> None:
    ticket = bytes.fromhex(v["ticket"])
    reader = wire.Reader(ticket)
    same([reader.uint(4), reader.uint(4), reader.uint(2), reader.uint(2), reader.take(8).hex(), reader.take(4).hex()],
         [v["epoch"], v["expires"], v["project"], v["password_generation"], v["random"], v["tag"]])
    reader.end()
    same(wire.Session(ticket, b"", b"", 0).expires, v["expires"])
    key = bytes.fromhex(v["ticket_key"])
    same(wire.hkdf_expand(key, v["tag_info"].encode() + ticket[:20], 32)[:4].hex(), v["tag"])
    same(wire.hkdf_expand(key, v["keys_info"].encode() + ticket, 32).hex(), v["up_key"] + v["down_key"])


def check_records(v: dict) -> None:
    request = {name: bytes.fromhex(value) for name, value in v["request"].items()}
    session = wire.Session(request["ticket"], request["key"], bytes.fromhex(v["reply"]["key"]), 0)
    same(wire.seal_request(session, request["messages"], request["nonce"]), request["record"])
    same(request["record"][:32], request["additional_data"])
    wire.unpack_arrays(request["messages"])

    reply = {name: bytes.fromhex(value) for name, value in v["reply"].items()}
    same(wire.open_reply(session, reply["record"]), reply["messages"])
    same((reply["record"][:8], reply["record"][8:20]), (reply["additional_data"], reply["nonce"]))
    wire.read_answers(reply["messages"])

    reject = wire.split_record(bytes.fromhex(v["reject"]["record"]))
    same(reject, (wire.REJECT, bytes([v["reject"]["reason"]])))


def sent(f: dict) -> bytes:
    """What a Device packs for the change or ping with these fields."""
    if f["type"] == wire.PING:
        return msgpack.packb([wire.PING, f["request_id"]])
    state = State(bytes.fromhex(f["client_uuid"]), f["stream"], int(f["token"], 16))
    use, more, challenge = Use(""), [], 0
    if f["type"] == wire.CHECK_IN:
        use = Use(f["product"], f["version"], f["edition"], f["deployment"], tuple(f["modules"]), f["charge_way"],
                  f["validation_value"], f["instances"])
        challenge = int(f["challenge"], 16)
    else:
        more = [f["item"]]
        if f["type"] == wire.REPORT:
            more.append([[line["slot"], line["module"], line["count"]] for line in f["lines"]])
    device = Device(wire.LicenseKey("", "", "", ()), [], state, use)
    packed: list[bytes] = []
    with mock.patch.object(device, "_next_id", lambda: f["request_id"]), \
            mock.patch.object(device, "_exchange", lambda message: packed.append(msgpack.packb(message))), \
            mock.patch.object(muster_client, "boot_clock", lambda: f["boot_clock"]), \
            mock.patch.object(muster_client, "known_proof", lambda _: int(f["known_proof"], 16)):
        device._send(Change(f["type"], f["sequence"], more, f["tag"]), challenge=challenge)
    return packed[0]


def check_request(v: dict) -> None:
    same(sent(v["fields"]).hex(), v["message"])


def check_answer(v: dict) -> None:
    answer, = wire.read_answers(bytes.fromhex(v["message"]))
    got = dict(answer._asdict())
    for name, value in got.items():
        if isinstance(value, bytes):
            got[name] = value.hex()
        elif name in ("token", "challenge"):
            got[name] = f"{value:016x}"
    got["type"] = bytes.fromhex(v["message"])[1]
    same(got, v["fields"])


def check_grant(v: dict) -> None:
    uuid, public, fields = bytes.fromhex(v["client_uuid"]), bytes.fromhex(v["vendor"]["public_key"]), v["grant"]
    proof, signed, leaf = bytes.fromhex(v["proof"]), bytes.fromhex(v["signed"]), bytes.fromhex(v["leaf"])
    grant = verify_grant(signed, proof, [public], uuid, USE)
    same({name: getattr(grant, name) for name in fields if name != "modules"},
         {name: value for name, value in fields.items() if name != "modules"})
    same(list(grant.modules.items()), [(module["name"], module["ordinal"]) for module in fields["modules"]])

    # Each value on the way from the vendor's key.
    same(muster_grant.vendor_key_id(public).hex(), v["vendor"]["key_id"])
    same(f"{muster_grant.known_proof(proof):016x}", v["known_proof"])
    identity = proof[:97]
    uuid_hex = muster_grant.server_uuid(identity).hex()
    same((identity[1:33].hex(), identity[33:65].hex(), uuid_hex),
         (v["server"]["signing_key"], v["server"]["handshake_key"], v["server"]["uuid"]))
    same(v["server"]["uuid_text"].replace("-", ""), uuid_hex.upper())
    same([len(part) for part in v["server"]["uuid_text"].split("-")], [8, 4, 4, 4, 12])

    c = v["certificate"]
    reader = wire.Reader(proof[97:])
    same((reader.uint(1), reader.take(8).hex(), reader.uint(4), reader.uint(4)),
         (1, v["vendor"]["key_id"], c["size"], c["item_index"]))
    same([reader.take(reader.uint(2)).hex() for _ in range(2)], [c["license_leaf"], c["item_leaf"]])
    path = reader.list8(lambda: reader.take(32))
    root = muster_grant.tree_root(bytes.fromhex(c["license_leaf"]), 0, c["size"], path)
    message = b"muster license certificate 1\0" + root + c["size"].to_bytes(4, "big")
    same((root.hex(), message.hex(), proof[-64:].hex()), (c["root"], c["message"], c["signature"]))

    reader = wire.Reader(signed)
    same(reader.take(reader.uint(2)), leaf)
    chain, size, number = reader.take(40), reader.uint(4), reader.uint(4)
    root = muster_grant.tree_root(leaf, number, size, reader.list8(lambda: reader.take(32)))
    statement = b"muster grant batch v1\0" + bytes.fromhex(uuid_hex) + chain + size.to_bytes(4, "big") + root
    same((size, root.hex(), statement.hex()), (5, v["batch"]["root"], v["batch"]["statement"]))


def each(check: Callable[[dict], None]) -> Callable[[list], None]:
    def check_all(vectors: list) -> None:
        for vector in vectors:
            check(vector)
    return check_all


CHECKS: dict[str, Callable[[Any], None]] = {
    "license_key.json": check_license_key,
    "handshake.json": check_handshake,
    "ticket.json": check_ticket,
    "records.json": check_records,
    "requests.json": each(check_request),
    "answers.json": each(check_answer),
    "grant.json": check_grant,
}


def load(name: str) -> Any:
    return json.loads((DIRECTORY / name).read_text(encoding="utf-8"))


def places(node: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Container, key and value of each leaf of a JSON document, but for the names of vectors."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, (dict, list)):
            yield from places(value)
        elif not (key == "name" and "message" in node):
            yield node, key, value


def altered(value: Any) -> Iterator[Any]:
    """The value with each of its bytes changed in turn."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value ^ 1
    elif value == "":
        yield "00"
    elif len(value) % 2 == 0 and set(value) <= set("0123456789abcdef"):
        data = bytes.fromhex(value)
        for i in range(len(data)):  # bits that X25519 does not mask away in a private key
            yield (data[:i] + bytes([data[i] ^ 0x18]) + data[i + 1:]).hex()
    else:
        for i in range(len(value)):
            yield value[:i] + ("0" if value[i] != "0" else "1") + value[i + 1:]


class Vectors(unittest.TestCase):
    def test_every_vector(self) -> None:
        self.assertEqual({path.name for path in DIRECTORY.iterdir()}, set(CHECKS), "vectors that nothing checks")
        for name, check in CHECKS.items():
            with self.subTest(name):
                check(load(name))

    def test_a_changed_byte_is_noticed(self) -> None:
        """Each value of each vector matters, to its last byte."""
        for name, check in CHECKS.items():
            vectors = load(name)
            for one, check_one in [(v, lambda v: check([v])) for v in vectors] if isinstance(vectors, list) else [
                    (vectors, check)]:
                for node, key, value in places(one):
                    for other in altered(value):
                        node[key] = other
                        with self.subTest(f"{name}: {key} = {other!r}"), self.assertRaises(Exception):
                            check_one(one)
                    node[key] = value

    def test_bits_of_records(self) -> None:
        """A record with any bit flipped does not open, or is no record."""
        v = load("records.json")["reply"]
        session = wire.Session(b"", b"", bytes.fromhex(v["key"]), 0)
        record = bytes.fromhex(v["record"])
        for flipped in flips(record):
            with self.assertRaises(wire.ProtocolError):
                wire.open_reply(session, flipped)

    def test_bits_of_grants(self) -> None:
        """Neither a grant nor a proof survives a flipped bit, or an end cut off."""
        v = load("grant.json")
        signed, proof = bytes.fromhex(v["signed"]), bytes.fromhex(v["proof"])
        rest = [bytes.fromhex(v["vendor"]["public_key"])], bytes.fromhex(v["client_uuid"]), USE
        verify_grant(signed, proof, *rest)
        for flipped in flips(signed):
            with self.assertRaises(InvalidGrant):
                verify_grant(flipped, proof, *rest)
        for flipped in flips(proof):
            with self.assertRaises(InvalidGrant):
                verify_grant(signed, flipped, *rest)
        for cut in range(len(proof)):
            with self.assertRaises(InvalidGrant):
                verify_grant(signed, proof[:cut], *rest)

    def test_a_grant_for_another_use(self) -> None:
        """The operator holds the server's keys, so it is the device that sees what the vendor licensed."""
        v = load("grant.json")
        rest = (bytes.fromhex(v["signed"]), bytes.fromhex(v["proof"]), [bytes.fromhex(v["vendor"]["public_key"])])
        uuid = bytes.fromhex(v["client_uuid"])
        for name, value in {"product": "barcode-server", "version": 12, "edition": "server", "deployment": "server",
                            "modules": ("PDF417",), "charge_way": 3}.items():
            with self.subTest(name), self.assertRaises(InvalidGrant):
                verify_grant(*rest, uuid, replace(USE, **{name: value}))
        with self.assertRaises(InvalidGrant):
            verify_grant(*rest, bytes(16), USE)
        with self.assertRaises(InvalidGrant):
            verify_grant(*rest[:2], [bytes(32)], uuid, USE)


def flips(data: bytes) -> Iterator[bytes]:
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


if __name__ == "__main__":
    unittest.main()
