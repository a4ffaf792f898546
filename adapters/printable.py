"""Text of somebody else's program, made fit to be shown."""

import re

#: What moves a terminal's cursor, and what XML cannot hold.
_UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    """The text with a mark in the place of every character that is not to be seen."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
