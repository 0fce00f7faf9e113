"""Servers under measurement: started on one CPU, watched, ended. Nothing else on the machine is touched."""
import atexit
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
OUT = ROOT / "target/bench"
TICK = os.sysconf("SC_CLK_TCK")

# One CPU for the server, another for what loads it, so that neither pays for the other.
SERVER_CPU = os.environ.get("BENCH_SERVER_CPU", "0")
LOAD_CPU = os.environ.get("BENCH_LOAD_CPU", "1")

STARTED = []


def fail(message):
    """Ends the script: something could not be measured at all."""
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {message}")


def build_program():
    """The program; AYA names one that is built already."""
    told = os.environ.get("AYA")
    if not told:
        subprocess.run(["cargo", "build", "--quiet", "--locked", "--release"], cwd=ROOT, check=True)
    return str(told or ROOT / "target/release/aya")


def build():
    """The program and the load generator; LOAD names a generator that is built already."""
    if len(os.sched_getaffinity(0)) < 2:
        fail("two CPUs are needed: one for the server, one for the load")
    program, load = build_program(), os.environ.get("LOAD")
    if not load:
        told = subprocess.run(["cargo", "bench", "--locked", "--no-run", "--bench", "load"], cwd=ROOT, check=True, capture_output=True, text=True)
        load = ROOT / re.search(r"Executable .*\((\S+)\)", told.stderr)[1]
    return program, str(load)


def free_ports(count):
    """Ports that nobody has, for UDP and TCP: below those that the system gives to connections, so that none of these takes one meanwhile."""
    held, ports = [], []
    while len(ports) < count:
        port = random.randrange(20_000, 32_000)
        tcp, udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held += [tcp, udp]
        try:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            ports.append(port)
        except OSError:
            pass
    for each in held:
        each.close()
    return ports


def work_folder():
    """A folder that is gone when the script ends."""
    folder = tempfile.mkdtemp(prefix="aya-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return pathlib.Path(folder)


class Process:
    """A command in a session of its own: what it starts is found, counted and ended with it."""

    def __init__(self, name, argv, folder, cpu=SERVER_CPU, env=None):
        self.name = name
        self.log = pathlib.Path(folder) / f"{name}.log"
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(["taskset", "-c", str(cpu), *map(str, argv)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                                          start_new_session=True, env=dict(os.environ, **(env or {})))
        STARTED.append(self)

    def alive(self):
        return self.popen.poll() is None

    def pids(self):
        """The session's processes."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                if int(fields[3]) == self.popen.pid:
                    found.append(int(entry))
        return found

    def cpu_seconds(self):
        """CPU time of all threads of all its processes: exact, from the scheduler, or in ticks where it does not tell."""
        exact = ticks = 0
        for pid in self.pids():
            try:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    exact += int(pathlib.Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                ticks += int(fields[11]) + int(fields[12])
            except OSError:
                continue
        return exact / 1e9 if exact else ticks / TICK

    def rss_mb(self):
        """Resident memory of all its processes, in megabytes of 10⁶ octets."""
        total = 0
        for pid in self.pids():
            try:
                total += int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])
            except (OSError, TypeError):
                continue
        return total * 1024 / 1e6

    def descriptors(self):
        """Open descriptors of all its processes."""
        total = 0
        for pid in self.pids():
            try:
                total += len(os.listdir(f"/proc/{pid}/fd"))
            except OSError:
                continue
        return total

    def signal(self, number):
        """Sends a signal to each of its processes."""
        for pid in self.pids():
            try:
                os.kill(pid, number)
            except OSError:
                pass

    def stop(self):
        """Ends it; by force after ten seconds."""
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while self.pids() and time.monotonic() < deadline:
            self.popen.poll()
            time.sleep(0.02)
        self.signal(signal.SIGKILL)
        self.popen.wait()
        if self in STARTED:
            STARTED.remove(self)

    def tail(self):
        """The end of its log."""
        return self.log.read_text(errors="replace")[-2000:]


@atexit.register
def stop_all():
    """Whatever happens, what was started is ended."""
    for process in list(STARTED):
        process.stop()


def ended(number, _frame):
    """A script that is told to end does so by way of `atexit`, in peace."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


signal.signal(signal.SIGTERM, ended)


def question(name, qtype=1):
    """A query without EDNS."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return b"\x5a\xa5\0\0\0\1\0\0\0\0\0\0" + labels + b"\0" + qtype.to_bytes(2, "big") + b"\0\1"


def wait_answer(process, port, name, seconds):
    """Waits until a server answers; says whether it does."""
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.3)
        asking.connect(("127.0.0.1", port))
        while time.monotonic() < deadline and process.alive():
            try:
                asking.send(question(name))
                reply = asking.recv(4096)
                if len(reply) > 12 and reply[3] & 15 == 0:
                    return True
            except OSError:
                pass
            time.sleep(0.1)
    return False
