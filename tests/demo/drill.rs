//! `aya demo`, `aya demo fail` and `aya demo heal` as an operator types them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use hickory_proto::op::Message;

use crate::support::A;
use crate::support::ask::query;

const AYA: &str = env!("CARGO_BIN_EXE_aya");
/// Places that the zones of this repository probe.
const PROBED: usize = 16;

/// A running demo on ports of its own, with probes every second.
struct Demo {
    child: Child,
    server: SocketAddr,
    control: SocketAddr,
    zones: PathBuf,
    /// What it prints, line by line.
    told: Receiver<String>,
}

impl Demo {
    fn start(name: &str) -> Self {
        let mut ports = free_ports(PROBED + 2).into_iter();
        let server = SocketAddr::from(([127, 0, 0, 1], ports.next().unwrap()));
        let control = SocketAddr::from(([127, 0, 0, 1], ports.next().unwrap()));
        let zones = zones_on(name, &ports.collect::<Vec<_>>());
        let mut child = demo(server, control, &zones).stdout(Stdio::piped()).spawn().unwrap();
        let (tell, told) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        std::thread::spawn(move || lines.for_each(|line| drop(tell.send(line))));
        let demo = Self { child, server, control, zones, told };
        demo.wait_until_told("Ctrl-C");
        demo
    }

    /// Waits until it prints a line that has this.
    fn wait_until_told(&self, wanted: &str) {
        let mut before = Vec::new();
        while !before.last().is_some_and(|line: &String| line.contains(wanted)) {
            let next = self.told.recv_timeout(Duration::from_secs(60));
            before.push(next.unwrap_or_else(|_| panic!("wanted {wanted}, was told {before:#?}")));
        }
    }

    /// The first address that a client in Germany gets for `api`.
    fn answer(&self) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.server).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send(&query("api.gslb.example.com", A).subnet("84.128.0.0/24").octets()).unwrap();
        let mut reply = [0; 1232];
        let len = socket.recv(&mut reply).unwrap();
        Message::from_vec(&reply[..len]).unwrap().answers.first().unwrap().data.to_string()
    }

    fn drill(&self, verb: &str, region: &str) -> Output {
        Command::new(AYA).args(["demo", verb, region, "--control", &self.control.to_string()]).output().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.zones);
    }
}

/// The command that starts a demo.
fn demo(server: SocketAddr, control: SocketAddr, zones: &Path) -> Command {
    let mut command = Command::new(AYA);
    let admin = SocketAddr::from(([127, 0, 0, 1], free_ports(1)[0])).to_string();
    command.args(["demo", "--listen", &server.to_string(), "--control", &control.to_string(), "--admin", &admin, "--zones", zones.to_str().unwrap()]);
    command
}

/// Ports of loopback that nobody listens on at the moment, each given out once. They lie below those that the system gives to connections, so that
/// none is taken before the demo comes to listen on it.
fn free_ports(count: usize) -> Vec<u16> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 40).unwrap() * 250;
    let candidates = std::iter::repeat_with(|| 20_000 + (start + GIVEN.fetch_add(1, Ordering::Relaxed)) % 12_000);
    candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).take(count).collect()
}

/// The zones of this repository, probed at these ports, every second.
fn zones_on(name: &str, ports: &[u16]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("zones")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let mut text = fs::read_to_string(&path).unwrap().replace("interval = \"5s\"", "interval = \"1s\"").replace("timeout = \"2s\"", "timeout = \"1s\"");
        for (old, new) in (18_081..).zip(ports) {
            text = text.replace(&format!("127.0.0.1:{old}\""), &format!("127.0.0.1:{new}\""));
        }
        assert!(!text.contains("127.0.0.1:180"), "the zones probe more places than this test knows");
        fs::write(folder.join(path.file_name().unwrap()), text).unwrap();
    }
    folder
}

/// The addresses of the bill of `api` for a client in Germany, best first, from `aya explain`.
fn bill(zones: &Path) -> Vec<String> {
    let output = Command::new(AYA)
        .args(["explain", "api.gslb.example.com", "--client", "84.128.0.1", "--json", "--zones", zones.to_str().unwrap()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let endpoints = told["endpoints"].as_array().unwrap_or_else(|| panic!("{told}"));
    let running = endpoints.iter().filter(|endpoint| endpoint["excluded"].is_null());
    let mut bills: Vec<(i64, String)> =
        running.map(|endpoint| (endpoint["bill"]["total"].as_i64().unwrap(), endpoint["addresses"][0].as_str().unwrap().to_owned())).collect();
    bills.sort();
    bills.into_iter().map(|(_, address)| address).collect()
}

#[test]
fn failed_region_hands_over_to_the_second_of_the_bill_and_comes_back_when_healed() {
    let demo = Demo::start("drill");
    let bill = bill(&demo.zones);
    assert_eq!(bill.iter().collect::<BTreeSet<_>>().len(), 3, "three lawful regions: {bill:?}");
    assert_eq!(demo.answer(), bill[0]);

    let failed = demo.drill("fail", "dc-frankfurt");
    assert!(failed.status.success(), "{failed:?}");
    assert_eq!(demo.answer(), bill[1]);
    demo.wait_until_told("dc-frankfurt: up → down");
    demo.wait_until_told(&format!("{} (dc-frankfurt) → {}", bill[0], bill[1]));

    let healed = demo.drill("heal", "dc-frankfurt");
    assert!(healed.status.success(), "{healed:?}");
    assert_eq!(demo.answer(), bill[0]);

    demo.wait_until_told("dc-frankfurt: down → up");

    let unknown = demo.drill("fail", "dc-atlantis");
    assert_eq!(unknown.status.code(), Some(2));
    let told = String::from_utf8(unknown.stderr).unwrap();
    assert!(told.contains("\"dc-atlantis\"") && told.contains("dc-frankfurt"), "{told}");
}

#[test]
fn interrupted_demo_ends_by_itself_with_code_0() {
    let mut demo = Demo::start("interrupt");
    assert!(Command::new("kill").args(["-INT", &demo.child.id().to_string()]).status().unwrap().success());
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn taken_port_is_a_clear_error_with_code_2() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let mut ports = free_ports(PROBED + 1);
    let control = SocketAddr::from(([127, 0, 0, 1], ports.pop().unwrap()));
    let zones = zones_on("taken", &ports);
    let output = demo(taken, control, &zones).output().unwrap();
    fs::remove_dir_all(&zones).unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(&taken.to_string()), "{told}");
}

#[test]
fn drill_without_a_demo_says_so() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_ports(1)[0]));
    let output = Command::new(AYA).args(["demo", "fail", "dc-frankfurt", "--control", &nobody.to_string()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("aya demo"));
}

#[test]
fn control_port_is_never_open_to_the_network() {
    let output = Command::new(AYA).args(["demo", "--control", "0.0.0.0:5380"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("loopback"));
}
