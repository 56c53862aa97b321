# SPDX-License-Identifier: AGPL-3.0-or-later
"""A dashboard and an agent in a folder of their own, and how their use of the machine is read."""
import itertools
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.dont_write_bytecode = True


def smaps(pid, key):
    """KiB of that kind, of the whole process."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def children(pid):
    """The worker's: who looks at the repository."""
    return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def cpu_ms(*pids):
    """In nanoseconds' steps where the kernel counts so, else in ticks of ten milliseconds."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0]) / 1e6
            except FileNotFoundError:
                fields = (task / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()
                total += (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")
    return total


def wakeups(*pids):
    return sum(int(line.split()[1]) for pid in pids
               for line in pathlib.Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
               if line.startswith("voluntary_ctxt_switches"))


def until(what, seconds=20.0):
    """What is true at last; ends the program where it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.001)
    raise SystemExit("bench: what was waited for did not happen")


def median(values):
    return sorted(values)[len(values) // 2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_repository(folder):
    """A checkout as hosts have one, with a lock."""
    (folder / "flake.lock").write_text("{}\n")
    for words in (["init", "-q", "-b", "main"], ["add", "."],
                  ["-c", "user.name=b", "-c", "user.email=b@localhost", "commit", "-q", "-m", "begin"]):
        subprocess.run(["git", *words], cwd=folder, check=True)


class Marks:
    """When a stub wrote a word: it echoes into a FIFO, which costs it no process of its own."""

    def __init__(self, path):
        self.path = path
        self.times = {}
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while "close" not in self.times:
            for word in os.read(self.fd, 4096).decode().split():
                self.times.setdefault(word, []).append(time.monotonic() * 1000)
        os.close(self.fd)

    def close(self):
        os.write(self.fd, b"close\n")
        self.thread.join()


class Front:
    """nginx with TLS before the dashboard, and a hashed CA folder that is the system's and one more."""

    def __init__(self, folder, port):
        self.folder = folder
        self.port = free_port()
        self.access = folder / "access.log"
        self.trust = folder / "trust"
        self.certify()
        (folder / "nginx.conf").write_text(f"""daemon off;
master_process off;
pid nginx.pid;
error_log nginx.log info;
events {{ worker_connections 64; }}
http {{
client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fast; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
log_format reuse '$ssl_session_reused $request_uri';
access_log access.log reuse;
server {{
listen 127.0.0.1:{self.port} ssl;
ssl_certificate host.pem;
ssl_certificate_key host.key;
ssl_session_cache shared:TLS:1m;
location / {{
proxy_pass http://127.0.0.1:{port};
proxy_http_version 1.1;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection $connection_upgrade;
}}
}}
}}
""")
        self.process = subprocess.Popen(["nginx", "-p", folder, "-e", "nginx.log", "-c", "nginx.conf"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.listens)

    def certify(self):
        def openssl(*words):
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=Bench", "-keyout", "ca.key", "-out", "ca.pem")
        openssl("req", *key, "-subj", "/CN=localhost", "-keyout", "host.key", "-out", "host.csr")
        (self.folder / "host.ext").write_text("subjectAltName=DNS:localhost\n")
        openssl("x509", "-req", "-in", "host.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "host.ext", "-out", "host.pem")
        self.trust.mkdir()
        for certificate in pathlib.Path("/etc/ssl/certs").glob("*.pem"):
            shutil.copy(certificate, self.trust / certificate.name)
        shutil.copy(self.folder / "ca.pem", self.trust)
        openssl("rehash", str(self.trust))
        bundle = pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_bytes()
        (self.folder / "bundle.pem").write_bytes(bundle + (self.folder / "ca.pem").read_bytes())

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def resumed(self):
        """How many handshakes there were, and how many of them resumed a session."""
        words = [line.split()[0] for line in self.access.read_text().splitlines()]
        return len(words), words.count("r")

    def close(self):
        self.process.terminate()
        self.process.wait(10)


class Host:
    """scheme: http, https, ws or wss; root: where the state lies."""
    living = []
    numbers = itertools.count(1)

    @classmethod
    def close_all(cls):
        while cls.living:
            cls.living[-1].close()

    def __init__(self, build, interval, scheme="http", root="/dev/shm", **environment):
        self.build = build
        root = pathlib.Path(root)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nixfleet-bench-", dir=root if root.is_dir() else None))
        for name in ("bin", "repo", "ops"):
            (self.folder / name).mkdir()
        make_repository(self.folder / "repo")
        self.name = f"bench{os.getpid()}-{next(self.numbers)}"
        self.log = self.folder / "requests"
        self.read_to = 0
        self.rows = []
        self.agent = self.front = None
        self.living.append(self)
        self.marks = Marks(self.folder / "marks")
        port_file = self.folder / "port"
        self.dashboard = subprocess.Popen(
            [build / "tests/dashboard/nixfleet-dashboard", "--listen", "127.0.0.1:0", "--port-file", port_file,
             "--log", self.log, "--token", "bench", *(["--no-output-log"] if environment.pop("quiet", False) else [])],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.port = int(until(lambda: port_file.exists() and port_file.read_text()))
        path = "/ws" if scheme.startswith("ws") else ""
        self.environment = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "HOME": str(self.folder),
            "NIXFLEET_URL": f"{scheme}://127.0.0.1:{self.port}{path}", "NIXFLEET_ALLOW_INSECURE_HTTP": "1",
            "NIXFLEET_TOKEN": "bench", "NIXFLEET_HOSTNAME": self.name, "NIXFLEET_INTERVAL": str(interval),
            "NIXFLEET_STATE_DIR": f"{self.folder}/state", "NIXFLEET_RUNTIME_DIR": f"{self.folder}/run",
            "NIXFLEET_REPO_DIR": f"{self.folder}/repo", "NIXFLEET_OPS_DIR": f"{self.folder}/ops", **environment}
        if scheme in ("https", "wss"):
            self.front = Front(self.folder, self.port)
            self.environment |= {"NIXFLEET_URL": f"{scheme}://localhost:{self.front.port}{path}",
                                 "SSL_CERT_DIR": str(self.front.trust)}

    def stub(self, text, name="bin/nixos-rebuild"):
        path = self.folder / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)

    def start(self):
        """Starts the agent; returns when, in milliseconds."""
        started = time.monotonic() * 1000
        self.agent = subprocess.Popen(
            [self.build / "supervisor/nixfleet-agent", "--config", "/dev/null"], env=self.environment,
            stdout=subprocess.DEVNULL, stderr=open(self.folder / "log", "ab"))
        return started

    def ready(self):
        """Waits until it is well; its status."""
        return until(lambda: self.status().get("health") == 0 and self.status())

    def requests(self, end):
        """What the dashboard has logged under paths that end so: requests and frames."""
        if self.log.exists():
            with open(self.log, "rb") as log:
                log.seek(self.read_to)
                for line in log:
                    if not line.endswith(b"\n"):
                        break
                    self.read_to += len(line)
                    self.rows.append(json.loads(line))
        return [row for row in self.rows if row["path"].endswith("/" + end) and self.name in row["path"]]

    def nfctl(self, *words):
        return subprocess.run(
            [self.build / "supervisor/nfctl/nfctl", "--socket", f"{self.folder}/run/control.sock", *words],
            capture_output=True, text=True, check=False)

    def status(self):
        try:
            return json.loads(self.nfctl("status", "--json").stdout)
        except ValueError:
            return {}

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method, data=json.dumps(body).encode() if body else None,
            headers={"Content-Type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return json.load(answer)

    def command(self, name):
        self.call("POST", f"/api/hosts/{self.name}/command", {"command": name})

    def seen(self):
        return self.call("GET", f"/api/hosts/{self.name}")

    def stop(self, how=signal.SIGTERM):
        self.agent.send_signal(how)
        self.agent.wait(20)
        self.agent = None

    def close(self):
        self.living.remove(self)
        if self.agent:
            self.stop()
        if self.front:
            self.front.close()
        self.marks.close()
        self.dashboard.terminate()
        self.dashboard.wait(5)
        shutil.rmtree(self.folder, ignore_errors=True)
        # Of one that was killed; a clean exit removes its own.
        home = pathlib.Path(pwd.getpwuid(os.getuid()).pw_dir) / ".local/state/nixfleet-agent"
        locks = home if os.getuid() else pathlib.Path("/run/nixfleet-agent")
        (locks / f"agent-{self.name}.lock").unlink(missing_ok=True)
