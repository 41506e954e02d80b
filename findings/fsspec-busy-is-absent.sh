#!/usr/bin/env bash
# fsspec says of a file on a busy web server, or behind a login, that it does not exist.
#
# Over HTTP `info` turns every failure into FileNotFoundError, and `exists` into False: 401, 403, 429,
# 503, a connection that is refused. Weight and flag images are optional in many pipelines, and looked
# for in this way: while a server is overloaded, a tile is measured without them, and nothing is said.
#
# Seen with fsspec 2026.9.0 and aiohttp 3.14.5 on 28 November 2026: exists() is False for 401, 429, 503
# and no server.
# Exit status 1 if one of them is an error of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    fsspec==2026.9.0 aiohttp==3.14.5
"$folder/venv/bin/python" - <<'PY'
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path.strip("/").partition(".")[0]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *words):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
urls = [f"{here}/401.fits", f"{here}/429.fits", f"{here}/503.fits", "http://127.0.0.1:9/a.fits"]
files = fsspec.filesystem("http")
print("fsspec", fsspec.__version__)
absent = 0
for url in urls:
    try:
        exists = files.exists(url)
        absent += not exists
    except Exception as error:
        exists = f"{type(error).__name__}"
    print(url.rpartition("/")[2], "exists:", exists)
sys.exit(0 if absent == len(urls) else 1)
PY
