"""The wire of the muster device protocol, written from docs/PROTOCOL.md alone:
license keys, the handshake, records, messages and connections. Section numbers are the document's.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import random
import re
import secrets
import socket
import struct
import time
from collections import namedtuple
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Optional, Sequence

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HELLO, HELLO_REPLY, REQUEST, REPLY, REJECT = 1, 2, 3, 4, 5
CHECK_IN, REPORT, RELEASE, PING = 1, 2, 3, 4
RECORD_MAX, DATAGRAM_MAX = 65536, 1200
TIME_OUT = 10.0

U16, U32, U64 = (1 << 16) - 1, (1 << 32) - 1, (1 << 64) - 1


class ProtocolError(Exception):
    """What came can't be read, or does not open."""


class Rejected(Exception):
    """The server sent a Reject, which proves nothing."""

    def __init__(self, reason: int) -> None:
        super().__init__(f"rejected, reason {reason}")
        self.reason = reason


class Refusal(Exception):
    """The server refused with a code of section 8."""

    def __init__(self, code: int, item: str = "") -> None:
        super().__init__(f"refused with code {code} {item}".rstrip())
        self.code, self.item = code, item


# ---- Layouts of single bytes (sections 3 and 10)


class Reader:
    """Takes a byte layout apart. Every fault is a ValueError."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, length: int) -> bytes:
        if length > len(self.rest):
            raise ValueError("ends too early")
        taken, self.rest = self.rest[:length], self.rest[length:]
        return taken

    def uint(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def string8(self) -> str:
        return self.take(self.uint(1)).decode("utf-8")

    def list8(self, entry: Callable[[], Any]) -> list:
        return [entry() for _ in range(self.uint(1))]

    def end(self) -> None:
        if self.rest:
            raise ValueError("bytes are left over")


# ---- License key (section 3)


class Address(NamedTuple):
    transport: int  # 1 tcp, 2 udp, 3 https
    standby: bool
    handshake_key: bytes
    host: str
    port: int


@dataclass(frozen=True)
class LicenseKey:
    project: str
    organization: str
    password: str = field(repr=False)
    addresses: tuple[Address, ...]

    @classmethod
    def parse(cls, word: str) -> LicenseKey:
        word = word.strip().lower()
        if not re.fullmatch("muster1[a-z2-7]+", word):
            raise ValueError("not a license key of version 1")
        encoded = word[len("muster1"):].upper()
        data = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
        if len(data) < 4 or binascii.crc32(data[:-4]) != int.from_bytes(data[-4:], "big"):
            raise ValueError("license key: a character is wrong")
        reader = Reader(data[:-4])
        flags = reader.uint(1)
        if flags > 1:
            raise ValueError("license key of a later version: update the application")
        project, organization = reader.string8(), reader.string8()
        password = reader.string8() if flags else ""
        keys = reader.list8(lambda: reader.take(32))

        def address() -> Address:
            transport, place, (host, _, port) = (
                reader.uint(1), reader.uint(1), reader.string8().rpartition(":"))
            if place >= len(keys):
                raise ValueError("license key: an address without a key")
            return Address(transport & 0x7F, transport > 0x7F, keys[place], host.strip("[]"), int(port))

        addresses = reader.list8(address)
        reader.end()
        if len(addresses) > 16:
            raise ValueError("license key: too many addresses")
        return cls(project, organization, password, tuple(addresses))

    def by_transport(self, transport: int) -> list[Address]:
        """The addresses of one transport in the order in which they are to be tried."""
        return sorted((a for a in self.addresses if a.transport == transport), key=lambda a: a.standby)


# ---- Key derivation (section 4; RFC 5869, RFC 9180)


def hkdf_extract(salt: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), ikm, "sha256")


def hkdf_expand(prk: bytes, info: bytes, length: int) -> bytes:
    out, block = b"", b""
    for counter in range(1, 1 + -(-length // 32)):
        block = hmac.digest(prk, block + info + bytes([counter]), "sha256")
        out += block
    return out[:length]


class HPKE:
    """The context of RFC 9180 that seals one Hello: base mode, X25519, HKDF-SHA256, AES-128-GCM."""

    KEM = b"KEM" + bytes.fromhex("0020")
    SUITE = b"HPKE" + bytes.fromhex("0020" "0001" "0001")

    def __init__(self, shared: bytes, enc: bytes, recipient: bytes, info: bytes) -> None:
        self.enc = enc
        prk = self._extract(self.KEM, b"", b"eae_prk", shared)
        secret = self._expand(self.KEM, prk, b"shared_secret", enc + recipient, 32)
        context = (b"\0" + self._extract(self.SUITE, b"", b"psk_id_hash", b"")
                   + self._extract(self.SUITE, b"", b"info_hash", info))
        prk = self._extract(self.SUITE, secret, b"secret", b"")
        self.key = self._expand(self.SUITE, prk, b"key", context, 16)
        self.nonce = self._expand(self.SUITE, prk, b"base_nonce", context, 12)
        self.exporter = self._expand(self.SUITE, prk, b"exp", context, 32)

    @staticmethod
    def _extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hkdf_extract(salt, b"HPKE-v1" + suite + label + ikm)

    @staticmethod
    def _expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
        return hkdf_expand(prk, struct.pack(">H", length) + b"HPKE-v1" + suite + label + info, length)

    @classmethod
    def to(cls, recipient: bytes, info: bytes, ephemeral: Optional[X25519PrivateKey] = None) -> HPKE:
        ephemeral = ephemeral or X25519PrivateKey.generate()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient))
        enc = ephemeral.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return cls(shared, enc, recipient, info)

    def export(self, label: bytes, length: int) -> bytes:
        return self._expand(self.SUITE, self.exporter, b"sec", label, length)


def open_sealed(key: bytes, nonce: bytes, sealed: bytes, additional: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, sealed, additional)
    except (InvalidTag, ValueError) as error:
        raise ProtocolError("a record does not open") from error


# ---- Records (sections 2 and 5)


def make_record(kind: int, body: bytes) -> bytes:
    return struct.pack(">2sBBI", b"Ms", 1, kind, len(body)) + body


def split_record(record: bytes) -> tuple[int, bytes]:
    """Type and body of one whole record."""
    if len(record) < 8 or record[:3] != b"Ms\x01" or int.from_bytes(record[4:8], "big") != len(record) - 8:
        raise ProtocolError("not a record")
    return record[3], record[8:]


@dataclass
class Session:
    """What a HelloReply gives: a ticket, its two keys, and the server's clock."""

    ticket: bytes
    up_key: bytes = field(repr=False)
    down_key: bytes = field(repr=False)
    time: int
    sealed: int = 0

    @property
    def expires(self) -> int:
        """The unix second from which the ticket is refused."""
        return int.from_bytes(self.ticket[4:8], "big")


