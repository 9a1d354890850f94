"""An HTTPS proxy as laboratories have them: `python proxy.py FOLDER [--inspect]`.

It takes CONNECT and nothing else, knows where the coordinator is although no name server does, and writes
what it was asked for into `FOLDER/asked`. With `--inspect` it looks into TLS: it answers with a certificate
of its own CA (`FOLDER/ca.pem`) and counts the plain requests that it sees. Its port lies in `FOLDER/port`.
"""

import argparse
import socket
import ssl
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from model_library.signing.certificates import IssuedCertificate, create_ca, issue_server_certificate


class Proxy:
    """One thread each way for each connection."""

    def __init__(self, folder: Path, ca: IssuedCertificate | None) -> None:
        self._folder = folder
        self._ca = ca
        self._writing = threading.Lock()

    def note(self, line: str) -> None:
        """Write a line of what was asked for."""
        with self._writing, (self._folder / "asked").open("a") as asked:
            asked.write(line + "\n")

    def serve(self, near: socket.socket) -> None:
        """Connect a client through."""
        with near:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (chunk := near.recv(4096)):
                    return
                head += chunk
            method, target, _ = head.split(b"\r\n")[0].decode().split()
            self.note(f"{method} {target}")
            if method != "CONNECT":
                near.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            host, _, port = target.rpartition(":")
            with socket.create_connection(("127.0.0.1", int(port))) as far:
                near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                if self._ca is None:
                    self.join(near, far)
                else:
                    self.join(self.inspected(near, host), trusting_anybody().wrap_socket(far))

    def inspected(self, near: socket.socket, host: str) -> ssl.SSLSocket:
        """Pass for the host that was asked for."""
        assert self._ca is not None
        passport = issue_server_certificate(self._ca, [host], datetime.now(UTC))
        chain, key = self._folder / "passport.pem", self._folder / "passport.key"
        with self._writing:
            chain.write_bytes(passport.certificate_pem)
            key.write_bytes(passport.key_pem)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain, key)
        return context.wrap_socket(near, server_side=True)

    def join(self, near: socket.socket, far: socket.socket) -> None:
        """Pass bytes on both ways until either side ends."""
        back = threading.Thread(target=self.pass_on, args=(far, near, False), daemon=True)
        back.start()
        self.pass_on(near, far, self._ca is not None)
        back.join()
        near.close()
        far.close()

    def pass_on(self, source: socket.socket, target: socket.socket, seen: bool) -> None:
        """Pass bytes on one way; requests that can be seen are noted."""
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                line = chunk.split(b"\r\n")[0]
                if seen and line.endswith(b"HTTP/1.1"):
                    self.note(f"seen {line.decode()}")
                target.sendall(chunk)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


def trusting_anybody() -> ssl.SSLContext:
    """The proxy's own trust is not what is tested."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def main() -> None:
    """Listen until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--inspect", action="store_true")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    ca = create_ca(datetime.now(UTC)) if arguments.inspect else None
    if ca is not None:
        (folder / "ca.pem").write_bytes(ca.certificate_pem)
    proxy = Proxy(folder, ca)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (folder / "port.part").write_text(str(listening.getsockname()[1]))
        (folder / "port.part").rename(folder / "port")
        while True:
            near, _ = listening.accept()
            threading.Thread(target=attended, args=(proxy, near), daemon=True).start()


def attended(proxy: Proxy, near: socket.socket) -> None:
    """Serve a client; one that does not trust the passport hangs up."""
    try:
        proxy.serve(near)
    except (OSError, ssl.SSLError) as error:
        proxy.note(f"broken off: {type(error).__name__}")
        print(error, file=sys.stderr)


if __name__ == "__main__":
    main()
