"""The command ``harness sequences download``: real data sets, whose links lead to a server on loopback."""

import hashlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from slam_test_file_server import file_server, image, recording_tar, tar_gz, tar_member, zip_of
from tum_files import write_tum_sequence

from harness.cli.download import download
from harness.errors import ConfigurationError
from sequences.datasets import dataset_names, load_dataset
from sequences.errors import SequenceError, UnknownNameError
from sequences.reader import ReaderContext
from sequences.sequence_sets import list_sets, resolve

ROOM = recording_tar("rgbd_dataset_freiburg1_room")


@pytest.fixture
def server():
    with file_server() as running:
        running.serve("/rgbd/dataset/freiburg1/rgbd_dataset_freiburg1_room.tgz", ROOM)
        running.serve("/~ahanda/traj3_frei_png.tar.gz", icl_nuim())
        running.serve("/nice-slam/data/Replica.zip", replica())
        yield running


def icl_nuim():
    files = {"associations.txt": b"", "traj3.gt.freiburg": b"", "rgb/1.png": image(1)}
    return tar_gz(*(tar_member(f"./{name}", content) for name, content in files.items()))


def replica():
    scenes = load_dataset("replica").sequences
    files = {f"Replica/{scene}/traj.txt": scene.encode() for scene in scenes}
    files |= {f"Replica/{scene}/results/frame000000.jpg": image(0) for scene in scenes}
    return zip_of(files | {"Replica/cam_params.json": b"{}", "Replica/room0_mesh.ply": b"ply"})


@pytest.fixture
def run(server, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "data"))

    def run(*arguments, mirror=True):
        links = ["--mirror", server.address] if mirror else []
        return CliRunner(catch_exceptions=False).invoke(download, [*map(str, arguments), *links])

    return run


def test_a_set_of_the_catalogue_stands_for_its_sequences(run):
    result = run("tum_rgbd")
    assert result.exit_code == 1  # the server has one of them
    assert "rgbd_dataset_freiburg1_desk.tgz: there is nothing at this address" in result.stderr
    assert "run with: harness run --seqs freiburg1_room --perception" in result.stderr
    assert "freiburg2_360_hemisphere" not in result.stderr  # no sequence of the set


def test_a_sequence_comes_into_the_folder_of_all_data(run, tmp_path):
    result = run("freiburg1_room")
    folder = tmp_path / "data" / "tum" / "rgbd_dataset_freiburg1_room"
    assert (result.exit_code, result.stdout) == (0, f"{folder}\n")
    assert (folder / "rgb" / "0.png").read_bytes() == image(0)
    assert "TUM RGB-D SLAM Dataset and Benchmark, https://cvg.cit.tum.de" in result.stderr
    assert "licence: Creative Commons Attribution 4.0" in result.stderr
    assert "cite: J. Sturm" in result.stderr
    assert f"SHA-256 {hashlib.sha256(ROOM).hexdigest()}" in result.stderr
    assert "run with: harness run --seqs freiburg1_room --perception NAME --backends NAME" in result.stderr
    assert "HARNESS_DATA=" not in result.stderr


def test_a_second_time_nothing_is_fetched(run, server):
    run("freiburg1_room")
    server.requests.clear()
    result = run("freiburg1_room")
    assert (result.exit_code, server.requests) == (0, [])
    assert "there already: freiburg1_room\n" in result.stderr


def test_what_is_elsewhere_in_the_folder_of_all_data_is_there_and_its_place_is_told(run, server, tmp_path):
    place = write_tum_sequence(tmp_path / "data" / "old" / "rgbd_dataset_freiburg1_room")
    result = run("freiburg1_room")
    assert (result.exit_code, result.stdout, server.requests) == (0, f"{place}\n", [])
    assert f"there already: freiburg1_room (in {place})\n" in result.stderr
    assert "--seqs freiburg1_room --perception" in result.stderr


def test_an_empty_folder_is_no_recording(run, server, tmp_path):
    place = tmp_path / "data" / "euroc" / "V1_01_easy"
    place.mkdir(parents=True)
    result = run("V1_01_easy")
    assert (result.exit_code, result.stdout, server.requests) == (1, "", [])
    assert f"error: {place} is in the way: it is an empty folder, and no recording" in result.stderr
    assert "run with" not in result.stderr
    assert place.is_dir()


