#!/usr/bin/env python3
"""Small web services for probes: `responder.py FLAP_SECONDS PORT…`. Each port answers any path with `{"status":"ok"}`, and `/connections` with how many
were made so far. A connection is kept unless its client wants it closed.

`any:PORT` listens on every address of the machine, all of 127.0.0.0/8 among them; `tls:PORT` does so over TLS with `cert.pem` and `key.pem` of the folder.

A path `/flap/N` is up for FLAP_SECONDS and then down for as long; the flaps are spread evenly, so that ten of them with a period of one
second change ten times a second. FLAP_SECONDS 0 lets nothing flap.
"""
import asyncio
import re
import ssl
import sys
import time

FLAPS = 10
UP = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'
DOWN = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Service(asyncio.Protocol):
    """One connection."""

    flap_seconds = 0.0
    connections = 0

    def connection_made(self, transport):
        self.transport, self.head = transport, b""
        Service.connections += 1

    def data_received(self, data):
        self.head += data
        if b"\r\n\r\n" not in self.head and len(self.head) <= 16_384:
            return
        head, self.head = self.head.lower(), b""
        if head.startswith(b"get /connections "):
            told = str(Service.connections).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))
        else:
            flap = re.match(rb"\w+ /flap/(\d+)", head)
            down = flap and self.flap_seconds and int(time.monotonic() / self.flap_seconds + int(flap[1]) / FLAPS) % 2
            self.transport.write(DOWN if down else UP)
        if b"\r\nconnection: close\r\n" in head:
            self.transport.close()


async def main():
    Service.flap_seconds = float(sys.argv[1])
    loop = asyncio.get_running_loop()
    for port in sys.argv[2:]:
        kind, _, number = port.rpartition(":")
        tls = None
        if kind == "tls":
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain("cert.pem", "key.pem")
        await loop.create_server(Service, "0.0.0.0" if kind else "127.0.0.1", int(number), backlog=1024, ssl=tls)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
