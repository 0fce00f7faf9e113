"""Load on a server, and what it costs: CPU time, instructions."""
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

from .nodes import LOAD_CPU


def ask(program, port, *more, seconds=1.0, warmup=0.0):
    """Runs the load generator; what it tells, as a dict. `wrong_replies` of a server are told, never hidden."""
    argv = ["taskset", "-c", LOAD_CPU, program, "udp", "--json", "--target", f"127.0.0.1:{port}", "--seconds", seconds, "--warmup", warmup, *more]
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=seconds + warmup + 60)
    if not done.stdout:
        raise RuntimeError(f"the load generator failed: {done.stderr}")
    return json.loads(done.stdout)


def slice_of(process, program, port, *more, seconds):
    """One short run: the server's CPU microseconds for each good reply beside what the load generator tells."""
    before, begun = process.cpu_seconds(), time.monotonic()
    told = ask(program, port, *more, seconds=seconds)
    told["cpu_us"] = 1e6 * (process.cpu_seconds() - before) / max(1, told["good"])
    told["cpu_share"] = told["cpu_us"] * told["good"] / 1e6 / (time.monotonic() - begun)
    return told


def perf_counts():
    """Whether the processor counts instructions for us."""
    if not shutil.which("perf"):
        return False
    told = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", "true"], capture_output=True, text=True)
    return bool(re.search(r"^\d+,", told.stderr, re.M))


# A thread with fewer instructions a query answers none.
BUSY = 100
CALLGRIND = ["valgrind", "--tool=callgrind", "--separate-threads=yes", "--callgrind-out-file=callgrind.%p"]


def callgrind_threads(folder):
    """Instructions of each thread in the dumps of a folder; the dumps are removed."""
    threads = {}
    for path in glob.glob(f"{folder}/callgrind.*"):
        with open(path, errors="replace") as file:
            text = file.read()
        os.remove(path)
        total = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
        thread = re.search(r"^thread: (\d+)", text, re.M)
        pid = re.search(r"^pid: (\d+)", text, re.M)
        if total and thread and pid:
            key = pid[1], thread[1]
            threads[key] = threads.get(key, 0) + int(total[1])
    return threads


def instructions(process, folder, program, port, *more, queries=4_000):
    """User-mode instructions a query of a server under callgrind: of the thread that answers, and of all its threads.

    Runs of different length; the difference of the shortest and the longest leaves out what does not depend on queries. Counting begins anew
    before each. The thread that answers is the one whose count is most nearly in proportion to the queries: a node of many endpoints has one that
    publishes them from time to time, and does more in that moment than some thousand queries take.
    """
    runs = []
    for count in (queries // 4, queries // 2, queries):
        for pid in process.pids():
            subprocess.run(["callgrind_control", "-z", str(pid)], capture_output=True, timeout=60)
        told = ask(program, port, "--queries", count, "--timeout", 20_000, *more, seconds=60)
        callgrind_threads(folder)  # of before
        for pid in process.pids():
            subprocess.run(["callgrind_control", "-d", str(pid)], capture_output=True, timeout=60)
        time.sleep(0.5)
        runs.append((callgrind_threads(folder), told))
    good = [told["good"] for _, told in runs]
    if not all(good):
        raise RuntimeError("the server did not answer under callgrind")

    def unsteadiness(thread):
        each = [threads.get(thread, 0) / answers for (threads, _), answers in zip(runs, good)]
        return max(each) / max(min(each), 1e-9)

    first, last = runs[0][0], runs[-1][0]
    busy = [thread for thread, count in last.items() if count / good[-1] >= BUSY and thread in first]
    if not busy:
        raise RuntimeError("callgrind left no dump of a thread that answers")
    worker = min(busy, key=unsteadiness)
    return {"worker": (last[worker] - first[worker]) / max(1, good[-1] - good[0]), "all": sum(last.values()) / good[-1], "good": good[-1],
            "wrong": sum(told["wrong"] for _, told in runs)}


def perf_instructions(process, program, port, *more, seconds=2.0):
    """The same by the processor's own counter, over all threads."""
    pids = ",".join(map(str, process.pids()))
    with subprocess.Popen(["perf", "stat", "-x,", "-e", "instructions:u", "-p", pids], stderr=subprocess.PIPE, text=True) as perf:
        time.sleep(0.2)
        told = ask(program, port, *more, seconds=seconds)
        perf.send_signal(2)
        counted = int(re.search(r"^(\d+),", perf.communicate()[1], re.M)[1])
    each = counted / max(1, told["good"])
    return {"worker": each, "all": each, "good": told["good"], "wrong": told["wrong"]}


def dnsperf(port, names, mode, seconds, clients=10, family_options=()):
    """Queries a second that dnsperf gets over a stream transport, and how many it lost; None when it fails."""
    data = pathlib.Path(names)
    argv = ["taskset", "-c", LOAD_CPU, "dnsperf", "-s", "127.0.0.1", "-p", port, "-m", mode, "-d", data, "-c", clients, "-q", 100, "-l", seconds, *family_options]
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=seconds + 60)
    number = lambda word: re.search(rf"{word}:\s+([\d.]+)", done.stdout)
    rate, lost, completed = number("Queries per second"), number("Queries lost"), number("Queries completed")
    if not rate or not completed or float(completed[1]) == 0:
        return None
    codes = re.search(r"Response codes:\s+(.*)", done.stdout)
    return {"qps": float(rate[1]), "lost": int(lost[1]), "good": int(completed[1]), "codes": codes[1] if codes else ""}
