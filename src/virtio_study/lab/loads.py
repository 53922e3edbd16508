"""The network load: small packets at a fixed rate, request and reply, open loop, one datagram a frame."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Requests", "checksum", "echo_frame", "requests"]

HOST_MAC = bytes.fromhex("525400000001")
HOST_IP = bytes((10, 77, 0, 1))
GUEST_IP = bytes((10, 77, 0, 2))
PAYLOAD = bytes(range(56))


@dataclass
class Requests:
    """Packets offered to the guest and replies received so far."""

    per_s: int = 0
    offered: int = 0
    answered: int = 0


def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def echo_frame(guest_mac: bytes, sequence: int) -> bytes:
    """An Ethernet frame of 98 bytes with an ICMP echo request (RFC 792)."""
    icmp = struct.pack("!BBHHH", 8, 0, 0, 0x5653, sequence & 0xFFFF) + PAYLOAD
    icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(icmp), sequence & 0xFFFF, 0, 64, 1, 0) + HOST_IP + GUEST_IP
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return guest_mac + HOST_MAC + b"\x08\x00" + header + icmp


def _arp_reply(request: bytes) -> bytes:
    sender_mac, sender_ip, wanted_ip = request[22:28], request[28:32], request[38:42]
    body = b"\x00\x01\x08\x00\x06\x04\x00\x02" + HOST_MAC + wanted_ip + sender_mac + sender_ip
    return sender_mac + HOST_MAC + b"\x08\x06" + body


@contextlib.contextmanager
def requests(folder: Path, mac: str) -> Iterator[Requests]:
    """Play the guest's network partner on the machine's datagram sockets until left.

    Yields the counters; setting `per_s` starts, changes or (with 0) stops the requests. Echo replies are counted,
    ARP is answered, every other frame is dropped. What the guest does not answer in time is not sent again: the loop
    is open.
    """
    partner = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    partner.bind(str(folder / "net-host"))
    partner.setblocking(False)
    counts = Requests()
    stop = threading.Event()
    arguments = (partner, str(folder / "net-guest"), bytes.fromhex(mac.replace(":", "")), counts, stop)
    thread = threading.Thread(target=_play, args=arguments, daemon=True)
    thread.start()
    try:
        yield counts
    finally:
        stop.set()
        thread.join()
        partner.close()


def _play(partner: socket.socket, guest: str, mac: bytes, counts: Requests, stop: threading.Event) -> None:
    due = 0.0
    while not stop.is_set():
        _receive(partner, guest, counts)
        now = time.monotonic()
        if counts.per_s <= 0:
            due = 0.0
            time.sleep(0.02)
            continue
        due = due or now
        while due <= now:
            with contextlib.suppress(OSError):  # a full queue is a lost packet: offered, not answered
                partner.sendto(echo_frame(mac, counts.offered), guest)
            counts.offered += 1
            due += 1 / counts.per_s
        time.sleep(max(0.0, min(0.02, due - time.monotonic())))


def _receive(partner: socket.socket, guest: str, counts: Requests) -> None:
    while True:
        try:
            frame = partner.recv(65536)
        except BlockingIOError:
            return
        if frame[12:14] == b"\x08\x00" and frame[23:24] == b"\x01" and frame[34:35] == b"\x00":
            counts.answered += 1
        elif frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x01":
            with contextlib.suppress(OSError):
                partner.sendto(_arp_reply(frame), guest)
