#!/usr/bin/env python3
"""Small web services for probes: `responder.py FLAP_SECONDS PORT…`. Each port answers any path with `{"status":"ok"}`.

A path `/flap/N` is up for FLAP_SECONDS and then down for as long; the flaps are spread evenly, so that ten of them with a period of one
second change ten times a second. FLAP_SECONDS 0 lets nothing flap.
"""
import asyncio
import re
import sys
import time

FLAPS = 10
UP = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"status":"ok"}'
DOWN = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Service(asyncio.Protocol):
    """One connection, one answer."""

    flap_seconds = 0.0

    def connection_made(self, transport):
        self.transport, self.head = transport, b""

    def data_received(self, data):
        self.head += data
        if b"\r\n\r\n" in self.head or len(self.head) > 16_384:
            flap = re.match(rb"\w+ /flap/(\d+)", self.head)
            down = flap and self.flap_seconds and int(time.monotonic() / self.flap_seconds + int(flap[1]) / FLAPS) % 2
            self.transport.write(DOWN if down else UP)
            self.transport.close()


async def main():
    Service.flap_seconds = float(sys.argv[1])
    loop = asyncio.get_running_loop()
    for port in sys.argv[2:]:
        await loop.create_server(Service, "127.0.0.1", int(port), backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
