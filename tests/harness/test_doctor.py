"""``harness doctor``: where it says that things are kept."""

from click.testing import CliRunner

from harness.cli.doctor import doctor
from perception.training.synthetic_views import SyntheticViews


def test_it_says_what_is_kept_between_runs_and_where(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = CliRunner().invoke(doctor).stdout
    (line,) = (line for line in said.splitlines() if line.startswith("kept between runs"))
    directory = tmp_path / "slam-harness"
    assert line.endswith(f": {directory}")
    assert "predictions of networks" in line
    assert "synthetic views to train on" in line
    assert SyntheticViews(scenes=1).directory.is_relative_to(directory)
