//! The loop: receive, give up what is late, send what is due.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::batch::{Batch, enlarge_buffers, wait_readable};
use crate::check::{Checker, WORDS};
use crate::histogram::Histogram;
use crate::options::Options;
use crate::queries::{Asked, Queries};

/// IDs of one socket.
const IDS: usize = 1 << 16;

/// Longest sleep, so that the end is not missed.
const SLEEP_MAX: Duration = Duration::from_millis(5);

/// What came of a run.
pub(crate) struct Report {
    /// Measured seconds until the last query was sent.
    pub(crate) seconds: f64,
    /// Queries sent in the measured time.
    pub(crate) sent: u64,
    /// Right replies to them.
    pub(crate) good: u64,
    /// Right replies that came within the measured time.
    pub(crate) in_time: u64,
    /// Queries that nothing came for.
    pub(crate) lost: u64,
    /// Replies that nobody waited for: doubled, late or made up.
    pub(crate) stray: u64,
    /// Wrong replies of each kind, as in [`WORDS`].
    pub(crate) wrong: [u64; WORDS.len()],
    /// The first wrong reply.
    pub(crate) first_wrong: Option<Vec<u8>>,
    /// Octets of all right replies.
    pub(crate) octets: u64,
    /// How long right replies took.
    pub(crate) took: Histogram,
}

/// A query under way.
#[derive(Clone, Copy)]
struct Flight {
    /// What was asked.
    asked: Asked,
    /// When it was sent or, on a schedule, due: nanoseconds since the start.
    at: u64,
    /// Whether an answer is awaited.
    awaited: bool,
}

/// One socket with its queries under way.
struct Lane {
    /// The socket.
    socket: UdpSocket,
    /// What is under way, by ID.
    flights: Vec<Flight>,
    /// IDs and times in the order of sending, to find what is late.
    order: VecDeque<(u16, u64)>,
    /// The next ID to be tried.
    next_id: u16,
    /// How many are under way.
    outstanding: usize,
}

/// A run under way.
pub(crate) struct Run<'a> {
    /// What it is told.
    options: &'a Options,
    /// What it asks.
    queries: Queries,
    /// What it holds replies against.
    pub(crate) checker: Checker,
    /// Its sockets.
    lanes: Vec<Lane>,
    /// Room for what comes and goes.
    batch: Batch,
    /// When it began.
    began: Instant,
    /// Nanoseconds after which queries count.
    counts_from: u64,
    /// Nanoseconds after which no more is sent.
    stops_at: u64,
    /// Queries sent in all.
    scheduled: u64,
    /// What came of it so far.
    report: Report,
}

