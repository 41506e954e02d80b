"""Servers on loopback from which tests fetch: nginx, moto for S3, and one that does wrong."""

import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.programs import SYSTEM_FOLDERS, needs

NGINX = """
daemon off; master_process off; pid {state}/pid; error_log {state}/error.log;
events {{ }}
http {{
    access_log {state}/access.log combined;
    client_body_temp_path {state}/body; proxy_temp_path {state}/proxy;
    fastcgi_temp_path {state}/fastcgi; uwsgi_temp_path {state}/uwsgi; scgi_temp_path {state}/scgi;
    types {{ application/fits fits; text/plain txt; text/html html; }}
    server {{
        listen 127.0.0.1:{port}; root {root}; autoindex on; {settings}
    }}
}}
"""


MUCH = 20_000
"""Bytes at once that are part of a file, and of no answer of another kind."""


@contextmanager
def kept_port() -> Iterator[int]:
    """A free port that the kernel gives to nobody else; whoever names it may listen there.

    A number that was free a moment ago may be that of another test's connection now.
    """
    with socket.socket() as keeper:
        # Of two sockets at one address with this option one may listen.
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        yield int(keeper.getsockname()[1])


@contextmanager
def nginx(root: Path, state: Path, settings: str = "") -> Iterator[str]:
    """Serve a folder with indices; ``settings`` stand in the server's block of nginx.conf."""
    needs("nginx")
    state.mkdir()
    file = state / "nginx.conf"
    program = shutil.which("nginx") or shutil.which("nginx", path=SYSTEM_FOLDERS)
    assert program is not None
    with kept_port() as port:
        file.write_text(NGINX.format(state=state, root=root, port=port, settings=settings))
        with _process([program, "-e", "stderr", "-c", str(file), "-p", str(state)], port):
            yield f"http://127.0.0.1:{port}"


def bytes_sent(state: Path) -> int:
    """Bytes of all answers of an nginx so far."""
    # It writes an answer down after its last byte was sent, and before it hears the next question.
    (address,) = re.findall(r"listen ([\d.:]+);", (state / "nginx.conf").read_text())
    asking = HTTPConnection(address)
    asking.request("HEAD", "/")
    asking.getresponse().close()
    asking.close()
    lines = (state / "access.log").read_text().splitlines()
    return sum(int(line.split('"')[2].split()[1]) for line in lines)


