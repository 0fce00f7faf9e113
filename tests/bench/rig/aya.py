"""Our own node: the zones it serves, its start, what it tells of itself."""
import csv
import re
import sys
import time
import urllib.request

from .nodes import LOAD_CPU, ROOT, Process, free_ports, wait_answer, fail

# The four regions that every server here steers between, and what each is answered as.
FOUR = {"aws-us-east-1": "192.0.2.1", "aws-eu-central-1": "192.0.2.2", "aws-ap-southeast-1": "192.0.2.3", "aws-ap-southeast-2": "192.0.2.4"}
TWELVE = [*FOUR, "aws-us-west-2", "aws-sa-east-1", "gcp-europe-west3", "gcp-us-central1", "gcp-asia-northeast1", "azure-westeurope", "azure-eastus",
          "azure-southafricanorth"]
ENDPOINTS_PER_ZONE, SERVICES_PER_ZONE = 16_000, 4_000  # a file may have 2 MiB
FLAPS = 10


def named(table):
    """The regions of a built-in table."""
    with (ROOT / "src/catalog/known" / table).open() as file:
        return [f"{row['provider']}-{row['region']}" for row in csv.DictReader(file)]


def regions(count):
    """So many known regions with a list price: the four, the twelve, then the rest in the order of the list."""
    known, priced = (named(table) for table in ("regions.csv", "egress_prices.csv"))
    known = [region for region in known if region in set(priced)]
    assert set(TWELVE) <= set(known)
    return (TWELVE + [region for region in known if region not in TWELVE])[:count]


def address(place):
    """What the region of this number is answered as."""
    return f"192.0.2.{place + 1}"


def write_zones(folder, services, region_names, ports, flaps=0, zone="gslb.test"):
    """A catalog of `services` services over the regions, probed at `ports` (one for each region); says the services' names.

    The first `flaps` services have a probe of their own that is asked every second, and whose answers flap (see responder.py).
    """
    folder.mkdir(parents=True, exist_ok=True)
    probes = ['[probe.web.http]\nhost = "probe.gslb.test"\npath = "/healthz"\njson = { "/status" = "ok" }\n']
    for flap in range(flaps):
        probes.append(f'[probe.flap{flap}.http]\nhost = "probe.gslb.test"\npath = "/flap/{flap}"\ninterval = "1s"\ntimeout = "900 ms"\nfall = 1\nrise = 1\n')
    (folder / "probes.toml").write_text("\n".join(probes))
    names = []
    each = min(SERVICES_PER_ZONE, ENDPOINTS_PER_ZONE // len(region_names))
    for first in range(0, services, each):
        apex = zone if services <= each else f"z{first // each}.{zone}"
        lines = [f'zone = "{apex}"', "[ns]", 'ns1 = ["192.0.2.53"]', 'ns2 = ["198.51.100.53"]']
        for number in range(first, min(first + each, services)):
            names.append(f"svc{number}.{apex}")
            flapping = number < flaps
            lines += [f"[service.svc{number}]", 'probe = "web"', 'request = { egress = "50 kB" }', 'steering = { latency-per-usd = "2 ms" }', f"[service.svc{number}.endpoint]"]
            for place, region in enumerate(region_names):
                # One endpoint of a flapping service flaps; the others stay up, so that there is always an answer.
                own = f', probe = "flap{number}"' if flapping and place == 0 else ""
                lines.append(f'{region} = {{ a = ["{address(place)}"], probe-at = "127.0.0.1:{ports[place % len(ports)]}"{own} }}')
        (folder / f"{apex}.toml").write_text("\n".join(lines) + "\n")
    return names


def start_responder(folder, count, flap_seconds=0.0):
    """Web services for probes, on the load's CPU; says their ports."""
    ports = free_ports(count)
    script = ROOT / "tests/bench/rig/responder.py"
    process = Process("responder", [sys.executable, "-B", script, flap_seconds, *ports], folder, cpu=LOAD_CPU)
    return process, ports


class Aya(Process):
    """A node with one worker, live probes, metrics and the shipped geography."""

    def __init__(self, program, folder, zones, name="aya", prefix=(), first_name="svc0.gslb.test", geoip=None, more=(), seconds=60, port=None, env=None):
        self.folder = folder
        ports = free_ports(2)
        self.port, self.admin = port or ports[0], ports[1]
        argv = [*prefix, program, "serve", "--workers", 1, "--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin}",
                "--zones", zones, "--geoip", geoip or ROOT / "geoip", *more]
        super().__init__(name, argv, folder, env={"AYA_LOG": "warn", **(env or {})})
        deadline = time.monotonic() + seconds
        while self.metric("aya_ready") != 1:
            if time.monotonic() > deadline or not self.alive():
                fail(f"the node did not become ready:\n{self.tail()}")
            time.sleep(0.1)
        if not wait_answer(self, self.port, first_name, 20):
            fail(f"the node does not answer:\n{self.tail()}")

    def metrics(self):
        """The text of /metrics; empty when it cannot be had."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=30) as reply:
                return reply.read().decode()
        except OSError:
            return ""

    def metric(self, name):
        """The sum of a metric's series; None when there is none."""
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", self.metrics(), re.M)
        return sum(map(float, found)) if found else None
