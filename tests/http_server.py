"""A server of one folder of bytes on loopback, with the faults that real ones have."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Files:
    """What is served, and how.

    Attributes
    ----------
    content : dict of str to bytes
        Path -> bytes.
    has_ranges : bool
        Whether a part may be asked for.
    cut_after : list of int
        Of the next answers: the connection ends after so many bytes.
    version : str
        ETag of all files.
    requests : list of (str, str)
        Path and Range header of each request.
    """

    def __init__(self, content: dict[str, bytes]):
        self.content, self.has_ranges, self.version = content, True, '"1"'
        self.cut_after: list[int] = []
        self.requests: list[tuple[str, str]] = []


@contextmanager
def serving(files: Files) -> Iterator[str]:
    """Serve them; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *words):
            pass

        def do_GET(self):
            asked = self.headers.get("Range", "")
            files.requests.append((self.path, asked))
            content = files.content.get(self.path)
            if content is None:
                self.send_error(404)
                return
            # Before the headers are sent: the next request may come as soon as they are.
            cut = files.cut_after.pop(0) if files.cut_after else len(content)
            is_part = (
                asked
                and files.has_ranges
                and self.headers.get("If-Range", files.version) == files.version
            )
            start = int(re.match(r"bytes=(\d+)-", asked)[1]) if is_part else 0
            end = start + cut
            self.send_response(206 if is_part else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if files.has_ranges:
                self.send_header("ETag", files.version)
            if is_part:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            self.wfile.write(content[start:end])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
