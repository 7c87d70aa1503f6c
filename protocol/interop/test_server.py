"""The Python client against the real server: bin/muster as a child process, TCP and UDP."""

from __future__ import annotations

import base64
import copy
import json
import pathlib
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import uuid
from dataclasses import replace
from typing import Any, Callable, Optional
from unittest import mock

import msgpack

import muster_wire as wire
from muster_client import Device, State
from muster_grant import InvalidGrant, Use, verify_grant
from muster_wire import (
    Accepted, DatagramLink, Granted, LicenseKey, NoStream, OutOfStep, Pong, ProtocolError, Refusal, Rejected, Session,
    TCPLink, TooLarge)

BIN = pathlib.Path(__file__).resolve().parents[2] / "bin"
PROJECT = "200001-100001"
LICENSE = """
LicenseId: "100001"
OrganizationID: "200001"
Items:
- {ItemId: scans, Product: READER, ChargeWay: scan, Quota: 1000000, Modules: [1D, QR], %(times)s}
- {ItemId: seats, Product: SEAT, ChargeWay: device-yearly, Quota: 1, Tolerance: 0, %(times)s}
- {ItemId: phones, Product: PHONE, ChargeWay: device-yearly, Quota: 100, Edition: mobile, Versions: [7], %(times)s}
- {ItemId: wide, Product: WIDE, ChargeWay: scan, Quota: 1000000, Modules: [%(modules)s], %(times)s}
"""
READER, SEAT, WIDE = Use("READER", modules=("QR",)), Use("SEAT"), Use("WIDE")
PHONE = Use("PHONE", version=7, edition="mobile")