def seal_request(session: Session, plaintext: bytes, nonce: bytes = b"") -> bytes:
    """A Request record. Only a test may give the nonce: none may be used twice under one key."""
    nonce = nonce or secrets.token_bytes(12)
    session.sealed += 1
    head = make_record(REQUEST, bytes(24 + 12 + len(plaintext) + 16))[:8] + session.ticket
    return head + nonce + AESGCM(session.up_key).encrypt(nonce, plaintext, head)


def open_reply(session: Session, record: bytes) -> bytes:
    kind, body = split_record(record)
    if kind != REPLY:
        raise ProtocolError("not a Reply")
    return open_sealed(session.down_key, body[:12], body[12:], record[:8])


# ---- Handshake (section 4)


def hello_plain(key: LicenseKey, client_uuid: Optional[bytes]) -> bytes:
    return msgpack.packb([key.project, key.organization, key.password, client_uuid])


def seal_hello(context: HPKE, plain: bytes) -> bytes:
    return make_record(HELLO, context.enc + AESGCM(context.key).encrypt(context.nonce, plain, b""))


def reply_key(context: HPKE, nonce: bytes) -> tuple[bytes, bytes]:
    """Key and nonce under which the HelloReply with this nonce is sealed."""
    prk = hkdf_extract(context.enc + nonce, context.export(b"muster hello reply v1", 16))
    return hkdf_expand(prk, b"key", 16), hkdf_expand(prk, b"nonce", 12)


def open_hello_reply(context: HPKE, record: bytes) -> Session:
    kind, body = split_record(record)
    if kind != HELLO_REPLY:
        raise ProtocolError("not a HelloReply")
    key, nonce = reply_key(context, body[:16])
    reply, = unpack_arrays(open_sealed(key, nonce, body[16:], b""))
    if len(reply) < 5:
        raise ProtocolError("HelloReply: an element is missing")
    code = as_uint(reply[0], U16)
    if code:
        raise Refusal(code)
    ticket, up_key, down_key = (as_bytes(element) for element in reply[1:4])
    if (len(ticket), len(up_key), len(down_key)) != (24, 16, 16):
        raise ProtocolError("HelloReply: a wrong length")
    return Session(ticket, up_key, down_key, as_uint(reply[4], U64))


# ---- Messages (section 6)


def _answer(name: str, **elements: Any) -> tuple[type, tuple]:
    """A tuple type for an answer, and of each element the largest number allowed, or its type."""
    return namedtuple(name, elements), tuple(elements.values())


ANSWERS: dict[int, tuple[type, tuple]] = {
    33: _answer("Granted", request_id=U32, sequence=U32, stream=U32, token=U64, time=U64, item=U32,
                grant=bytes, proof=bytes),
    34: _answer("Accepted", request_id=U32, sequence=U32),
    35: _answer("Refused", request_id=U32, sequence=U32, stream=U32, token=U64, code=U16, item=U32, item_name=str),
    36: _answer("OutOfStep", request_id=U32, sequence=U32),
    37: _answer("Pong", request_id=U32, time=U64),
    38: _answer("Busy", request_id=U32, retry_after=U32),
    39: _answer("NoStream", request_id=U32, challenge=U64),
    40: _answer("TooLarge", request_id=U32),
}
Granted, Accepted, Refused, OutOfStep, Pong, Busy, NoStream, TooLarge = (kind for kind, _ in ANSWERS.values())
Answer = tuple  # one of these


