"""What a backend says of a package that is missing or does not load."""

import pytest

from adapters.importable import why_not_importable


def test_a_package_that_loads_is_not_complained_about():
    assert why_not_importable("json", "extra", "libgl1") is None


def test_a_package_that_is_not_installed_comes_with_the_command_that_installs_it():
    sentence = why_not_importable("no_such_package", "orbslam3", "libgl1")
    assert sentence == "the package no_such_package is not installed: pip install 'slam-harness[orbslam3]'"


def test_a_package_that_does_not_load_names_the_cause_and_the_system_libraries(
    tmp_path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "broken_package.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    sentence = why_not_importable("broken_package", "open3d", "libgl1 libegl1")
    assert sentence is not None
    assert "libGL.so.1: cannot open shared object file" in sentence
    assert sentence.endswith("apt install libgl1 libegl1")
