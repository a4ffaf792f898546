"""A web server on loopback with every fault that a server can have, and archives byte by byte."""

import gzip
import io
import random
import struct
import tarfile
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIRST_DATE = "Wed, 01 Jan 2025 00:00:00 GMT"


@dataclass
class Served:
    """One file and how it is served; tests change what they are about, also between two requests.

    Attributes:
        content: The file.
        etag: Entity tag, None for none.
        last_modified: None for none.
        ranges: Whether parts are served on request.
        break_after: For every request in turn, how many bytes of the body come before the connection breaks
            off; None, or no entry, for all.
        announced: ``Content-Length`` to announce whatever the truth is; None for the truth.
        whole_size: Size of the whole to state with a part, whatever the truth is; None for the truth.
        length: Whether a length is announced at all.
        errors: Status codes that the first requests get.
        content_type: Of the answer.
        redirect: Where requests are passed on to, None for nowhere.
        delay_s: Pause after every block of the body.
    """

    content: bytes
    etag: str | None = '"one"'
    last_modified: str | None = FIRST_DATE
    ranges: bool = True
    break_after: list[int | None] = field(default_factory=list)
    announced: int | str | None = None
    whole_size: str | None = None
    length: bool = True
    errors: list[int] = field(default_factory=list)
    content_type: str = "application/octet-stream"
    redirect: str | None = None
    delay_s: float = 0.0


@dataclass
class Request:
    """What a client asked for, and how many bytes of a body it was given."""

    path: str
    headers: dict[str, str]
    sent: int = 0


