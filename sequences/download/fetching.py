"""Fetches one file over HTTP: goes on where it broke off, and believes no server without looking."""

import email.message
import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NoReturn
from urllib.parse import urlsplit

from sequences.download.errors import DownloadError, ServerError, cannot_write
from sequences.download.options import Patience, Progress
from sequences.download.partial_file import PartialFile, Whole

_CHUNK_BYTES = 1 << 18
#: How much is taken between two looks for room where nobody says how much there is.
_STEP_BYTES = 16 << 20
_AGENT = "slam-harness (downloads data sets)"
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
#: No file is larger than what 18 digits say, and Python makes no number of thousands of them.
_NUMBER = re.compile(r"[0-9]{1,18}")
#: Answers that another try may change.
_PASSING_TROUBLE = (408, 425, 429, 500, 502, 503, 504)


class _BrokenOff(Exception):  # noqa: N818 - not an error yet: there are more tries
    """A connection ended before the file did."""


def fetch(
    url: str,
    target: Path,
    progress: Progress,
    room_for: Callable[[int], None],
    patience: Patience,
    published_bytes: int | None = None,
) -> None:
    """Fetch a file, or the rest of it.

    What has come is in ``TARGET.part``; ``TARGET`` appears when all of it is there. Nobody else may fetch the
    same target at the same time.

    Args:
        url: Where it is.
        target: Where it shall be.
        progress: Told how far it has come.
        room_for: Called with the number of bytes that are still to come before they do; raises when there is
            no room for them. Where neither the server nor anybody else says how many, it is called again and
            again, with those that are taken until the next time.
        patience: How long to try.
        published_bytes: Its size, None when it is not known.

    Raises:
        ServerError: The server cannot be reached, has no such file or offers another one, or the
            connection breaks off again and again.
        DownloadError: There is no room, or the disk refuses.
    """
    part = PartialFile(target)
    furthest, failures = part.size(), 0
    while True:
        try:
            _receive(url, part, progress, room_for, patience.silence_seconds, published_bytes)
            break
        except _BrokenOff as problem:
            failures = 1 if part.size() > furthest else failures + 1
            furthest = max(furthest, part.size())
            if failures >= patience.tries:
                raise ServerError(
                    f"{url}: {problem}; given up after {failures} tries in a row. "
                    f"What has come ({part.size()} bytes) is kept; try again later to go on from there"
                ) from problem
            patience.before_try(failures)
        except DownloadError:
            known = part.whole()
            if known is not None and not known.can_go_on:
                part.discard()  # of no use to anybody, and perhaps what fills the disk
            raise
    part.finish()


def _receive(
    url: str,
    part: PartialFile,
    progress: Progress,
    room_for: Callable[[int], None],
    silence_seconds: float,
    published_bytes: int | None,
) -> None:
    """Take what one connection brings; returns when the file is whole."""
    known, have = part.whole(), part.size()
    if known is None or known.url != url or not known.can_go_on:
        known, have = None, 0
    if known is not None and have == known.bytes:
        return
    try:
        answer = _open(url, have, known, silence_seconds)
    except _NothingMore as nothing:
        if have == nothing.whole_bytes:
            return
        part.discard()
        raise _BrokenOff("the server's file is shorter than what has come of it") from nothing
    with answer:
        whole = _whole(url, answer, published_bytes)
        start = _start(answer)
        if start and (known is None or start != have or not whole.is_same(known)):
            part.discard()
            raise _BrokenOff("the server's file changed between two tries")
        if not start:
            part.begin(whole)
        total = known.bytes if start and known is not None and whole.bytes is None else whole.bytes
        _store(answer, part, start, total, progress, room_for)
    _check_length(part, total)


def _check_length(part: PartialFile, total: int | None) -> None:
    size = part.size()
    if total is None or size == total:
        return
    if size > total:
        part.discard()
        raise _BrokenOff(f"the server sent {size} bytes where it had announced {total}")
    raise _BrokenOff(f"the connection ended after {size} of {total} bytes")


def _store(
    answer: Any,
    part: PartialFile,
    start: int,
    total: int | None,
    progress: Progress,
    room_for: Callable[[int], None],
) -> None:
    """Write what comes, up to ``total`` or, where that is not known, to the end of the answer."""
    task = f"downloading {part.target.name}"
    try:
        file = part.path.open("r+b")
    except OSError as error:
        raise cannot_write(part.path, error) from error
    with file:
        file.seek(start)
        done = room_until = start
        progress(task, done, total or 0)
        # Whatever is sent beyond what was announced is not looked at.
        while total is None or done < total:
            if done == room_until:
                room_until = total if total is not None else done + _STEP_BYTES
                room_for(room_until - done)
            chunk = _read(answer, min(_CHUNK_BYTES, room_until - done))
            if not chunk:
                break
            try:
                file.write(chunk)
                file.flush()
            except OSError as error:
                raise cannot_write(part.path, error) from error
            done += len(chunk)
            progress(task, done, total or 0)


