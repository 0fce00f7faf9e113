//! What the load generator is told.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Asks a name server for as much as it can take, or at a rate, and holds every reply against its query. Or is the least of all servers.
///
/// Exit codes: 0 all replies were right; 1 a socket or a file could not be had; 2 a reply was wrong, or none came.
#[derive(Debug, Parser)]
#[command(name = "load")]
pub(crate) struct Line {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
    /// Given by `cargo bench` to every benchmark; means nothing.
    #[arg(long, hide = true, global = true)]
    pub(crate) bench: bool,
}

/// What it can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Ask a server over UDP.
    Udp(Box<UdpArgs>),
    /// Be the kernel's floor: a server that flips a bit of each query and sends it back.
    Floor(FloorArgs),
}

/// What the kernel's floor is told.
#[derive(Debug, Args)]
pub(crate) struct FloorArgs {
    /// Address and port.
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// Datagrams received and sent together.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) batch: u16,
    /// Add one A record, so that the reply is as long as a true one.
    #[arg(long)]
    pub(crate) reply: bool,
}

/// What asking is told.
#[derive(Debug, Args)]
pub(crate) struct UdpArgs {
    /// Address and port of the server.
    #[arg(long)]
    target: SocketAddr,
    /// Measured seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds before that, which do not count.
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// Ends after so many queries, if that comes first.
    #[arg(long)]
    queries: Option<u64>,
    /// Queries outstanding: the next is sent when a reply comes. With --rate, the most there may be.
    #[arg(long)]
    window: Option<u16>,
    /// Queries a second, on a schedule that does not wait for replies; latency then counts from the scheduled time.
    #[arg(long)]
    rate: Option<f64>,
    /// Sockets, and so source ports.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    sockets: u16,
    /// Datagrams sent and received together.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: u16,
    /// How many names: svc0 to svcN of the zone.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    names: u32,
    /// A file with a name a line, instead of svc0 to svcN.
    #[arg(long)]
    names_file: Option<PathBuf>,
    /// The zone.
    #[arg(long, default_value = "gslb.test")]
    zone: String,
    /// The number of the asked type: 1 is A, 28 AAAA.
    #[arg(long, default_value_t = 1)]
    qtype: u16,
    /// Add an OPT to each query.
    #[arg(long)]
    edns: bool,
    /// Add a client's subnet to each query, one of so many distinct ones.
    #[arg(long, default_value_t = 0)]
    subnets: usize,
    /// So many of a hundred subnets are an IPv6 /56, the others an IPv4 /24.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    v6: u8,
    /// Where the drawing of names and subnets begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Milliseconds after which a query counts as lost.
    #[arg(long, default_value_t = 1_000)]
    timeout: u64,
    /// Expected RCODE.
    #[arg(long, default_value_t = 0)]
    rcode: u8,
    /// Fewest answers of a reply.
    #[arg(long, default_value_t = 1)]
    answers: u16,
    /// Addresses that an answer may have; any, if not told.
    #[arg(long, value_delimiter = ',')]
    addresses: Vec<IpAddr>,
    /// The server may leave the client's subnet out of its replies.
    #[arg(long)]
    subnet_ignored: bool,
    /// A bare echo of the query will do.
    #[arg(long)]
    echo: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What asking is told, made plain.
pub(crate) struct Options {
    /// Address and port of the server.
    pub(crate) target: SocketAddr,
    /// Measured time.
    pub(crate) measured: Duration,
    /// Time before that.
    pub(crate) warmup: Duration,
    /// Most queries.
    pub(crate) queries: u64,
    /// Most queries outstanding.
    pub(crate) window: usize,
    /// Nanoseconds from one query to the next; `None` for a closed loop.
    pub(crate) gap: Option<f64>,
    /// Sockets.
    pub(crate) sockets: usize,
    /// Datagrams of one system call.
    pub(crate) batch: usize,
    /// The names.
    pub(crate) names: Vec<String>,
    /// The asked type.
    pub(crate) qtype: u16,
    /// Whether there is an OPT even without a subnet.
    pub(crate) edns: bool,
    /// Distinct subnets.
    pub(crate) subnets: usize,
    /// Of a hundred.
    pub(crate) v6_percent: usize,
    /// Seed.
    pub(crate) seed: u64,
    /// When a query is lost.
    pub(crate) timeout: Duration,
    /// Expected RCODE.
    pub(crate) rcode: u8,
    /// Fewest answers.
    pub(crate) answers: u16,
    /// Possible addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether the subnet need not come back.
    pub(crate) subnet_ignored: bool,
    /// Whether an echo will do.
    pub(crate) echo: bool,
    /// Whether JSON is printed.
    pub(crate) json: bool,
}

impl UdpArgs {
    /// What it means.
    ///
    /// # Errors
    /// Of reading the file of names.
    pub(crate) fn options(self) -> std::io::Result<Options> {
        let names = match &self.names_file {
            Some(path) => std::fs::read_to_string(path)?.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect(),
            None => (0..self.names).map(|number| format!("svc{number}.{}", self.zone)).collect(),
        };
        let window = self.window.unwrap_or(if self.rate.is_some() { 20_000 } else { 128 });
        Ok(Options {
            target: self.target,
            measured: Duration::from_secs_f64(self.seconds.clamp(0.01, 86_400.0)),
            warmup: Duration::from_secs_f64(self.warmup.clamp(0.0, 3_600.0)),
            queries: self.queries.unwrap_or(u64::MAX),
            // Below the number of IDs, so that one is always free.
            window: usize::from(window.clamp(1, 60_000)),
            gap: self.rate.map(|rate| 1e9 / rate.max(0.01)),
            sockets: usize::from(self.sockets),
            batch: usize::from(self.batch),
            names,
            qtype: self.qtype,
            edns: self.edns,
            subnets: self.subnets.min(4_000_000),
            v6_percent: usize::from(self.v6),
            seed: self.seed,
            timeout: Duration::from_millis(self.timeout.clamp(1, 60_000)),
            rcode: self.rcode,
            answers: self.answers,
            addresses: self.addresses,
            subnet_ignored: self.subnet_ignored,
            echo: self.echo,
            json: self.json,
        })
    }
}
