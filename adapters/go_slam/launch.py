"""Becomes another program, having asked the kernel to be killed when the process that started it dies.

Started as ``python -m adapters.go_slam.launch PARENT DIRECTORY PROGRAM ARGUMENT...``. So a backend that is
killed takes a program along that would otherwise keep the GPU busy for an hour.
"""

import os
import sys

from adapters.parent_death import die_with_parent

#: Leads to the modules of the server side, with which another Python can do nothing.
_NOT_FOR_OTHERS = ("PYTHONPATH",)


def main() -> None:
    """Command line of the module."""
    parent, directory, *command = sys.argv[1:]
    die_with_parent(int(parent))
    os.chdir(directory)
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_OTHERS}
    os.execvpe(command[0], command, environment | {"PYTHONUNBUFFERED": "1"})


if __name__ == "__main__":
    main()
