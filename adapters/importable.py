"""Says why a package that loads native libraries cannot be imported, without importing it here."""

import importlib.util
import subprocess
import sys

_IMPORT_SECONDS = 60.0


def why_not_importable(package: str, extra: str, system_libraries: str) -> str | None:
    """Tries the import in a process of its own, because such packages bring threads and libraries along.

    Args:
        package: Name that is imported.
        extra: The extra of ``slam-harness`` that installs it.
        system_libraries: Debian packages that it needs, separated by blanks.

    Returns:
        One sentence with the command that helps; None when it can be imported.
    """
    if importlib.util.find_spec(package) is None:
        return f"the package {package} is not installed: pip install 'slam-harness[{extra}]'"
    command = [sys.executable, "-c", f"import {package}"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=_IMPORT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return (
            f"importing {package} took longer than {_IMPORT_SECONDS:.0f} s; try: python -c 'import {package}'"
        )
    if tried.returncode == 0:
        return None
    last_line = (tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"])[-1]
    return (
        f"{package} cannot be imported ({last_line}); most often a system library is missing:"
        f" apt install {system_libraries}"
    )