def advised(result):
    """The names and paths that the command says to run with."""
    line = next(line for line in result.stderr.splitlines() if line.startswith("run with: "))
    arguments = shlex.split(line.removeprefix("run with: "))
    assert arguments[:2] == ["harness", "run"]
    values = [arguments[index + 1] for index, word in enumerate(arguments) if word == "--seqs"]
    return [name for value in values for name in ([value] if os.path.exists(value) else value.split(","))]


#: What a reader recognises, by data set.
RECOGNISED = {
    "tum": ["rgb.txt"],
    "icl_nuim": ["associations.txt", "traj.gt.freiburg"],
    "replica": ["traj.txt", "results/frame000000.jpg"],
    "euroc": ["mav0/cam0/data.csv", "mav0/cam0/sensor.yaml"],
}


def test_every_data_set_with_downloads_is_tried_below():
    assert set(RECOGNISED) == {name for name in dataset_names() if load_dataset(name).downloads}


@pytest.mark.parametrize("name", RECOGNISED)
def test_whatever_is_there_the_names_to_run_with_lead_to_it(run, tmp_path, name):
    dataset, data = load_dataset(name), tmp_path / "data"
    for sequence in dataset.sequences:
        for file in RECOGNISED[name]:
            path = data / dataset.sequence_directory(sequence) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    names = advised(run(name))
    catalogued = {entry.name for found in list_sets() for entry in found.entries if entry.dataset == name}
    assert len(names) == len(dataset.sequences)
    assert {Path(found).name for found in names} == {
        sequence if sequence in catalogued else dataset.sequence_directory(sequence).name
        for sequence in dataset.sequences
    }
    entries = resolve(names, ReaderContext(data, tmp_path / "cache"))
    assert [data / entry.parameters["directory"] for entry in entries] == [
        data / dataset.sequence_directory(sequence) for sequence in dataset.sequences
    ]


def test_a_path_with_a_comma_or_a_space_can_be_run_as_it_is_advised(run, tmp_path):
    folder = tmp_path / "one, two"
    places = [folder / "tum" / f"rgbd_dataset_freiburg2_{name}" for name in ("coke", "dishes")]
    for place in places:
        write_tum_sequence(place)
    result = run("freiburg2_coke", "freiburg2_dishes", "--to", folder)
    assert advised(result) == [str(place) for place in places]


def test_sequences_of_several_data_sets_come_in_one_go(run, tmp_path):
    result = run("traj3_frei_png", "freiburg1_room", "replica")
    data = tmp_path / "data"
    assert result.exit_code == 0
    assert (data / "icl_nuim" / "traj3_frei_png" / "rgb" / "1.png").is_file()
    assert (data / "replica" / "office4" / "traj.txt").read_text() == "office4"
    assert (data / "replica" / "room0_mesh.ply").read_bytes() == b"ply"
    assert len(result.stdout.splitlines()) == 10
    assert "--seqs traj3_frei_png,freiburg1_room,office0," in result.stderr


def test_another_folder_is_made_and_named_for_the_next_command(run, tmp_path):
    folder = tmp_path / "my data" / "slam"
    result = run("freiburg1_room", "--to", folder)
    assert (folder / "tum" / "rgbd_dataset_freiburg1_room").is_dir()
    assert f"first: export HARNESS_DATA='{folder}'" in result.stderr


def test_archives_are_kept_when_asked_for(run, tmp_path):
    result = run("freiburg1_room", "--keep-archives")
    kept = tmp_path / "data" / "tum" / ".downloads" / "rgbd_dataset_freiburg1_room.tgz"
    assert kept.read_bytes() == ROOM
    assert f"the archive is kept: {kept}" in result.stderr


def test_without_a_folder_it_says_how_to_name_one(run, monkeypatch):
    monkeypatch.delenv("HARNESS_DATA")
    with pytest.raises(SequenceError, match="HARNESS_DATA is not set"):
        run("freiburg1_room")


def test_data_with_terms_is_not_downloaded_and_its_instructions_are_printed(run, monkeypatch):
    monkeypatch.delenv("HARNESS_DATA")
    for name in ("scannet", "scene0000_00"):
        result = run(name, mirror=False)
        assert result.exit_code == 1
        assert "HARNESS_DATA/scannet/scene0000_00/scene0000_00.sens" in result.stdout
        assert "Terms of Use" in result.stderr


