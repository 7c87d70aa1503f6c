"""A small client of the muster device protocol, written from docs/PROTOCOL.md alone.

It is here to show that the document suffices, and to be read beside it: section numbers
are the document's. It works on one thread and sends one change at a time. It keeps its
State in memory; an application has to write it to disk before a change is first sent.
"""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass, field
from typing import Optional, Sequence

from muster_grant import Grant, Use, known_proof, verify_grant
from muster_wire import (
    CHECK_IN, PING, RELEASE, REPORT, U32, Accepted, Answer, Busy, DatagramLink, Granted, LicenseKey, NoStream,
    OutOfStep, Pong, ProtocolError, Refusal, Refused, Rejected, Session, TCPLink)

STEPS_MAX = 8  # NoStream, OutOfStep or Busy in a row


@dataclass
class Change:
    """A check-in, report or release that is not settled yet. Number 0 asks for a place in a stream."""

    kind: int
    sequence: int
    fields: list
    tag: int = field(default_factory=lambda: secrets.randbits(32))
    restored: bool = False  # it was numbered before this run began


@dataclass
class State:
    """What a device keeps between runs."""

    client_uuid: bytes
    stream: int = 0
    token: int = 0
    taken: int = 0
    pending: list[Change] = field(default_factory=list)
    signed: bytes = b""
    proof: bytes = b""