@contextmanager
def moto() -> Iterator[str]:
    """An S3 store in memory; its address."""
    program = Path(sys.executable).with_name("moto_server")
    with kept_port() as port, _process([str(program), "-H", "127.0.0.1", "-p", str(port)], port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _process(words: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, f"{words[0]} ended"
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(300)


class WrongServer:
    """A server of files in memory that does to each what it is told, request by request.

    ``faults[path]`` are done one after the other, then the file is served rightly: "truncate" (half
    of what was announced, then the connection ends), "reset", "stall", "page" (HTML with status
    200), "shorter" (another length), "empty", "changed" (the second half is of another version),
    "elsewhere" and "nowhere" (a range that begins later than asked for, or does not say where), or
    a number: that status. Those of HEAD stand under ``HEAD path``.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Any]] = defaultdict(list)
        self.ranges = True
        self.retry_after = ""
        self.etags = self.times = True
        self.sizes = True
        self.page = b"<html>please log in</html>"
        self.lingers = 0.3
        """Seconds before a reset; what the client has not read by then is lost."""
        self.requests: list[tuple[str, str, str]] = []
        """Method, path and range of each."""
        self.before: Callable[[str], None] = lambda _: None
        """Called with the path of each GET that has come, before the answer."""
        self.busy = self.most_at_once = 0
        """Requests that are being answered, now and at most."""
        self.counting = threading.Condition()
        self.url = ""
        self.ended = threading.Event()

    @contextmanager
    def running(self) -> Iterator["WrongServer"]:
        handler = type("Handler", (_Handler,), {"told": self})
        server = _Server(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            server.shutdown()
            thread.join()
            server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, address: Any) -> None:
        """Say nothing of a client that hangs up."""


class _Handler(BaseHTTPRequestHandler):
    told: WrongServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        told = self.told
        with told.counting:
            told.busy += 1
            told.most_at_once = max(told.most_at_once, told.busy)
            told.counting.notify_all()
        self._answer()

    def _answered(self) -> None:
        """Called before the last bytes: who has these may ask for more at once."""
        with self.told.counting:
            self.told.busy -= 1

    def _answer(self) -> None:
        told, path = self.told, self.path.partition("?")[0]
        asked = self.headers.get("Range", "") if told.ranges else ""
        head = self.command == "HEAD"
        with told.counting:
            told.requests.append((self.command, path, asked))
            told.counting.notify_all()
        if not head:
            told.before(path)
        content = told.files.get(path)
        fault: Any = None
        queue = told.faults[f"{self.command} {path}" if head else path]
        if queue:
            fault = queue.pop(0)
        if content is None:
            fault = 404
        if isinstance(fault, int):
            self._send(fault, b"no", {"Retry-After": told.retry_after} if told.retry_after else {})
            return
        assert content is not None
        if fault == "page":
            self._send(200, told.page, {"Content-Type": "text/html"})
            return
        self._answer_with(content, asked, fault)

    def _answer_with(self, content: bytes, asked: str, fault: str | None) -> None:
        """A file, or the range of it that was asked for."""
        told = self.told
        if fault == "shorter":
            content = content[:-100]
        if fault == "empty":
            content = b""
        etag = f'"{hash(content)}"'
        if fault == "changed":
            etag = '"another"'
        facts = {"Last-Modified": formatdate(1.7e9, usegmt=True)} if told.times else {}
        if told.etags:
            facts["ETag"] = etag
        status, part = 200, content
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            stop = int(last) + 1 if last else len(content)
            part, status = content[int(first) : stop], 206
            if fault == "elsewhere":
                first, part = int(first) + 2880, part[2880:]
            if fault != "nowhere":
                facts["Content-Range"] = f"bytes {first}-{stop - 1}/{len(content)}"
        if fault in ("truncate", "reset", "stall"):
            self._break_off(fault, status, part, facts)
        else:
            self._send(status, part, facts)

    def _break_off(self, fault: str, status: int, part: bytes, facts: dict[str, str]) -> None:
        """Announce all of ``part``, and send half."""
        self._answered()
        self._head(status, len(part), facts)
        self.wfile.write(part[: len(part) // 2])
        self.wfile.flush()
        if fault == "stall":
            self.told.ended.wait(30)
        if fault == "reset":
            time.sleep(self.told.lingers)
            # Closed with unread data and no lingering, a socket sends RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True
        self.connection.close()

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        if self.command == "HEAD":
            self._answered()
            self._head(status, len(content), headers)
            return
        self._head(status, len(content), headers)
        self.wfile.write(content[:-1])
        self._answered()
        self.wfile.write(content[-1:])

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        if self.told.sizes:
            headers = headers | {"Content-Length": str(length)}
        else:
            # The end of the connection is the end of the file.
            headers = headers | {"Connection": "close"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class CuttingProxy:
    """Passes on what a server says, and cuts its first long answers off in the middle."""

    def __init__(self, server: str, times: int) -> None:
        host, _, port = server.rpartition("/")[2].partition(":")
        self._server = host, int(port)
        self.left = times
        """Answers that are to be cut off yet."""
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as door:
            threading.Thread(target=self._serve, args=(door,), daemon=True).start()
            yield f"http://127.0.0.1:{door.getsockname()[1]}"

    def _serve(self, door: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = door.accept()
                server = socket.create_connection(self._server)
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pass_back, args=(server, client), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while content := client.recv(65536):
                server.sendall(content)

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while content := server.recv(65536):
                if len(content) > MUCH and self._cuts():
                    client.sendall(content[: len(content) // 2])
                    break
                client.sendall(content)
        for end in (client, server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _cuts(self) -> bool:
        with self._lock:
            self.left -= 1
            return self.left >= 0
