"""Peers from Debian packages, each with one worker and the same zone; and the kernel's floor.

The zone is `gslb.test` with `svc0` to `svcN`. Those that steer give one of four answers by continent, as our own node does by latency and
price: 192.0.2.1 (North and South America), .2 (Europe, Africa), .3 (Asia), .4 (Oceania). They read the same database as our own node.
"""
import glob
import re
import shutil
import subprocess

from .nodes import ROOT, Process, free_ports, wait_answer

DATABASE = ROOT / "geoip/dbip-places.mmdb"
REGION = {"us": "192.0.2.1", "eu": "192.0.2.2", "ap": "192.0.2.3", "oc": "192.0.2.4"}
CONTINENT = {"NA": "us", "SA": "us", "EU": "eu", "AF": "eu", "AS": "ap", "OC": "oc"}
HEAD = """$ORIGIN gslb.test.
$TTL 60
@ 3600 IN SOA ns1 admin 1 3600 600 86400 60
@ 3600 IN NS ns1
@ 3600 IN NS ns2
ns1 3600 IN A 127.0.0.1
ns2 3600 IN A 127.0.0.2
"""


def static_zone(folder, services):
    """A zone file in which every service has the same address."""
    path = folder / "static.zone"
    path.write_text(HEAD + "".join(f"svc{number} 60 IN A {REGION['us']}\n" for number in range(services)))
    return path


def gdnsd(folder, port, services):
    """gdnsd with its plugin geoip, a resource for each service."""
    (folder / "zones").mkdir()
    places = ", ".join(f"{region} => {address}" for region, address in REGION.items())
    resources = "\n".join(f"      r{number} => {{ map => regions, dcmap => {{ {places} }} }}" for number in range(services))
    continents = ", ".join(f"{continent} => [{region}]" for continent, region in CONTINENT.items())
    (folder / "config").write_text(f"""options => {{
  listen => {{ "127.0.0.1:{port}" => {{ udp_threads = 1, tcp_threads = 1 }} }}
  run_dir = {folder}/run
  state_dir = {folder}/state
  edns_client_subnet = true
}}
plugins => {{
  geoip => {{
    maps => {{
      regions => {{
        geoip2_db => {DATABASE}
        datacenters => [{", ".join(REGION)}]
        map => {{ {continents}, default => [us] }}
      }}
    }}
    resources => {{
{resources}
    }}
  }}
}}
""")
    (folder / "zones/gslb.test").write_text(HEAD + "".join(f"svc{number} 60 DYNA geoip!r{number}\n" for number in range(services)))
    return ["gdnsd", "-c", folder, "start"]


def knot_config(folder, port, services, module, more=""):
    """What Knot DNS is told in any case."""
    static_zone(folder, services)
    (folder / "knot.conf").write_text(f"""server:
  rundir: {folder}
  user: root:root
  listen: 127.0.0.1@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  edns-client-subnet: on
{more}control:
  listen: {folder}/knot.sock
database:
  storage: {folder}
{module[0]}template:
  - id: default
    storage: {folder}
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
  - domain: gslb.test
    file: {folder}/static.zone
{module[1]}""")
    return ["knotd", "-c", folder / "knot.conf"]


