# SPDX-License-Identifier: AGPL-3.0-or-later
"""A little dashboard that a check started, and the TAP lines of what it expects of it."""
import http.client
import json
import pathlib
import socket
import subprocess
import sys
import time

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else ""
SHARED = "a-shared-token"
results = []


def expect(what, got, wanted):
    results.append(got == wanted)
    print(f"{'ok' if got == wanted else 'not ok'} {len(results)} - {what}")
    if got != wanted:
        print(f"# got {got!r}, wanted {wanted!r}")


class Dashboard:
    def __init__(self, folder, *options):
        self.log = pathlib.Path(folder, "requests.log")
        port_file = pathlib.Path(folder, "port")
        port_file.unlink(missing_ok=True)
        self.process = subprocess.Popen([PROGRAM, "--listen", "127.0.0.1:0", "--token", SHARED, "--port-file",
                                         str(port_file), "--log", str(self.log), *options], stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while not port_file.exists() and time.monotonic() < until:
            time.sleep(0.005)
        self.port = int(port_file.read_text())
        self.token = SHARED

    def call(self, method, path, body=None, token=None, raw=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {"Authorization": f"Bearer {token or self.token}"} if token != "" else {}
        connection.request(method, path, raw or (json.dumps(body) if body is not None else None),
                           sent | (headers or {}))
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        self.token = token_of(text) or self.token
        return answer.status, text, answer.headers

    def code(self, *arguments, **named):
        return self.call(*arguments, **named)[0]

    def json(self, *arguments, **named):
        return json.loads(self.call(*arguments, **named)[1])

    def raw(self, path, size=None):
        """All bytes until the other side closes, or the first so many."""
        got = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as stream:
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n\r\n".encode())
            while not size or len(got) < size:
                piece = stream.recv(65536)
                if not piece:
                    break
                got += piece
        return got

    def stop(self):
        self.process.terminate()
        return self.process.wait(20)


def token_of(text):
    try:
        token = json.loads(text).get("agent_token")
        return token if isinstance(token, str) else None
    except (ValueError, AttributeError):
        return None


def finish():
    print(f"1..{len(results)}")
    return 0 if results and all(results) else 1
