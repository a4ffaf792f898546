"""What a backend in a container can reach, as it found by trying."""

import contextlib
import os
import socket
import threading

import psutil
import pytest
from container_command_line import wait_for

#: Every value that the kernel may show for "no capability at all".
NO_CAPABILITY = "0" * 16
#: Devices that hold nothing of the machine's.
HARMLESS_DEVICES = {
    f"/dev/{name} (device)"
    for name in ("full", "null", "ptmx", "pts/ptmx", "random", "tty", "urandom", "zero")
}


@contextlib.contextmanager
def tcp_server():
    """A server on every address of this machine; yields the addresses."""
    accepted = []
    with socket.create_server(("", 0)) as server:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection, peer = server.accept()
                    connection.close()
                    accepted.append(peer)

        threading.Thread(target=accept, daemon=True).start()
        port = server.getsockname()[1]
        interfaces = psutil.net_if_addrs().values()
        hosts = {
            each.address for addresses in interfaces for each in addresses if each.family == socket.AF_INET
        }
        yield [f"{host}:{port}" for host in sorted(hosts | {"127.0.0.1"})], accepted
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def secret(harness):
    """A file of the host that anybody may read, beside the input that the backend is given."""
    path = harness.directory / "given" / "secret.txt"
    path.parent.mkdir()
    path.write_text("not for backends")
    return path


@pytest.fixture
def found(harness, secret):
    """What the backend found, and what the test knows."""
    given = harness.directory / "given" / "vocabulary"
    given.mkdir()
    (given / "words.txt").write_text("for backends")
    paths = [
        *(harness.directory, harness.directory / "experiment", harness.directory / "data", secret),
        *(harness.trial_directory(0), harness.trial_directory(1), harness.recording / "groundtruth.txt"),
        *(
            harness.temporary_files,
            "/etc/shadow",
            "/root",
            "/var/run/docker.sock",
            "/run/docker.sock",
            __file__,
        ),
        *(
            "/slam-harness/output/../../run-1",
            "/proc/1/root/root",
            "/dev/sda",
            "/dev/vda",
            "/dev/mem",
            "/dev/kmsg",
        ),
    ]
    with tcp_server() as (addresses, accepted):
        for address in addresses:
            socket.create_connection(address.rsplit(":", 1), timeout=3).close()
        wait_for(lambda: len(accepted) == len(addresses), 10)
        outcome = harness.faulty(
            "tell what can be done",
            *("--set", f"faults.given={given}", "--set", f"faults.paths={[str(path) for path in paths]}"),
            *("--set", f"faults.addresses={[*addresses, '198.51.100.1:80', '8.8.8.8:53']}"),
        )
        assert outcome.code == 0, outcome.err
        assert len(accepted) == len(addresses)
    return harness.record(0)["backend"]["statistics"]


def test_a_backend_reaches_nothing_that_it_was_not_given(harness, found):
    assert found["connected"] == []
    assert found["interfaces"] == ["lo"]
    assert found["read"] == []
    assert found["acts"] == []
    assert found["writable kernel files"] == []
    directories = {path for path in found["writable directories"] if not path.startswith("/dev/")}
    assert directories == {"/tmp", "/slam-harness/output"}
    assert set(found["writable directories"]) - directories == {"/dev/shm", "/dev/mqueue"}
    own_files = {
        path for path in found["writable files"] if path.startswith(("/slam-harness/output/", "/tmp/"))
    }
    # "Writing" to the socket is connecting to it.
    assert set(found["writable files"]) - own_files <= {*HARMLESS_DEVICES, "/slam-harness/socket/s"}
    assert found["own folder"] == [
        *("/slam-harness/input", "/slam-harness/input/given", "/slam-harness/input/given/vocabulary"),
        *("/slam-harness/output", "/slam-harness/socket"),
    ]
    # The server and nothing of the machine or of the other trial.
    assert found["processes"] == [1]

    status = found["status"]
    rootless = os.geteuid() != 0 and status["Uid"].startswith("0 ")
    assert rootless or "0" not in (status["Uid"] + " " + status["Gid"]).split()
    assert status["Groups"] in ("", status["Gid"].split()[0])
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert status[kind] == NO_CAPABILITY, kind
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert found["core limit"] == [0, 0]
    assert not {"HARNESS_DATA", "TMPDIR", "DOCKER_HOST", "PATH_TO_DATA"} & set(found["environment"])
    assert not any(str(harness.directory) in value for value in found["environment"].values())


def test_an_input_is_read_through_the_mount_and_stays_as_it_was(harness, secret):
    outcome = harness.faulty("none", "--set", f"faults.given={secret}")
    assert outcome.code == 0, outcome.err
    settings = (harness.trial_directory(0) / "backend" / "settings.txt").read_text()
    assert "'given': '/slam-harness/input/given/secret.txt'" in settings
    assert secret.read_text() == "not for backends"
    # The record says what the user said, not where a container had it.
    assert harness.record(0)["backend"]["options"]["given"] == str(secret)


def test_an_input_that_root_alone_may_read_is_refused_with_the_command_that_helps(harness, secret):
    if os.geteuid() != 0:
        pytest.skip("only where the harness runs as root are containers another user's")
    secret.chmod(0o600)
    outcome = harness.faulty("none", "--set", f"faults.given={secret}", runs=1)
    assert outcome.code == 1
    reason = harness.record(0)["reason"]
    assert reason == (
        f"option given: {secret} can be read by root alone, and no container runs as root: "
        f"chmod -R o+rX {secret}"
    )
    assert harness.record(0)["status"] == "failed"


def test_what_a_backend_wrote_belongs_to_whom_the_harness_runs_as(harness):
    assert harness.faulty("none").code == 0
    owners = {path.lstat().st_uid for path in (harness.directory / "experiment").rglob("*")}
    assert owners == {os.geteuid()}