class Server:
    """A server of its own in a temporary directory, with a license imported."""

    def __init__(self) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="muster-interop-")
        home = pathlib.Path(self.directory.name)
        self.data = str(home / "data")
        key, draft, license_file = (str(home / name) for name in ("acme.key", "draft.lic", "acme.lic"))
        vendor = str(BIN / "muster-vendor")
        run(vendor, "keygen", "--vendor", "Acme Inc", "--out", key)
        self.log = open(home / "log", "w+")
        self.process = subprocess.Popen(
            [str(BIN / "muster"), "serve", "--data", self.data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
             "--binding", "key", "--vendor-key", key + ".pub"],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        try:
            for line in self.process.stdout:
                if line.strip() == "ready":
                    break
            else:
                self.log.seek(0)
                raise AssertionError("the server did not start:\n" + self.log.read())
            status = self.cli("status")
            self.address = status["deviceAddress"]
            modules = ", ".join(f"module-with-a-long-name-{i:02d}" for i in range(60))
            (home / "license.yaml").write_text(LICENSE % {
                "modules": modules, "times": "Start: 2026-01-01, Expiry: 2099-12-31"})
            run(vendor, "draft", "--key", key, "--from", str(home / "license.yaml"), "-o", draft)
            run(vendor, "activate", "--key", key, "--uuid", status["uuid"], draft, "-o", license_file)
            self.cli("import", license_file, "--new-project", "Interop")
            self.cli("address", "set", f"tcp://{self.address}", f"udp://{self.address}")
            word = run(str(BIN / "muster"), "key", PROJECT, "--data", self.data)
            public = pathlib.Path(key + ".pub").read_text().split("PublicKey:")[1].split()[0]
        except BaseException:
            self.stop()
            raise
        self.vendor_keys = [base64.b64decode(public)]
        self.by_both = LicenseKey.parse(word)
        self.by_tcp = replace(self.by_both, addresses=tuple(self.by_both.by_transport(1)))

    def cli(self, *arguments: str) -> Any:
        out = run(str(BIN / "muster"), *arguments, "--data", self.data, "--json")
        return json.loads(out) if out.strip() else None

    def usage(self, item: str) -> dict:
        return self.cli("item", "show", "100001/" + item)["usage"]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()
        self.log.close()
        self.directory.cleanup()


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


server: Server


def setUpModule() -> None:
    global server
    server = Server()
    unittest.addModuleCleanup(server.stop)


class Case(unittest.TestCase):
    def device(self, use: Use = READER, state: Optional[State] = None, key: Optional[LicenseKey] = None) -> Device:
        state = state or State(uuid.uuid4().bytes)
        device = Device(key or server.by_tcp, server.vendor_keys, state, use)
        self.addCleanup(device.close)
        return device

    def refused(self, code: int, call: Callable[..., Any], *arguments: Any) -> Refusal:
        with self.assertRaises(Refusal) as caught:
            call(*arguments)
        self.assertEqual(caught.exception.code, code)
        return caught.exception

    def link(self) -> TCPLink:
        link = TCPLink(server.by_tcp.addresses[0])
        self.addCleanup(link.close)
        return link


class Common:
    """What holds over TCP and over UDP alike."""

    def test_first_check_in_is_verified_offline(self) -> None:
        device = self.device()
        device.check_in()
        state = device.state
        device.close()
        grant = verify_grant(state.signed, state.proof, server.vendor_keys, state.client_uuid, READER)
        self.assertEqual((grant.project, grant.license_id, grant.item_id), (PROJECT, "100001", "scans"))
        self.assertEqual(set(grant.modules), {"1D", "QR"})
        self.assertEqual(grant.active_until - grant.issued, 7 * 86400)
        self.assertLess(abs(grant.issued - time.time()), 60)
        with self.assertRaises(InvalidGrant):
            verify_grant(state.signed, state.proof, server.vendor_keys, bytes(16), READER)
        with self.assertRaises(InvalidGrant):
            verify_grant(state.signed, state.proof, [bytes(32)], state.client_uuid, READER)

    def test_a_report_counts_once(self) -> None:
        device, before = self.device(), server.usage("scans")
        grant = device.check_in()
        message = [wire.REPORT, 0, device.state.client_uuid, device.state.stream, device.state.token, 1, 4711,
                   grant.item, [[device.slot(), grant.modules["QR"], 17], [device.slot(), 0, 3]]]
        for request_id in (900, 901, 902, 903):
            message[1] = request_id
            self.assertEqual(device._exchange(message), Accepted(request_id, 1))
        usage = server.usage("scans")
        self.assertEqual((usage["uses"] - before["uses"], usage["reports"] - before["reports"]), (20, 1))
        device.state.taken = 1
        device.report([(device.slot(), 0, 5)])
        self.assertEqual(server.usage("scans")["uses"] - before["uses"], 25)

    def test_the_stream_goes_on_after_reconnecting_with_the_ticket(self) -> None:
        device, before = self.device(), server.usage("scans")["uses"]
        device.check_in()
        device.report([(device.slot(), 0, 1)])
        device.close()
        with mock.patch.object(TCPLink, "handshake", side_effect=AssertionError("no handshake is needed")):
            device.report([(device.slot(), 0, 2)])
            device.close()
            device.check_in()
        self.assertEqual(device.state.taken, 3)
        self.assertEqual(server.usage("scans")["uses"] - before, 3)

    def test_a_known_proof_is_not_sent_again(self) -> None:
        device = self.device()
        device.check_in()
        proof, answers = device.state.proof, []
        exchange = device._exchange
        device._exchange = lambda message: answers.append(exchange(message)) or answers[-1]
        device.check_in()
        self.assertEqual([(type(a), a.proof) for a in answers], [(Granted, b"")])
        self.assertEqual(device.state.proof, proof)

    def test_release_and_quota(self) -> None:
        first, second = self.device(SEAT), self.device(SEAT)
        first.check_in()
        self.assertEqual(self.refused(120, second.check_in).item, "100001/seats")
        self.assertEqual(second.state.stream, 0)
        first.release()
        self.assertEqual(server.usage("seats")["held"], 0)
        second.check_in()
        self.refused(120, first.check_in)
        self.assertEqual(first.state.taken, 2)
        second.release()

    def test_refusals(self) -> None:
        for code, use in {106: Use("NO-SUCH"), 104: Use("READER", modules=("PDF417",)), 115: Use("READER", charge_way=2),
                          107: replace(PHONE, version=8), 109: replace(PHONE, edition="server")}.items():
            with self.subTest(code=code):
                self.refused(code, self.device(use).check_in)

    def test_a_report_for_an_item_that_was_never_granted(self) -> None:
        device = self.device()
        device.check_in()
        message = [wire.REPORT, 900, device.state.client_uuid, device.state.stream, device.state.token, 1, 1, 2,
                   [[device.slot(), 0, 1]]]
        self.assertEqual(device._exchange(message)[:5], (900, 1, device.state.stream, device.state.token, 113))
        message[1] = 901
        self.assertEqual(device._exchange(message), Accepted(901, 1))

    def test_a_seat_that_was_freed_by_hand(self) -> None:
        device = self.device(PHONE)
        device.check_in()
        before = server.usage("phones")["reports"]
        server.cli("device", "free-seat", str(uuid.UUID(bytes=device.state.client_uuid)), "100001/phones")
        self.refused(160, device.report, [(device.slot(), 0, 1)])
        self.assertEqual(server.usage("phones")["reports"] - before, 1)
        device.check_in()
        device.report([(device.slot(), 0, 1)])

    def test_numbers(self) -> None:
        device = self.device()
        device.check_in()
        state, item = device.state, device.grant.item
        device.report([(device.slot(), 0, 1)])

        def sent(number: int, tag: int, token: int = state.token) -> Any:
            return device._exchange([wire.REPORT, 900, state.client_uuid, state.stream, token, number, tag,
                                     item, [[device.slot(), 0, 1]]])
        self.assertEqual(sent(2, 7), Accepted(900, 2))
        for number, tag, token, kind, value in [
                (2, 7, state.token, Accepted, 2),    # a resend
                (2, 8, state.token, NoStream, 0),    # two changes claim one number
                (1, 9, state.token, Accepted, 2),    # long taken
                (5, 9, state.token, OutOfStep, 3),
                (3, 9, state.token ^ 1, NoStream, 0)]:
            with self.subTest(number=number, tag=tag):
                answer = sent(number, tag, token)
                self.assertEqual((type(answer), answer), (kind, kind(900, value)))

    def test_a_second_application_shows_a_challenge(self) -> None:
        first = self.device()
        first.check_in()
        second = self.device(state=State(first.state.client_uuid))
        asked = [wire.CHECK_IN, 900, second.state.client_uuid, 0, 0, 0, 55, "READER", 0, "", "", [], 0, "", 0, 0, 0, 0]
        answer = second._exchange(asked)
        self.assertIsInstance(answer, NoStream)
        self.assertNotEqual(answer.challenge, 0)
        asked[1], asked[17] = 901, answer.challenge ^ 1
        self.assertEqual(second._exchange(asked), NoStream(901, answer.challenge))
        second.check_in()
        self.assertNotIn(second.state.stream, (0, first.state.stream))
        # The word held for the streams as they were: who recorded the check-in can do nothing with it.
        asked[1], asked[17] = 902, answer.challenge
        self.assertIsInstance(second._exchange(asked), NoStream)
        for device in (first, second):
            device.report([(device.slot(), 0, 1)])
            self.assertEqual(device.state.taken, 1)

    def test_a_retired_stream_gets_its_place_back(self) -> None:
        first, before = self.device(), server.usage("scans")["uses"]
        first.check_in()
        first.report([(first.slot(), 0, 1)])
        place = (first.state.stream, first.state.token)
        for _ in range(8):
            self.device(state=State(first.state.client_uuid)).check_in()
        first.report([(first.slot(), 0, 2)])
        self.assertEqual((first.state.stream, first.state.token, first.state.taken), (*place, 2))
        self.assertEqual(server.usage("scans")["uses"] - before, 3)

    def test_a_restored_backup_and_then_a_clone(self) -> None:
        original, before = self.device(), server.usage("scans")["uses"]
        original.check_in()
        backup = copy.deepcopy(original.state)
        original.report([(original.slot(), 0, 1)])
        original.report([(original.slot(), 0, 1)])
        restored = self.device(state=backup)
        restored.report([(restored.slot(), 0, 1)])
        self.assertEqual(restored.state.stream, original.state.stream)
        self.assertNotEqual(restored.state.token, original.state.token)
        self.assertEqual(server.usage("scans")["uses"] - before, 3)

        # The original comes back with the old token: both are clones, and no report of either is lost.
        self.refused(151, original.report, [(original.slot(), 0, 1)])
        self.refused(151, restored.check_in)
        for _ in range(2):
            for device in (original, restored):
                try:
                    device.report([(device.slot(), 0, 1)])
                except Refusal as refusal:
                    self.assertEqual(refusal.code, 151)
        for device in (original, restored):
            for _ in range(4):
                try:
                    device.settle()
                except Refusal as refusal:
                    self.assertEqual(refusal.code, 151)
            self.assertEqual(device.state.pending, [])
        self.assertEqual(server.usage("scans")["uses"] - before, 8)
        server.cli("device", "clear-clone", str(uuid.UUID(bytes=original.state.client_uuid)))
        original.check_in()


    def test_answers_that_are_lost(self) -> None:
        """What was in doubt is sent again with its tag: one stream, one forgiveness, each report once."""
        device, before = self.device(), server.usage("scans")["uses"]
        lost = LostAnswers(device)
        lost.next = 1
        with self.assertRaises(ConnectionError):
            device.check_in()
        device.check_in()
        backup = copy.deepcopy(device.state)
        for _ in range(10):
            lost.next = 1
            with self.assertRaises(ConnectionError):
                device.report([(device.slot(), 0, 1)])
        device.settle()
        self.assertEqual(device.state.taken, 10)

        restored = self.device(state=backup)
        lost = LostAnswers(restored)
        lost.next = 3  # after Accepted 10 and NoStream with a challenge: Granted
        with self.assertRaises(ConnectionError):
            restored.report([(restored.slot(), 0, 1)])
        restored.settle()
        self.assertNotEqual(restored.state.token, device.state.token)
        self.assertEqual(server.usage("scans")["uses"] - before, 11)


class LostAnswers:
    """Loses one answer of a device's, the next one being number 1."""

    def __init__(self, device: Device) -> None:
        self.next, self.exchange = 0, device._exchange
        device._exchange = self.work

    def work(self, message: list) -> Any:
        answer = self.exchange(message)
        self.next -= 1
        if self.next == 0:
            raise ConnectionError("the answer was lost")
        return answer


class OverTCP(Common, Case):
    def test_the_device_does_not_use_datagrams(self) -> None:
        device = self.device()
        device.check_in()
        self.assertIsNone(device.datagrams)

    def test_clock(self) -> None:
        device = self.device()
        self.assertLess(abs(device.ping() / 1000 - time.time()), 5)
        self.assertLess(abs(device.server_time() / 1000 - time.time()), 5)

    def test_many_messages_in_a_record(self) -> None:
        device, before = self.device(), server.usage("scans")["uses"]
        item, s = device.check_in().item, device.state
        reports = [[wire.REPORT, 100 + n, s.client_uuid, s.stream, s.token, n, n, item, [[device.slot(), 0, 1]]]
                   for n in range(1, 51)]
        answers = device.tcp.exchange(device.session, [*reports, [wire.PING, 99]])
        self.assertEqual(answers[:-1], [Accepted(100 + n, n) for n in range(1, 51)])
        self.assertIsInstance(answers[-1], Pong)
        self.assertEqual(server.usage("scans")["uses"] - before, 50)

    def test_an_altered_record_is_rejected(self) -> None:
        for at, reason in {0: 2, 2: 2, 3: 2, 8: 1, 33: 1, 50: 1, -1: 1}.items():
            with self.subTest(at=at):
                link = self.link()
                session = link.handshake(server.by_tcp, None)
                record = bytearray(wire.seal_request(session, msgpack.packb([wire.PING, 1])))
                record[at] ^= 1
                link.socket.sendall(record)
                with self.assertRaises(Rejected) as caught:
                    link.receive()
                self.assertEqual(caught.exception.reason, reason)
                if reason == 2:
                    with self.assertRaises(ConnectionError):
                        link.receive()

    def test_a_malformed_message_is_rejected(self) -> None:
        for message in ([9, 1], [wire.PING], [wire.RELEASE, 1, bytes(16), 0, 0, 0, 0], [wire.PING, -1], [wire.PING, 1.0]):
            with self.subTest(message):
                link = self.link()
                session = link.handshake(server.by_tcp, None)
                link.socket.sendall(wire.seal_request(session, msgpack.packb(message)))
                with self.assertRaises(Rejected) as caught:
                    link.receive()
                self.assertEqual(caught.exception.reason, 2)

    def test_an_altered_answer_does_not_open(self) -> None:
        link = self.link()
        receive = link.receive

        def altered() -> bytes:
            record = bytearray(receive())
            record[-1] ^= 1
            return bytes(record)
        with mock.patch.object(link, "receive", altered), self.assertRaises(ProtocolError):
            link.handshake(server.by_tcp, None)
        session = link.handshake(server.by_tcp, None)
        with mock.patch.object(link, "receive", altered), self.assertRaises(ProtocolError):
            link.exchange(session, [[wire.PING, 1]])

    def test_a_wrong_handshake_key(self) -> None:
        address = server.by_tcp.addresses[0]._replace(handshake_key=bytes(31) + b"\x09")
        with self.assertRaises(Rejected) as caught:
            self.device(key=replace(server.by_tcp, addresses=(address,))).check_in()
        self.assertEqual(caught.exception.reason, 2)

    def test_codes_of_the_handshake(self) -> None:
        for code, change in {101: {"project": "200001-9"}, 102: {"password": "wrong"}, 105: {"project": "x"},
                             121: {"project": "", "organization": "7"}, 122: {"organization": "7"},
                             123: {"project": "", "organization": ""}}.items():
            with self.subTest(code=code):
                self.refused(code, self.device(key=replace(server.by_tcp, **change)).check_in)
        self.device(key=replace(server.by_tcp, project="")).check_in()

    def test_an_unknown_ticket(self) -> None:
        link = self.link()
        stranger = Session(bytes(24), bytes(16), bytes(16), 0)
        with self.assertRaises(Rejected) as caught:
            link.exchange(stranger, [[wire.PING, 1]])
        self.assertEqual(caught.exception.reason, 1)
        device = self.device()
        device.check_in()
        device.session.ticket = bytes(4) + device.session.ticket[4:]
        device.report([(device.slot(), 0, 1)])  # by a new handshake
        self.assertEqual(device.state.taken, 1)

    def test_a_new_password(self) -> None:
        device = self.device()
        device.check_in()
        server.cli("project", "edit", PROJECT, "--password", "open sesame")
        try:
            self.refused(102, device.check_in)
            device.key = replace(device.key, password="open sesame")
            device.check_in()
        finally:
            server.cli("project", "edit", PROJECT, "--password", "")


class OverUDP(Common, Case):
    def device(self, use: Use = READER, state: Optional[State] = None, key: Optional[LicenseKey] = None) -> Device:
        """A device that has its ticket already, and from then on sends datagrams only."""
        device = super().device(use, state, key or server.by_both)
        device.ping()
        self.assertIsNotNone(device.tcp)
        device.close()
        device._by_tcp = mock.Mock(side_effect=AssertionError("TCP was used"))
        return device

    def setUp(self) -> None:
        self.datagrams = DatagramLink(server.by_both.by_transport(2)[0])
        self.addCleanup(self.datagrams.close)

    def replies(self, record: bytes) -> list[bytes]:
        """What comes back for one datagram in a third of a second."""
        self.datagrams.socket.send(record)
        self.datagrams.socket.settimeout(0.3)
        got = []
        try:
            while True:
                got.append(self.datagrams.socket.recv(wire.RECORD_MAX))
        except socket.timeout:
            return got

    def test_silence(self) -> None:
        session = self.device().session
        ping = msgpack.packb([wire.PING, 1])
        self.assertEqual(len(self.replies(wire.seal_request(session, ping))), 1)
        record = wire.seal_request(session, ping)
        for at in (0, 3, 7, 8, 33, 50, len(record) - 1):
            with self.subTest(f"altered at {at}"):
                self.assertEqual(self.replies(record[:at] + bytes([record[at] ^ 1]) + record[at + 1:]), [])
        for name, silent in {
                "unknown ticket": wire.seal_request(replace(session, ticket=bytes(24)), ping),
                "malformed": wire.seal_request(session, msgpack.packb([9, 1])),
                "a Hello": wire.seal_hello(wire.HPKE.to(server.by_both.addresses[0].handshake_key, b"muster hello v1"),
                                           wire.hello_plain(server.by_both, None)),
                "bytes left over": record + b"\0"}.items():
            with self.subTest(name):
                self.assertEqual(self.replies(silent), [])

    def test_no_reply_is_longer_than_its_request(self) -> None:
        session = self.device().session
        asked = [wire.CHECK_IN, 1, uuid.uuid4().bytes, 0, 0, 0, 5, *("READER", 0, "", "", [], 0, "", 0, 0, 0, 0)]
        short = wire.seal_request(session, msgpack.packb(asked))
        reply, = self.replies(short)
        self.assertLessEqual(len(reply), len(short))
        self.assertEqual(wire.read_answers(wire.open_reply(session, reply)), [TooLarge(1)])
        # It was decided all the same: padded, the same check-in gets the answer, and no second stream.
        padded = wire.seal_request(session, wire.pad_check_in(asked, DatagramLink.ROOM))
        self.assertEqual(len(padded), 1200)
        first, second = (wire.read_answers(wire.open_reply(session, self.replies(padded)[0]))[0] for _ in range(2))
        self.assertIsInstance(first, Granted)
        self.assertEqual((first.stream, first.token), (second.stream, second.token))

    def test_padding_of_any_length(self) -> None:
        asked = [wire.CHECK_IN, 1, bytes(16), 0, 0, 0, 5, "P", 0, "", "", [], 0, "", 0, 0, 0, 0]
        for length in range(256):
            asked[13] = "v" * length
            for room in (DatagramLink.ROOM, len(msgpack.packb(asked)) + 3):
                self.assertEqual(len(wire.pad_check_in(asked, room)), room)

    def test_a_grant_too_large_for_a_datagram_comes_by_tcp(self) -> None:
        device = self.device(WIDE)
        device._by_tcp = mock.Mock(side_effect=lambda message: Device._by_tcp(device, message))
        before = server.usage("wide")["authorizations"]
        grant = device.check_in()
        self.assertEqual(device._by_tcp.call_count, 1)
        self.assertEqual(len(grant.modules), 60)
        self.assertEqual(server.usage("wide")["authorizations"] - before, 1)
        device.report([(device.slot(), grant.modules["module-with-a-long-name-59"], 1)])
        self.assertEqual(device._by_tcp.call_count, 1)

    def test_lost_and_altered_datagrams(self) -> None:
        """The same number and tag go out again, under a new nonce, and count once."""
        device, before = self.device(), server.usage("scans")["uses"]
        device.check_in()
        relay = Relay(device.key.by_transport(2)[0])
        self.addCleanup(relay.close)
        device.close()
        device.key = replace(device.key, addresses=(device.key.by_transport(1)[0], relay.address))
        device.report([(device.slot(), 0, 9)])
        self.assertEqual(server.usage("scans")["uses"] - before, 9)
        self.assertEqual(device.state.taken, 1)
        plain = {wire.open_sealed(device.session.up_key, r[32:44], r[44:], r[:32]) for r in relay.requests}
        self.assertEqual((len(relay.requests), len(plain)), (4, 1))
        self.assertEqual(len({r[32:44] for r in relay.requests}), 4, "a nonce was used twice")

    def test_silence_leads_to_tcp(self) -> None:
        device = super().device(key=server.by_both)
        device.check_in()
        device.session.ticket = bytes(4) + device.session.ticket[4:]
        with mock.patch.object(DatagramLink, "WAITS", (0.1, 0.1)):
            device.report([(device.slot(), 0, 1)])  # there it learns that the ticket is unknown
        self.assertEqual(device.state.taken, 1)


class Relay:
    """A bad way to the server: the first request is lost, then one answer is, then one is altered."""

    def __init__(self, to: wire.Address) -> None:
        self.requests: list[bytes] = []
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.back.connect((to.host, to.port))
        self.back.settimeout(5)
        self.address = to._replace(port=self.front.getsockname()[1])
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self) -> None:
        while True:
            request, device = self.front.recvfrom(wire.RECORD_MAX)
            if not request:
                return
            self.requests.append(request)
            if len(self.requests) == 1:
                continue
            self.back.send(request)
            answer = self.back.recv(wire.RECORD_MAX)
            if len(self.requests) == 3:
                self.front.sendto(answer[:-1] + bytes([answer[-1] ^ 1]), device)
            elif len(self.requests) > 3:
                self.front.sendto(answer, device)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.front.getsockname())
        self.thread.join()
        self.front.close()
        self.back.close()


if __name__ == "__main__":
    unittest.main()