def boot_clock() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class Device:
    """One application on one device."""

    def __init__(self, key: LicenseKey, vendor_keys: Sequence[bytes], state: State, use: Use) -> None:
        self.key, self.vendor_keys, self.state, self.use = key, vendor_keys, state, use
        for change in state.pending:
            change.restored = True
        self.session: Optional[Session] = None
        self.tcp: Optional[TCPLink] = None
        self.datagrams: Optional[DatagramLink] = None
        self.server_ahead = 0  # the server's clock minus the boot clock, milliseconds
        self._request_id = secrets.randbits(32)

    def close(self) -> None:
        """Ends the connections. The ticket stays good."""
        for link in (self.tcp, self.datagrams):
            if link:
                link.close()
        self.tcp = self.datagrams = None

    def server_time(self) -> int:
        return boot_clock() + self.server_ahead

    def slot(self) -> int:
        return self.server_time() // 180_000

    @property
    def grant(self) -> Grant:
        return verify_grant(self.state.signed, self.state.proof, self.vendor_keys, self.state.client_uuid, self.use)

    def check_in(self) -> Grant:
        """A new grant, verified; Refusal otherwise."""
        try:
            self._change(CHECK_IN, [])
        except Refusal as refusal:
            if refusal.code != 102:
                raise
            self.session = None  # the password has changed: one new handshake
            self._change(CHECK_IN, [])
        return self.grant

    def report(self, lines: Sequence[tuple[int, int, int]]) -> None:
        """Counts use under the grant. Each line: slot, module ordinal, count."""
        self._change(REPORT, [self.grant.item, [list(line) for line in lines]])

    def release(self) -> None:
        """Gives the seat back."""
        item, self.state.signed = self.grant.item, b""
        self._change(RELEASE, [item])

    def ping(self) -> int:
        answer = self._exchange([PING, self._next_id()])
        if not isinstance(answer, Pong):
            raise ProtocolError("not a Pong")
        return answer.time

    def _change(self, kind: int, fields: list) -> None:
        state = self.state
        in_doubt = kind == CHECK_IN and state.pending and state.pending[-1].kind == CHECK_IN
        if not in_doubt:  # otherwise that one is sent again
            last = max([state.taken, *(change.sequence for change in state.pending)])
            state.pending.append(Change(kind, last + 1 if state.stream else 0, fields))
        self.settle()

    def settle(self) -> None:
        """Sends what is pending, one change at a time, until all of it is settled."""
        state, steps = self.state, 0
        while state.pending and steps < STEPS_MAX:
            change, waiting = state.pending[0], len(state.pending)
            answer = self._ask_for_place(change) if change.sequence == 0 else self._send(change)
            behind = isinstance(answer, Accepted) and 0 < change.sequence < answer.sequence and not change.restored
            if isinstance(answer, Granted):
                self._take_place(change, answer)
                self._heard(answer.time)
                signed, proof = answer.grant, answer.proof or state.proof
                verify_grant(signed, proof, self.vendor_keys, state.client_uuid, self.use)
                state.signed, state.proof = signed, proof
            elif isinstance(answer, Refused):
                if answer.code == 100:
                    raise Refusal(100)
                self._take_place(change, answer)
                raise Refusal(answer.code, answer.item_name)
            elif isinstance(answer, NoStream) or behind:
                if change.kind != CHECK_IN:
                    change = Change(CHECK_IN, 0, [])
                    state.pending.insert(0, change)
                change.sequence = 0
            elif isinstance(answer, Accepted):
                state.taken = max(state.taken, answer.sequence)
                state.pending = [c for c in state.pending if c.sequence > answer.sequence]
                if change.kind == CHECK_IN:  # decided before, and there is nothing to repeat
                    state.pending.append(Change(CHECK_IN, 0, []))
                    if state.stream:
                        self._number(answer.sequence + 1)
            elif isinstance(answer, OutOfStep):
                self._number(answer.sequence)
            else:
                raise ProtocolError("not an answer to a change")
            steps = 0 if len(state.pending) < waiting else steps + 1
        if state.pending:
            raise ProtocolError("client and server do not agree on the stream")

    def _take_place(self, change: Change, answer: Answer) -> None:
        """Takes over stream, token and sequence, and numbers anew what waits if they changed."""
        state = self.state
        state.pending.remove(change)
        if not answer.stream:
            return
        same_stream = answer.stream == state.stream
        cloned = isinstance(answer, Refused) and answer.code == 151
        moved = not same_stream or answer.token != state.token or cloned
        state.pending = [c for c in state.pending
                         if c.sequence > answer.sequence or moved and not (same_stream and c.restored)]
        state.stream, state.token, state.taken = answer.stream, answer.token, answer.sequence
        if moved:
            self._number(answer.sequence + 1)

    def _number(self, first: int) -> None:
        for sequence, change in enumerate(self.state.pending, first):
            change.sequence, change.restored = sequence, False

    def _ask_for_place(self, change: Change) -> Answer:
        """First contact, and the steps after NoStream."""
        for place in dict.fromkeys([(self.state.stream, self.state.token), (0, 0)]):
            shown = 0
            for _ in range(STEPS_MAX):
                answer = self._send(change, place, shown)
                if not isinstance(answer, NoStream):
                    return answer
                if answer.challenge in (0, shown):
                    break
                shown = answer.challenge
        return answer

    def _send(self, change: Change, place: Optional[tuple[int, int]] = None, challenge: int = 0) -> Answer:
        """Sends a change, with the tag that it has."""
        state, use = self.state, self.use
        stream, token = place or (state.stream, state.token)
        message = [change.kind, self._next_id(), state.client_uuid, stream, token, change.sequence, change.tag]
        if change.kind == CHECK_IN:
            message += [use.product, use.version, use.edition, use.deployment, list(use.modules), use.charge_way,
                        use.validation_value, use.instances, boot_clock(), known_proof(state.proof), challenge]
        return self._exchange(message + change.fields)

    def _next_id(self) -> int:
        self._request_id = (self._request_id + 1) & U32
        return self._request_id

    def _exchange(self, message: list) -> Answer:
        for _ in range(STEPS_MAX):
            answer = self._by_datagram(message) or self._by_tcp(message)
            if not isinstance(answer, Busy):
                return answer
            time.sleep(answer.retry_after / 1000 * random.uniform(1, 1.5))
        raise TimeoutError("the server is busy")

    def _by_datagram(self, message: list) -> Optional[Answer]:
        addresses = self.key.by_transport(2)
        if not addresses or not self._session_holds():
            return None
        self.datagrams = self.datagrams or DatagramLink(addresses[0])
        try:
            return self.datagrams.exchange(self.session, message)
        except OSError:
            return None

    def _by_tcp(self, message: list) -> Answer:
        """One exchange; a connection that was lost and a ticket that is not known are made anew, once."""
        for last in (False, True):
            try:
                self._connect()
                return self.tcp.exchange(self.session, [message])[0]
            except (Rejected, OSError, ProtocolError) as error:
                self.close()
                if last or isinstance(error, Rejected) and error.reason != 1:
                    raise
                if isinstance(error, Rejected):
                    self.session = None
        raise AssertionError("not reached")

    def _session_holds(self) -> bool:
        return (self.session is not None and self.session.sealed < 1 << 30
                and self.server_time() // 1000 < self.session.expires - 300)

    def _connect(self) -> None:
        """A connection and a ticket; the addresses in their order."""
        if self.tcp and self._session_holds():
            return
        failure: Exception = ProtocolError("the license key has no TCP address")
        for address in self.key.by_transport(1):
            self.close()
            try:
                self.tcp = TCPLink(address)
                if not self._session_holds():
                    self.session = self.tcp.handshake(self.key, self.state.client_uuid)
                    self._heard(self.session.time)
                return
            except (Rejected, OSError, ProtocolError) as error:
                failure = error
        self.close()
        raise failure

    def _heard(self, server_time: int) -> None:
        self.server_ahead = server_time - boot_clock()
