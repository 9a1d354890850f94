"""Links on real sockets: what passes is passed on and counted, a cut is a reset and then a refusal."""

import socket
import threading
from collections.abc import Iterator

import pytest

from model_library.processes.ports import free_port
from simulations.deployed.link import COORDINATOR_HOST, Links, Pace, host_of

SITE = "north"
FAST = 1e4


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that says whatever it hears twice, on the coordinator's address; its port."""
    server = socket.create_server((COORDINATOR_HOST, free_port()))

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while heard := connection.recv(1 << 16):
                    connection.sendall(heard * 2)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.fixture
def links(echo: int) -> Iterator[Links]:
    with Links() as laid:
        laid.lay(SITE, host_of(0), echo, FAST)
        yield laid


def connected(port: int) -> socket.socket:
    return socket.create_connection((host_of(0), port), timeout=10)


def received(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        chunk = connection.recv(1 << 16)
        assert chunk, "the connection ended"
        found += chunk
    return found


def test_every_byte_arrives_and_is_counted_in_its_direction(echo: int, links: Links) -> None:
    words = bytes(range(256)) * 400
    with connected(echo) as connection:
        threading.Thread(target=connection.sendall, args=(words,), daemon=True).start()
        heard = received(connection, 2 * len(words))
    assert sorted(heard) == sorted(words * 2)
    link = links.by_site[SITE]
    assert (link.up, link.down) == (len(words), 2 * len(words))


def test_an_end_of_one_side_is_passed_on(echo: int, links: Links) -> None:
    with connected(echo) as connection:
        connection.sendall(b"last words")
        connection.shutdown(socket.SHUT_WR)
        assert received(connection, 20) == b"last words" * 2
        assert connection.recv(1) == b""


def test_a_cut_resets_what_is_open_and_refuses_what_comes(echo: int, links: Links) -> None:
    with connected(echo) as connection:
        connection.sendall(b"once")
        received(connection, 8)
        links.cut(SITE)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            connected(echo)
        links.cut(SITE)  # of a link that is cut already nothing comes


def test_a_restored_link_has_its_old_address_and_goes_on_counting(echo: int, links: Links) -> None:
    for _ in range(3):
        with connected(echo) as connection:
            connection.sendall(b"again")
            assert received(connection, 10) == b"again" * 2
        links.cut(SITE)
        links.restore(SITE)
        links.restore(SITE)
    assert links.by_site[SITE].up == 3 * len(b"again")


def test_without_a_coordinator_a_connection_ends_at_once() -> None:
    with Links() as laid:
        laid.lay(SITE, host_of(0), port := free_port(), FAST)
        with connected(port) as connection:
            assert connection.recv(1) == b""


def test_afterwards_the_address_is_free(echo: int) -> None:
    for _ in range(2):
        with Links() as laid:
            laid.lay(SITE, host_of(0), echo, FAST)
    with pytest.raises(ConnectionRefusedError):
        connected(echo)


def test_bytes_wait_for_those_before_them() -> None:
    now = 100.0
    pace = Pace(mbit_per_s=8.0, clock=lambda: now)
    assert [pace.delay_s(1_000_000) for _ in range(3)] == pytest.approx([1.0, 2.0, 3.0])
    now = 110.0  # the line is free again
    assert pace.delay_s(500_000) == pytest.approx(0.5)


def test_every_site_has_an_address_of_its_own() -> None:
    hosts = [host_of(number) for number in range(1000)]
    assert len({*hosts, COORDINATOR_HOST}) == 1001
    assert hosts[0] == "127.0.0.2"
    assert all(all(0 <= int(part) < 256 for part in host.split(".")) for host in hosts)