class FileServer:
    """Serves ``files`` by path; remembers every request. Use :func:`file_server`."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[Request] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def serve(self, path: str, content: bytes, **how: object) -> Served:
        """Serve a file; ``how`` are fields of :class:`Served`."""
        self.files[path] = Served(content, **how)
        return self.files[path]

    def ranges(self) -> list[str | None]:
        """The ``Range`` of every request so far."""
        return [request.headers.get("range") for request in self.requests]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner._answer(self)

            def log_message(self, *words: object) -> None:
                pass

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        served = self.files.get(handler.path)
        request = Request(handler.path, {name.lower(): value for name, value in handler.headers.items()})
        # Noted before the answer: a client that has it may look at once.
        self.requests.append(request)
        if served is None:
            handler.send_error(404)
        elif served.errors:
            handler.send_error(served.errors.pop(0))
        elif served.redirect is not None:
            handler.send_response(302)
            handler.send_header("Location", served.redirect)
            handler.end_headers()
        else:
            self._send(handler, served, request)

    def _send(self, handler: BaseHTTPRequestHandler, served: Served, request: Request) -> None:
        start = self._start(served, request.headers)
        if start is not None and start >= len(served.content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(served.content)}")
            handler.end_headers()
            return
        body = served.content[start or 0 :]
        handler.send_response(200 if start is None else 206)
        handler.send_header("Content-Type", served.content_type)
        if start is not None:
            last, size = len(served.content) - 1, served.whole_size or len(served.content)
            handler.send_header("Content-Range", f"bytes {start}-{last}/{size}")
        if served.length:
            announced = len(body) if served.announced is None else served.announced
            handler.send_header("Content-Length", str(announced))
        if served.etag is not None:
            handler.send_header("ETag", served.etag)
        if served.last_modified is not None:
            handler.send_header("Last-Modified", served.last_modified)
        handler.end_headers()
        stop = served.break_after.pop(0) if served.break_after else None
        self._write(handler, request, body if stop is None else body[:stop], served)

    def _start(self, served: Served, headers: dict[str, str]) -> int | None:
        """Where the wanted part begins; None when all is to be sent."""
        wanted = headers.get("range")
        condition = headers.get("if-range")
        if wanted is None or not served.ranges:
            return None
        if condition is not None and condition not in (served.etag, served.last_modified):
            return None
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def _write(self, handler: BaseHTTPRequestHandler, request: Request, body: bytes, served: Served) -> None:
        block = 4096 if served.delay_s else len(body) or 1
        try:
            for position in range(0, len(body), block):
                part = body[position : position + block]
                request.sent += len(part)
                handler.wfile.write(part)
                time.sleep(served.delay_s)
        except OSError:
            pass  # The client is gone, or was killed.


@contextmanager
def file_server() -> Iterator[FileServer]:
    """A server that runs until the block ends."""
    server = FileServer()
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()
        thread.join()


def tar_member(
    name: str, content: bytes = b"", kind: bytes = b"0", target: str = "", size: bytes | None = None
) -> bytes:
    """One member of a tar archive: the 512 bytes of its header (POSIX ustar) and its content, padded.

    Args:
        name: As it is written, whatever it is.
        content: Of a file.
        kind: ``0`` file, ``1`` hard link, ``2`` symbolic link, ``3`` device, ``5`` folder, ``6`` pipe.
        target: Of a link.
        size: The twelve bytes of the size, None for the truth.
    """
    header = bytearray(512)
    header[0:100] = name.encode().ljust(100, b"\0")
    header[100:108] = b"0000644\0"
    header[108:116] = header[116:124] = b"0000000\0"
    header[124:136] = b"%011o\0" % len(content) if size is None else size
    header[136:148] = b"%011o\0" % 0
    header[148:156] = b" " * 8
    header[156:157] = kind
    header[157:257] = target.encode().ljust(100, b"\0")
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + content + b"\0" * (-len(content) % 512)


def pax_header(**records: str) -> bytes:
    """An extended header (POSIX pax) for the member that follows."""
    content = b""
    for name, value in records.items():
        rest = f" {name}={value}\n".encode()
        length = len(rest)
        while len(str(length)) + len(rest) != length:  # a record's length counts its own digits
            length = len(str(length)) + len(rest)
        content += str(length).encode() + rest
    return tar_member("PaxHeader", content, kind=b"x")


def tar_gz(*members: bytes) -> bytes:
    """A compressed tar archive of what :func:`tar_member` makes."""
    return gzip.compress(b"".join(members) + b"\0" * 1024, mtime=0)


def zip_of(
    files: dict[str | bytes, bytes],
    mode: int = 0o100644,
    encrypted: bool = False,
    method: int = 0,
    utf8: bool = False,
) -> bytes:
    """A zip archive, byte by byte (PKWARE's APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16).

    Args:
        files: Contents by name; stored as they are, whatever ``method`` says.
        mode: Of every file, as Unix has it.
        encrypted: Whether files are said to be.
        method: How files are said to be compressed: 0 not at all, 8 deflate, 12 bzip2, 14 LZMA.
        utf8: Whether names are said to be in UTF-8.
    """
    bodies, table = io.BytesIO(), io.BytesIO()
    for name, content in files.items():
        encoded, offset = name.encode() if isinstance(name, str) else name, bodies.tell()
        common = struct.pack(
            "<HHHHHIIIHH",
            *(20, encrypted | utf8 << 11, method, 0, 0x21, zlib.crc32(content)),
            *(len(content), len(content), len(encoded), 0),
        )
        bodies.write(b"PK\x03\x04" + common + encoded + content)
        table.write(
            b"PK\x01\x02"
            + struct.pack("<H", 0x0314)  # made on Unix: the upper half of the attributes is the mode
            + common
            + struct.pack("<HHHII", 0, 0, 0, mode << 16, offset)
            + encoded
        )
    count, size = len(files), table.tell()
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, size, bodies.tell(), 0)
    return bodies.getvalue() + table.getvalue() + end


def image(number: int) -> bytes:
    """What stands for an image: the same 700 bytes for a number, which no archive makes smaller."""
    return random.Random(number).randbytes(700)


def recording_tar(folder: str, images: int = 3) -> bytes:
    """An archive of a small recording in a folder of its own; an empty name for none."""
    top = f"{folder}/" if folder else "./"
    members = [tar_member(top, kind=b"5"), tar_member(f"{top}rgb.txt", b"# timestamp filename\n")]
    members += [tar_member(f"{top}rgb/{number}.png", image(number)) for number in range(images)]
    return tar_gz(*members)


def is_a_tar(content: bytes) -> list[str]:
    """The names that Python's own tarfile finds, to see that what is made here byte by byte is an archive."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.getnames()
