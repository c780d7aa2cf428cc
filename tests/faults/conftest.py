"""What goes wrong on purpose: a server that lies, a disk that is tiny, processes that are killed."""

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Liar:
    """A server on this machine; each path has an answer of its own, a function of the request and its first byte."""

    def __init__(self):
        self.answers, self.asked, self.sent = {}, [], 0
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name, wanted = self.path.lstrip("/"), self.headers["Range"]
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
                liar.asked.append((name, start))
                try:
                    liar.answers[name](self, start)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the other side has heard enough

            def says(self, status, *lines):
                self.send_response(status)
                for line in lines:
                    self.send_header(*line)
                self.end_headers()

            def puts(self, content):
                self.wfile.write(content)
                liar.sent += len(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def liar(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    liar = Liar()
    yield liar
    liar.server.shutdown()
    liar.server.server_close()


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 128 kB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    try:
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("no disk can be mounted here")
    except OSError:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
