# SPDX-License-Identifier: AGPL-3.0-or-later
"""The agent's end of a WebSocket, small and obedient, with nothing but the standard library."""
import base64
import hashlib
import json
import os
import socket
import struct
import time

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Closed(Exception):
    """The other side is gone: code None without a close frame, 0 for an empty one."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


class WebSocket:
    def __init__(self, port, token, headers=(), path="/ws"):
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = self.waiting = b""
        self.holds = False
        self.answers_pings = True
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *headers]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        self.stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = self.head()
        self.code = int(head.split(b" ")[1]) if head else None
        digest = hashlib.sha1((key + MAGIC).encode()).digest()
        self.accepted = base64.b64encode(digest) in head

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            piece = self.stream.recv(65536)
            if not piece:
                return self.buffer
            self.buffer += piece
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head

    def send_frame(self, opcode, data=b"", last=True, masked=True):
        length = len(data)
        head = bytes([opcode | (0x80 if last else 0)])
        bit = 0x80 if masked else 0
        if length < 126:
            head += bytes([bit | length])
        elif length < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", length)
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", length)
        # A mask of zeros is a mask.
        self.waiting += head + (b"\0\0\0\0" if masked else b"") + data
        if not self.holds:
            self.stream.sendall(self.waiting)
            self.waiting = b""

    def send_text(self, text):
        self.send_frame(TEXT, text.encode())

    def send(self, kind, **payload):
        self.send_text(json.dumps({"type": kind, "payload": payload}))

    def send_both(self, *messages):
        """All in one piece, so that the other side reads them at once."""
        self.holds = True
        for kind, payload in messages[:-1]:
            self.send(kind, **payload)
        self.holds = False
        self.send(messages[-1][0], **messages[-1][1])

    def exactly(self, size):
        while len(self.buffer) < size:
            piece = self.stream.recv(65536)
            if not piece:
                raise Closed(None)
            self.buffer += piece
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def frame(self):
        """The next frame as (opcode, data); a close raises."""
        first, second = self.exactly(2)
        length = second & 0x7f
        if length == 126:
            length, = struct.unpack(">H", self.exactly(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.exactly(8))
        data = self.exactly(length)
        if first & 0xf == CLOSE:
            raise Closed(struct.unpack(">H", data[:2])[0] if data else 0)
        return first & 0xf, data

    def message(self):
        """The next text message as (type, payload)."""
        while True:
            opcode, data = self.frame()
            if opcode == PING and self.answers_pings:
                self.send_frame(PONG, data)
            if opcode == TEXT:
                value = json.loads(data)
                return value["type"], value["payload"]

    def receipt(self):
        """Sends a ping and reads until its pong: everything before it was read by then."""
        self.send_frame(PING, b"receipt")
        while True:
            opcode, data = self.frame()
            if opcode == PONG and data == b"receipt":
                return

    def closing(self):
        """The code the connection ends with; whatever comes before is read and dropped."""
        try:
            while True:
                self.frame()
        except Closed as closed:
            return closed.code
        except ConnectionError:
            return None

    def silent_for(self, seconds):
        """Whether nothing comes, not even the end."""
        self.stream.settimeout(seconds)
        try:
            self.frame()
        except TimeoutError:
            return True
        except (Closed, ConnectionError):
            return False
        finally:
            self.stream.settimeout(20)
        return False

    def close(self):
        self.stream.close()


def until(what, seconds=20):
    """What is true at last, or what is not after that time."""
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.005)
    return found
