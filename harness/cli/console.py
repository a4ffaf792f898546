"""Where the command line writes: results to standard output, all else to standard error."""

from rich.console import Console

OUTPUT = Console()
ERRORS = Console(stderr=True)


def say(console: Console, words: str) -> None:
    """Write a line as it stands: no markup, no colours, no line breaks."""
    console.print(words, markup=False, highlight=False, soft_wrap=True)
