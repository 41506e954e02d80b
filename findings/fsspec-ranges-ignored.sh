#!/usr/bin/env bash
# fsspec hands out a whole file for a range of it, where a web server knows no ranges.
#
# HTTP lets a server answer a request for a range with 200 and all of the file; simple servers and
# some proxies do. `cat_file(url, start, end)` and `cat_ranges` return that body as if it were the
# range: another number of bytes, from another place, without an error. Who takes the first bytes for
# those that were asked for reads other pixels. `open().read()` of the same library refuses.
#
# Seen with fsspec 2026.9.0 and aiohttp 3.14.5 on 28 November 2026: 1024 bytes where 10 were asked for.
# Exit status 1 if the range is right, or the answer is refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    fsspec==2026.9.0 aiohttp==3.14.5
mkdir "$folder/data"
"$folder/venv/bin/python" - "$folder/data" <<'PY'
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import fsspec

content = bytes(range(256)) * 4
with open(f"{sys.argv[1]}/a.fits", "wb") as file:
    file.write(content)
# Python's own server of files: it knows no ranges.
server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=sys.argv[1]))
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/a.fits"
files = fsspec.filesystem("http")
print("fsspec", fsspec.__version__)
try:
    one = files.cat_file(url, start=100, end=110)
    several = files.cat_ranges([url], [100], [110])[0]
except Exception as error:
    print("refused:", error)
    sys.exit(1)
print("10 bytes from byte 100 on: cat_file gives", len(one), "bytes, cat_ranges", len(several))
sys.exit(0 if one == several == content else 1)
PY
