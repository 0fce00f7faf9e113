//! What is asked: names out of a list, client subnets out of a pool, drawn by a seeded generator. A query is put together when it is sent,
//! so that every name meets every subnet.

use std::collections::HashSet;

use crate::options::Options;

/// Octets of a query beside its name: header, type and class, OPT with the longest subnet.
const HEADER_OCTETS: usize = 12;

/// A query in flight says with these two what was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Which of the names.
    pub(crate) name: u32,
    /// Which of the subnets; meaningless when the queries have none.
    pub(crate) subnet: u32,
}

/// A client subnet, as its option's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subnet {
    /// Family, SOURCE, SCOPE 0 and address of ECS (RFC 7871 §6).
    octets: [u8; 11],
    /// How many of them.
    len: u8,
}

impl Subnet {
    /// The option's data.
    pub(crate) fn data(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// A subnet of the family, with the first octets of an address.
    fn new(family: u8, source: u8, address: &[u8]) -> Self {
        let mut octets = [0; 11];
        octets[1] = family;
        octets[2] = source;
        octets[4..4 + address.len()].copy_from_slice(address);
        Self { octets, len: u8::try_from(4 + address.len()).expect("at most eleven") }
    }
}

/// All that can be asked.
pub(crate) struct Queries {
    /// Question sections.
    questions: Vec<Vec<u8>>,
    /// The pool of subnets; empty when the queries have none.
    subnets: Vec<Subnet>,
    /// Whether queries have an OPT.
    edns: bool,
    /// Draws from both.
    random: Random,
}

impl Queries {
    /// What the options ask for.
    pub(crate) fn new(options: &Options) -> Self {
        let questions = options.names.iter().map(|name| question(name, options.qtype)).collect();
        let mut random = Random::new(options.seed);
        let subnets = pool(options.subnets, options.v6_percent, &mut random);
        Self { questions, edns: options.edns || !subnets.is_empty(), subnets, random }
    }

    /// Draws the next query.
    pub(crate) fn draw(&mut self) -> Asked {
        let name = self.random.below(self.questions.len());
        let subnet = if self.subnets.is_empty() { 0 } else { self.random.below(self.subnets.len()) };
        Asked { name: u32::try_from(name).expect("few names"), subnet: u32::try_from(subnet).expect("few subnets") }
    }

    /// The question section.
    pub(crate) fn question(&self, asked: Asked) -> &[u8] {
        &self.questions[asked.name as usize]
    }

    /// The client's subnet, if the queries have one.
    pub(crate) fn subnet(&self, asked: Asked) -> Option<&Subnet> {
        self.subnets.get(asked.subnet as usize)
    }

    /// Writes a query; says how long it is.
    pub(crate) fn write(&self, asked: Asked, id: u16, buffer: &mut [u8]) -> usize {
        let question = self.question(asked);
        buffer[..2].copy_from_slice(&id.to_be_bytes());
        buffer[2..HEADER_OCTETS].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(self.edns)]);
        let mut at = HEADER_OCTETS;
        let mut put = |octets: &[u8]| {
            buffer[at..at + octets.len()].copy_from_slice(octets);
            at += octets.len();
        };
        put(question);
        if self.edns {
            put(&[0, 0, 41, 4, 208, 0, 0, 0, 0]);
            match self.subnet(asked) {
                None => put(&[0, 0]),
                Some(subnet) => {
                    put(&[0, subnet.len + 4, 0, 8, 0, subnet.len]);
                    put(subnet.data());
                }
            }
        }
        at
    }
}

/// A question section: name, type, class IN.
fn question(name: &str, qtype: u16) -> Vec<u8> {
    let mut wire = Vec::with_capacity(name.len() + 6);
    for label in name.trim_end_matches('.').split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).expect("a label of at most 63 octets"));
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire.extend_from_slice(&qtype.to_be_bytes());
    wire.extend_from_slice(&[0, 1]);
    wire
}

/// So many distinct subnets: /24 of public IPv4 space, and /56 of IPv6 space that is allocated.
fn pool(count: usize, v6_percent: usize, random: &mut Random) -> Vec<Subnet> {
    let mut seen = HashSet::with_capacity(count);
    let mut pool = Vec::with_capacity(count);
    while pool.len() < count {
        let subnet = if random.below(100) < v6_percent { v6_subnet(random) } else { v4_subnet(random) };
        if seen.insert(subnet) {
            pool.push(subnet);
        }
    }
    pool
}

/// A /24 outside of private, loopback, link-local and multicast space.
fn v4_subnet(random: &mut Random) -> Subnet {
    loop {
        let [a, b, c] = [random.octet(), random.octet(), random.octet()];
        let special =
            matches!((a, b), (0 | 10 | 127 | 224.., _) | (100, 64..128) | (169, 254) | (172, 16..32) | (192, 0 | 168) | (198, 18 | 19 | 51) | (203, 0));
        if !special {
            return Subnet::new(1, 24, &[a, b, c]);
        }
    }
}

/// A /56 out of the registries' blocks.
fn v6_subnet(random: &mut Random) -> Subnet {
    const BLOCKS: [[u8; 2]; 6] = [[0x24, 0x00], [0x26, 0x00], [0x28, 0x00], [0x2a, 0x00], [0x2c, 0x00], [0x20, 0x01]];
    let [first, second] = BLOCKS[random.below(BLOCKS.len())];
    let second = second + u8::try_from(random.below(14)).expect("less than 14");
    Subnet::new(2, 56, &[first, second, random.octet(), random.octet(), random.octet(), random.octet(), random.octet()])
}

/// xorshift64*: the same queries for the same seed.
pub(crate) struct Random(u64);

impl Random {
    /// Begins with a seed; neighbours give unlike sequences.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..16 {
            random.next();
        }
        random
    }

    /// The next 64 bits.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One of the numbers below.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let drawn = ((self.next() >> 32) * bound as u64) >> 32;
        usize::try_from(drawn).expect("below the bound")
    }

    /// An octet.
    fn octet(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}