def knot_version():
    """The version of Knot DNS, as (3, 2)."""
    told = subprocess.run(["knotd", "--version"], capture_output=True, text=True).stdout
    found = re.search(r"(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def knot_geoip(folder, port, services, tls=None):
    """Knot DNS with its module geoip; over TLS as well, which it speaks from 3.4 on."""
    lines = []
    for number in range(services):
        lines.append(f"svc{number}.gslb.test:")
        for continent, region in CONTINENT.items():
            lines += [f'  - geo: "{continent}"', f"    A: {REGION[region]}"]
    (folder / "geo.conf").write_text("\n".join(lines) + "\n")
    module = f"mod-geoip:\n  - id: geo\n    config-file: {folder}/geo.conf\n    ttl: 60\n    mode: geodb\n    geodb-file: {DATABASE}\n    geodb-key: continent/code\n"
    secure = "" if tls is None else f"  listen-tls: 127.0.0.1@{tls.port}\n  key-file: {tls.key}\n  cert-file: {tls.certificate}\n"
    return knot_config(folder, port, services, (module, "    module: mod-geoip/geo\n"), secure)


def knot_static(folder, port, services):
    """Knot DNS without steering."""
    return knot_config(folder, port, services, ("", ""))


def nsd(folder, port, services, tls=None):
    """NSD; without steering, since it has none."""
    static_zone(folder, services)
    secure = "" if tls is None else f"  ip-address: 127.0.0.1@{tls.port}\n  tls-port: {tls.port}\n  tls-service-key: {tls.key}\n  tls-service-pem: {tls.certificate}\n"
    (folder / "nsd.conf").write_text(f"""server:
  ip-address: 127.0.0.1@{port}
{secure}  do-ip6: no
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: {folder}
  database: ""
  pidfile: {folder}/nsd.pid
  xfrdfile: {folder}/xfrd.state
  zonelistfile: {folder}/zone.list
  xfrdir: {folder}
  rrl-ratelimit: 0
  minimal-responses: yes
  tcp-count: 1000
remote-control:
  control-enable: no
zone:
  name: gslb.test
  zonefile: {folder}/static.zone
""")
    return ["nsd", "-d", "-c", folder / "nsd.conf"]


def bind(folder, port, services, tls=None):
    """BIND; without steering, since its GeoIP views are one zone for each region."""
    static_zone(folder, services)
    secure = ("", "") if tls is None else (f'tls own {{ key-file "{tls.key}"; cert-file "{tls.certificate}"; }};\n', f"  listen-on port {tls.port} tls own {{ 127.0.0.1; }};\n")
    (folder / "named.conf").write_text(f"""{secure[0]}options {{
  directory "{folder}";
  pid-file "{folder}/named.pid";
  session-keyfile "{folder}/session.key";
  managed-keys-directory "{folder}";
  listen-on port {port} {{ 127.0.0.1; }};
{secure[1]}  listen-on-v6 {{ none; }};
  recursion no;
  allow-query {{ any; }};
  notify no;
  minimal-responses yes;
  dnssec-validation no;
  querylog no;
  tcp-clients 1000;
}};
controls {{ }};
zone "gslb.test" {{ type primary; file "{folder}/static.zone"; }};
""")
    return ["named", "-g", "-4", "-n", "1", "-c", folder / "named.conf"]


def pdns(folder, port, services):
    """PowerDNS with its backend geoip, packet cache on as it comes."""
    lines = ["domains:", "- domain: gslb.test", "  ttl: 60", "  records:", "    gslb.test:",
             "    - soa: {content: ns1.gslb.test admin.gslb.test 1 3600 600 86400 60, ttl: 3600}",
             "    - ns: {content: ns1.gslb.test, ttl: 3600}", "    ns1.gslb.test:", "    - a: 127.0.0.1"]
    for continent, region in [*CONTINENT.items(), ("unknown", "us")]:
        lines += [f"    {continent.lower()}.pool.gslb.test:", f"    - a: {REGION[region]}"]
    lines.append("  services:")
    lines += [f"    svc{number}.gslb.test: ['%cn.pool.gslb.test', 'unknown.pool.gslb.test']" for number in range(services)]
    (folder / "geo.yaml").write_text("\n".join(lines) + "\n")
    (folder / "pdns.conf").write_text(f"""launch=geoip
config-dir={folder}
socket-dir={folder}
local-address=127.0.0.1
local-port={port}
receiver-threads=1
distributor-threads=1
edns-subnet-processing=yes
daemon=no
guardian=no
write-pid=no
loglevel=3
zone-cache-refresh-interval=0
geoip-database-files=mmdb:{DATABASE}
geoip-zones-file={folder}/geo.yaml
""")
    return ["pdns_server", f"--config-dir={folder}"]


# name → (what makes its configuration and command, program, package, whether it steers)
PEERS = {
    "gdnsd": (gdnsd, "gdnsd", "gdnsd", True),
    "knot-geoip": (knot_geoip, "knotd", "knot knot-module-geoip", True),
    "pdns-geoip": (pdns, "pdns_server", "pdns-server pdns-backend-geoip", True),
    "knot-static": (knot_static, "knotd", "knot", False),
    "nsd-static": (nsd, "nsd", "nsd", False),
    "bind-static": (bind, "named", "bind9", False),
}
PLUGINS = {"knot-geoip": "/usr/lib/*/knot/modules-*/geoip.so", "pdns-geoip": "/usr/lib/*/pdns/libgeoipbackend.so"}


def missing(name):
    """Whether a peer is not installed."""
    return shutil.which(PEERS[name][1]) is None or name in PLUGINS and not glob.glob(PLUGINS[name])


def start(name, folder, services, prefix=(), seconds=20, **more):
    """Starts a peer in a folder of its own; None when it does not come up."""
    own = folder / name
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    [port] = free_ports(1)
    argv = PEERS[name][0](own, port, services, **more)
    process = Process(name, [*prefix, *argv], own)
    process.port, process.folder = port, own
    if wait_answer(process, port, "svc0.gslb.test", seconds):
        return process
    print(f"{name} did not come up and is left out:\n{process.tail()}")
    process.stop()
    return None


def start_floor(program, folder, reply, prefix=()):
    """The kernel's floor."""
    [port] = free_ports(1)
    name = "floor-reply" if reply else "floor-echo"
    process = Process(name, [*prefix, program, "floor", "--listen", f"127.0.0.1:{port}", *(["--reply"] if reply else [])], folder)
    process.port, process.folder = port, folder
    return process if wait_answer(process, port, "svc0.gslb.test", 10) else None


class Certificate:
    """A certificate that is worth nothing, for servers on loopback."""

    def __init__(self, folder):
        self.key, self.certificate = folder / "tls.key", folder / "tls.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=ns1.gslb.test",
                        "-addext", "subjectAltName=DNS:ns1.gslb.test,IP:127.0.0.1", "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)
        [self.port] = free_ports(1)