def test_what_can_be_downloaded_comes_beside_instructions(run, tmp_path):
    result = run("seven_scenes", "freiburg1_room")
    assert result.exit_code == 1
    assert (tmp_path / "data" / "tum" / "rgbd_dataset_freiburg1_room").is_dir()
    assert "HARNESS_DATA/seven_scenes/chess/seq-01/" in result.stdout


def test_a_failure_is_a_sentence_and_leaves_the_rest(run, tmp_path):
    result = run("freiburg1_room", "freiburg1_plant")
    assert result.exit_code == 1
    assert "rgbd_dataset_freiburg1_plant.tgz: there is nothing at this address" in result.stderr
    assert result.stdout == f"{tmp_path}/data/tum/rgbd_dataset_freiburg1_room\n"


def test_a_published_size_that_does_not_fit_is_a_failure(run, server):
    server.serve("/rgbd/dataset/freiburg1/rgbd_dataset_freiburg1_desk.tgz", ROOM)
    result = run("freiburg1_desk")
    assert result.exit_code == 1
    assert f"the server offers {len(ROOM)} bytes, published are 344011403" in result.stderr
    assert "run with" not in result.stderr


def test_a_checksum_is_taken_in_capitals_too(run):
    digest = hashlib.sha256(ROOM).hexdigest().upper()
    assert run("freiburg1_room", "--sha256", digest).exit_code == 0


def test_a_wrong_checksum_fails(run, tmp_path):
    result = run("freiburg1_room", "--sha256", "0" * 64)
    assert result.exit_code == 1
    assert "has not the SHA-256 given with --sha256" in result.stderr
    assert not (tmp_path / "data" / "tum" / "rgbd_dataset_freiburg1_room").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["freiburg1_room", "--sha256", "12"], "expected 64 hexadecimal digits"),
        (["freiburg1_room", "office0", "--sha256", "0" * 64], "belongs to one archive"),
    ],
)
def test_a_checksum_that_cannot_be_meant_is_wrong_usage(run, arguments, problem):
    with pytest.raises(ConfigurationError, match=problem):
        run(*arguments)


def test_a_mirror_that_is_no_address_is_wrong_usage(run):
    with pytest.raises(SequenceError, match="the mirror 'host' is no address"):
        run("freiburg1_room", "--mirror", "host", mirror=False)


def test_a_name_that_is_nothing_suggests_the_nearest(run):
    with pytest.raises(UnknownNameError, match="Did you mean 'freiburg1_room'"):
        run("freiburg1_rom")


def test_the_command_itself_goes_on_after_it_was_killed(server, tmp_path):
    path = "/rgbd/dataset/freiburg1/rgbd_dataset_freiburg1_room.tgz"
    content = recording_tar("rgbd_dataset_freiburg1_room", images=200)
    served = server.serve(path, content, delay_s=0.2)
    harness = str(Path(sys.executable).with_name("harness"))
    command = [harness, "sequences", "download", "freiburg1_room", "--to", str(tmp_path / "to")]
    command += ["--mirror", server.address]
    part = tmp_path / "to" / "tum" / ".downloads" / "rgbd_dataset_freiburg1_room.tgz.part"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not part.exists() or not part.stat().st_size:
            assert process.poll() is None
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    came = part.stat().st_size
    assert 0 < came < len(content)

    served.delay_s = 0.0
    outcome = subprocess.run(command, capture_output=True, text=True)
    assert (outcome.returncode, "Traceback" in outcome.stderr) == (0, False)
    assert server.ranges() == [None, f"bytes={came}-"]
    assert server.requests[-1].sent == len(content) - came
    assert len(list((tmp_path / "to" / "tum" / "rgbd_dataset_freiburg1_room" / "rgb").iterdir())) == 200


def test_the_command_says_a_mistake_in_one_sentence(tmp_path):
    harness = str(Path(sys.executable).with_name("harness"))
    command = [harness, "sequences", "download", "freiburg1_rom", "--to", str(tmp_path)]
    outcome = subprocess.run(command, capture_output=True, text=True)
    assert outcome.returncode == 2
    assert outcome.stderr.startswith(
        "error: unknown data set, or sequence of one, 'freiburg1_rom'. Did you mean"
    )
