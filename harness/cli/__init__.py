"""The command line: each command parses its options into one object and calls one function."""

from harness.cli.main import main

__all__ = ["main"]