def _read(answer: Any, at_most: int) -> bytes:
    try:
        # What has come already is taken at once, and is not lost when the connection breaks off.
        return answer.read1(at_most)
    except (http.client.HTTPException, OSError) as error:
        raise _BrokenOff(f"the connection broke off: {str(error) or type(error).__name__}") from error


class _NothingMore(Exception):  # noqa: N818 - an answer, not an error
    """The server has nothing from the wanted byte on (416).

    Args:
        whole_bytes: The size of its file, None when it does not say.
    """

    def __init__(self, whole_bytes: int | None):
        super().__init__("nothing more")
        self.whole_bytes = whole_bytes


def _open(url: str, start: int, known: Whole | None, silence_seconds: float) -> Any:
    """Ask for a file from a byte on.

    Raises:
        _BrokenOff: Another try may help.
        _NothingMore: The file does not go that far.
        ServerError: No other try will help.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ServerError(f"{url}: is no address of the web")
    # A server that packs what is packed already would make the sizes meaningless.
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    if start and known is not None:
        headers["Range"] = f"bytes={start}-"
        if known.validator is not None:
            headers["If-Range"] = known.validator
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        request = urllib.request.Request(url, headers=headers)
        return opener.open(request, timeout=silence_seconds)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and start:
                raise _NothingMore(_range(error.headers)[1]) from error
            _refused(url, error)
    except (ValueError, http.client.InvalidURL) as error:
        raise ServerError(f"{url}: is no address: {error}") from error
    except urllib.error.URLError as error:
        _unreachable(url, error)
    except (http.client.HTTPException, OSError) as error:
        raise _BrokenOff(f"the server did not answer: {str(error) or type(error).__name__}") from error


def _refused(url: str, error: urllib.error.HTTPError) -> NoReturn:
    said = f"the server answered {error.code} {error.reason}".rstrip()
    if error.code in _PASSING_TROUBLE:
        raise _BrokenOff(said) from error
    if error.code in (404, 410):
        raise ServerError(f"{url}: there is nothing at this address ({said})") from error
    if error.code in (401, 403):
        raise ServerError(f"{url}: the server does not give this file to everybody ({said})") from error
    raise ServerError(f"{url}: {said}") from error


def _unreachable(url: str, error: urllib.error.URLError) -> NoReturn:
    reason = error.reason
    if isinstance(reason, ssl.SSLCertVerificationError):
        raise ServerError(
            f"{url}: the server's certificate is not to be trusted: {reason.verify_message}; see whether the "
            "clock of this machine is right and its certificates are up to date"
        ) from error
    if isinstance(reason, socket.gaierror) and reason.errno != socket.EAI_AGAIN:
        host = urlsplit(url).hostname
        raise ServerError(f"{url}: there is no host '{host}', or this machine has no network") from error
    raise _BrokenOff(f"the server cannot be reached: {reason}") from error


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects on the web, but not from a protected connection to an open one."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme != "https"):
            raise ServerError(f"{req.full_url}: passes on to {newurl}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _whole(url: str, answer: Any, published_bytes: int | None) -> Whole:
    """What an answer says of the file; its published size where the answer says none.

    Raises:
        ServerError: It is a page for people, or a file of another size than was published.
    """
    headers = answer.headers
    if headers.get_content_type() == "text/html":
        raise ServerError(
            f"{url}: the server sent a web page and no archive; open the address in a browser to see what it "
            "says"
        )
    size = _range(headers)[1] if answer.status == 206 else _number(headers.get("Content-Length"))
    if published_bytes is not None and size not in (None, published_bytes):
        raise ServerError(
            f"{url}: the server offers {size} bytes, published are {published_bytes}; "
            "it is another file, perhaps a newer one"
        )
    size = published_bytes if size is None else size
    return Whole(url, size, headers.get("ETag"), headers.get("Last-Modified"))


def _start(answer: Any) -> int:
    """The byte that an answer begins with."""
    if answer.status != 206:
        return 0
    start = _range(answer.headers)[0]
    if start is None:
        raise _BrokenOff("the server sent a part and did not say which")
    return start


def _range(headers: email.message.Message) -> tuple[int | None, int | None]:
    """First byte and size of the whole in ``Content-Range``, None where it does not say."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    return (_number(match[1]), _number(match[2])) if match else (None, None)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text.strip()) else None