def as_uint(value: Any, largest: int) -> int:
    if type(value) is not int or not 0 <= value <= largest:
        raise ProtocolError("a number was expected")
    return value


def as_bytes(value: Any) -> bytes:
    """str and bin both come as bytes from an Unpacker(raw=True); nil is empty."""
    if value is None:
        return b""
    if type(value) is not bytes:
        raise ProtocolError("bytes were expected")
    return value


def as_text(value: Any) -> str:
    try:
        return as_bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError("text is not UTF-8") from error


def unpack_arrays(plaintext: bytes) -> list[list]:
    """The msgpack arrays that stand one behind the other, and nothing else."""
    unpacker = msgpack.Unpacker(raw=True, strict_map_key=False)
    unpacker.feed(plaintext)
    try:
        arrays = list(unpacker)
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError("malformed msgpack") from error
    if unpacker.tell() != len(plaintext) or not all(isinstance(array, list) for array in arrays):
        raise ProtocolError("malformed messages")
    return arrays


def read_answers(plaintext: bytes) -> list[Answer]:
    """The answers of a Reply. Elements of a later version, behind those known here, are skipped."""
    answers = []
    for array in unpack_arrays(plaintext):
        answer, limits = ANSWERS.get(array[0] if array else None, (None, ()))
        if answer is None or len(array) - 1 < len(limits):
            raise ProtocolError("not an answer, or an element is missing")
        answers.append(answer(*(
            as_bytes(value) if limit is bytes else as_text(value) if limit is str else as_uint(value, limit)
            for value, limit in zip(array[1:], limits))))
    return answers


def pad_check_in(message: list, room: int) -> bytes:
    """A check-in with one more element, a bin of zeros, so that it takes up all the room (section 2)."""
    head = msgpack.Packer().pack_array_header(len(message) + 1)
    packed = head + b"".join(map(msgpack.packb, message))
    gap = room - len(packed) - 3
    return msgpack.packb(message) if gap < 0 else packed + b"\xc5" + struct.pack(">H", gap) + bytes(gap)


# ---- Connections (sections 2, 5 and 11)


class TCPLink:
    """One TCP connection."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.socket = socket.create_connection((address.host, address.port), TIME_OUT)

    def close(self) -> None:
        self.socket.close()

    def receive(self) -> bytes:
        """The next record. Raises Rejected for a Reject."""
        head = self._receive_bytes(8)
        length = int.from_bytes(head[4:], "big")
        if head[:3] != b"Ms\x01" or length > RECORD_MAX - 8:
            raise ProtocolError("not a record")
        record = head + self._receive_bytes(length)
        if head[3] == REJECT and length:
            raise Rejected(record[8])
        return record

    def _receive_bytes(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise ConnectionError("the server closed the connection")
            data += more
        return data

    def handshake(self, key: LicenseKey, client_uuid: Optional[bytes]) -> Session:
        context = HPKE.to(self.address.handshake_key, b"muster hello v1")
        self.socket.sendall(seal_hello(context, hello_plain(key, client_uuid)))
        return open_hello_reply(context, self.receive())

    def exchange(self, session: Session, messages: Sequence[list]) -> list[Answer]:
        """Sends the messages in one record; the answers in the order of the messages."""
        self.socket.sendall(seal_request(session, b"".join(map(msgpack.packb, messages))))
        answers: dict[int, Answer] = {}
        while not all(message[1] in answers for message in messages):
            for answer in read_answers(open_reply(session, self.receive())):
                answers[answer.request_id] = answer
        return [answers[message[1]] for message in messages]


class DatagramLink:
    """Datagrams to one address, under a ticket that came by TCP."""

    WAITS = (0.4, 0.8, 1.6, 2.0)
    ROOM = DATAGRAM_MAX - 8 - 24 - 12 - 16  # for messages

    def __init__(self, address: Address) -> None:
        family, kind, proto, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_DGRAM)[0]
        self.socket = socket.socket(family, kind, proto)
        self.socket.connect(where)

    def close(self) -> None:
        self.socket.close()

    def exchange(self, session: Session, message: list) -> Optional[Answer]:
        """The answer, or None if there was none, or if the message has to go by TCP."""
        plaintext = pad_check_in(message, self.ROOM) if message[0] == CHECK_IN else msgpack.packb(message)
        if len(plaintext) > self.ROOM:
            return None
        for wait in self.WAITS:
            self.socket.send(seal_request(session, plaintext))
            deadline = time.monotonic() + wait * random.uniform(1, 1.25)
            while (left := deadline - time.monotonic()) > 0:
                self.socket.settimeout(left)
                try:
                    answers = read_answers(open_reply(session, self.socket.recv(RECORD_MAX)))
                except socket.timeout:
                    break
                except ProtocolError:
                    continue  # anybody can send a datagram
                for answer in answers:
                    if answer.request_id == message[1]:
                        return None if isinstance(answer, TooLarge) else answer
        return None