impl<'a> Run<'a> {
    /// Opens the sockets.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn new(options: &'a Options) -> io::Result<Self> {
        let lanes = (0..options.sockets).map(|_| Lane::new(options.target)).collect::<io::Result<_>>()?;
        let counts_from = nanos(options.warmup);
        Ok(Self {
            options,
            queries: Queries::new(options),
            checker: Checker::new(options),
            lanes,
            batch: Batch::new(options.batch),
            began: Instant::now(),
            counts_from,
            stops_at: counts_from + nanos(options.measured),
            scheduled: 0,
            report: Report {
                seconds: 0.0,
                sent: 0,
                good: 0,
                in_time: 0,
                lost: 0,
                stray: 0,
                wrong: [0; WORDS.len()],
                first_wrong: None,
                octets: 0,
                took: Histogram::new(),
            },
        })
    }

    /// Asks until the time or the queries are over, and waits for the last replies.
    ///
    /// # Errors
    /// The system's, of sending.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.began = Instant::now();
        let mut ended_at = None;
        loop {
            let now = self.now();
            let sending = now < self.stops_at && self.scheduled < self.options.queries;
            if !sending {
                ended_at.get_or_insert(now);
                if self.lanes.iter().all(|lane| lane.outstanding == 0) {
                    break;
                }
            }
            let mut idle = true;
            for index in 0..self.lanes.len() {
                idle &= self.receive(index) == 0;
                self.give_up(index, now);
                if sending {
                    idle &= self.send(index)? == 0;
                }
            }
            if idle {
                self.rest(sending);
            }
        }
        let ended_at = ended_at.unwrap_or(self.stops_at).min(self.stops_at);
        self.report.seconds = Duration::from_nanos(ended_at.saturating_sub(self.counts_from)).as_secs_f64();
        Ok(())
    }

    /// What came of it.
    pub(crate) fn report(&self) -> &Report {
        &self.report
    }

    /// Nanoseconds since it began.
    fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }

    /// Sleeps until something comes, or the next query is due.
    fn rest(&self, sending: bool) {
        let due = match self.options.gap {
            Some(gap) if sending => time_of(self.scheduled, gap).saturating_sub(self.now()),
            _ => u64::MAX,
        };
        let longest = Duration::from_nanos(due).min(SLEEP_MAX);
        if !longest.is_zero() {
            wait_readable(self.lanes.iter().map(|lane| &lane.socket), longest);
        }
    }

    /// Takes the replies that are there; says how many.
    fn receive(&mut self, index: usize) -> usize {
        // An error is that of a query before: the port was closed for a moment. What got lost is counted as lost.
        let received = self.batch.receive(&self.lanes[index].socket, false).unwrap_or(0);
        let now = self.now();
        for place in 0..received {
            let reply = self.batch.datagram(place);
            let lane = &mut self.lanes[index];
            let Some(flight) = lane.land(reply) else {
                self.report.stray += 1;
                continue;
            };
            let judged = self.checker.check(reply, self.queries.question(flight.asked), self.queries.subnet(flight.asked));
            if flight.at < self.counts_from {
                continue;
            }
            match judged {
                Ok(()) => {
                    self.report.good += 1;
                    self.report.in_time += u64::from(now < self.stops_at);
                    self.report.octets += reply.len() as u64;
                    self.report.took.add(now.saturating_sub(flight.at));
                }
                Err(wrong) => {
                    self.report.wrong[wrong as usize] += 1;
                    self.report.first_wrong.get_or_insert_with(|| reply.to_vec());
                }
            }
        }
        received
    }

    /// Gives up queries that waited too long.
    fn give_up(&mut self, index: usize, now: u64) {
        let lane = &mut self.lanes[index];
        while let Some(&(id, at)) = lane.order.front() {
            let flight = &mut lane.flights[usize::from(id)];
            let landed = !flight.awaited || flight.at != at;
            if !landed {
                if now.saturating_sub(at) <= nanos(self.options.timeout) {
                    break;
                }
                flight.awaited = false;
                lane.outstanding -= 1;
                self.report.lost += u64::from(at >= self.counts_from);
            }
            lane.order.pop_front();
        }
    }

    /// Sends what is due; says how many.
    fn send(&mut self, index: usize) -> io::Result<usize> {
        let now = self.now();
        let room = (self.options.window / self.options.sockets).max(1).saturating_sub(self.lanes[index].outstanding);
        let left = usize::try_from(self.options.queries - self.scheduled).unwrap_or(usize::MAX);
        let due = self.options.gap.map_or(usize::MAX, |gap| usize::try_from(due_by(now, gap).saturating_sub(self.scheduled)).unwrap_or(usize::MAX));
        let wanted = room.min(left).min(due).min(self.batch.capacity());
        if wanted == 0 {
            return Ok(0);
        }
        let lane = &mut self.lanes[index];
        let mut ids = [0; 256];
        for (place, id) in ids.iter_mut().enumerate().take(wanted) {
            let asked = self.queries.draw();
            let at = self.options.gap.map_or(now, |gap| time_of(self.scheduled + place as u64, gap));
            *id = lane.take_off(Flight { asked, at, awaited: true });
            let (buffer, len) = self.batch.datagram_mut(place);
            *len = self.queries.write(asked, *id, buffer);
        }
        let sent = match self.batch.send(&lane.socket, 0, wanted, false) {
            Ok(sent) => sent,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused) => 0,
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => 0,
            Err(error) => return Err(error),
        };
        // What did not go was never asked: others take its place in the schedule.
        for id in &ids[sent..wanted] {
            lane.flights[usize::from(*id)].awaited = false;
        }
        for id in &ids[..sent] {
            let at = lane.flights[usize::from(*id)].at;
            lane.order.push_back((*id, at));
            self.report.sent += u64::from(at >= self.counts_from);
        }
        lane.outstanding += sent;
        self.scheduled += sent as u64;
        Ok(sent)
    }
}

impl Lane {
    /// A connected socket.
    fn new(target: SocketAddr) -> io::Result<Self> {
        let any = if target.is_ipv4() { SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)) } else { SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)) };
        let socket = UdpSocket::bind(any)?;
        socket.connect(target)?;
        enlarge_buffers(&socket);
        let none = Flight { asked: Asked { name: 0, subnet: 0 }, at: 0, awaited: false };
        Ok(Self { socket, flights: vec![none; IDS], order: VecDeque::with_capacity(IDS), next_id: 0, outstanding: 0 })
    }

    /// Finds a free ID for a query.
    fn take_off(&mut self, flight: Flight) -> u16 {
        while self.flights[usize::from(self.next_id)].awaited {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.flights[usize::from(id)] = flight;
        self.next_id = id.wrapping_add(1);
        id
    }

    /// The query that a reply is for, which is then awaited no more.
    fn land(&mut self, reply: &[u8]) -> Option<Flight> {
        let id = usize::from(u16::from_be_bytes([*reply.first()?, *reply.get(1)?]));
        let flight = &mut self.flights[id];
        if !flight.awaited {
            return None;
        }
        flight.awaited = false;
        self.outstanding -= 1;
        Some(*flight)
    }
}

/// A duration in nanoseconds; five centuries at most.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// When the query of this number is due, in nanoseconds.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a schedule of hours is exact to a nanosecond")]
fn time_of(number: u64, gap: f64) -> u64 {
    (number as f64 * gap) as u64
}

/// How many queries are due by a time in nanoseconds.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as above")]
fn due_by(now: u64, gap: f64) -> u64 {
    (now as f64 / gap) as u64 + 1
}
