//! Writes MMDB files.
//!
//! | source | what |
//! |---|---|
//! | MaxMind DB 2.0, "Binary Search Tree Section" | nodes of two records, 24, 28 or 32 bits each |
//! | same, "Output Data Section" | a control octet with type and size, then the value |
//! | same, "IPv4 addresses in an IPv6 tree" | IPv4 is under `::/96`, and `::ffff:0:0/96` leads there as well |

use std::collections::HashMap;

use crate::geo::GeoError;
use crate::geo::steps::{Address, MAPPED, Steps};

/// Stands before the metadata.
const METADATA_MARK: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// Zeros between the tree and the data.
const SEPARATOR: usize = 16;

/// What a file says of itself.
pub(super) struct About<'a> {
    /// Its type.
    pub(super) kind: &'a str,
    /// When it was built, in seconds since the Unix epoch.
    pub(super) built: u64,
    /// For people.
    pub(super) description: &'a str,
}

/// A value of the data section.
pub(super) enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Double(f64),
    /// A number of 16 bits.
    U16(u16),
    /// A number of 32 bits.
    U32(u32),
    /// A number of 64 bits.
    U64(u64),
    /// Names and values.
    Map(Vec<(&'a str, Value<'a>)>),
    /// Several values.
    List(Vec<Value<'a>>),
}

impl Value<'_> {
    /// Appends its octets.
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                put_control(out, 2, text.len());
                out.extend(text.as_bytes());
            }
            Self::Double(number) => {
                put_control(out, 3, 8);
                out.extend(number.to_be_bytes());
            }
            Self::U16(number) => put_number(out, 5, (*number).into()),
            Self::U32(number) => put_number(out, 6, (*number).into()),
            Self::U64(number) => put_number(out, 9, *number),
            Self::Map(entries) => {
                put_control(out, 7, entries.len());
                for (key, value) in entries {
                    Value::Text(key).put(out);
                    value.put(out);
                }
            }
            Self::List(values) => {
                put_control(out, 11, values.len());
                for value in values {
                    value.put(out);
                }
            }
        }
    }
}

/// Appends the octets of type and size. Sizes are below 65,821.
fn put_control(out: &mut Vec<u8>, kind: u8, size: usize) {
    let (short, rest) = match size {
        0..29 => (size, 0..0),
        29..285 => (29, 7..8),
        _ => (30, 6..8),
    };
    let beyond = [0, 29, 285][rest.len()];
    let short = u8::try_from(short).expect("at most 30");
    if kind < 8 {
        out.push(kind << 5 | short);
    } else {
        out.extend([short, kind - 7]);
    }
    out.extend(&(size as u64).wrapping_sub(beyond).to_be_bytes()[rest]);
}

/// Appends a number in as few octets as hold it.
fn put_number(out: &mut Vec<u8>, kind: u8, number: u64) {
    let octets = number.to_be_bytes();
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    put_control(out, kind, octets.len() - zeros);
    out.extend(&octets[zeros..]);
}

/// What a record of a node leads to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Target {
    /// The value with this number; 0 is none.
    Value(u32),
    /// The node with this number, in the order they were made: those below it are made before it.
    Node(u32),
}

/// The search tree. Equal subtrees are one: half of all nodes are saved by that.
#[derive(Default)]
struct Tree {
    /// Left and right of each.
    nodes: Vec<(Target, Target)>,
    /// Number of a node.
    numbers: HashMap<(Target, Target), u32>,
}

impl Tree {
    /// The tree below a prefix, of which `steps` are those that hold somewhere in it: the first at its lowest address. `grafts` are prefixes
    /// that lead elsewhere.
    fn below<A: Address>(&mut self, steps: &[(A, u32)], low: A, len: u8, grafts: &[(A, u8, Target)]) -> Result<Target, GeoError> {
        if let Some((_, _, target)) = grafts.iter().find(|(at, graft_len, _)| *at == low && *graft_len == len) {
            return Ok(*target);
        }
        let holds_graft = grafts.iter().any(|(at, graft_len, _)| *graft_len > len && at.first_within(len) == low);
        if steps.len() == 1 && !holds_graft {
            return Ok(Target::Value(steps[0].1));
        }
        let upper = low.last_within(len + 1).next().expect("the upper half begins within the space");
        let left_end = steps.partition_point(|(start, _)| *start < upper);
        let right_start = steps.partition_point(|(start, _)| *start <= upper) - 1;
        let left = self.below(&steps[..left_end], low, len + 1, grafts)?;
        let right = self.below(&steps[right_start..], upper, len + 1, grafts)?;
        self.node(left, right)
    }

    /// The node with these records.
    fn node(&mut self, left: Target, right: Target) -> Result<Target, GeoError> {
        if left == right && matches!(left, Target::Value(_)) {
            return Ok(left);
        }
        if let Some(number) = self.numbers.get(&(left, right)) {
            return Ok(Target::Node(*number));
        }
        let number = u32::try_from(self.nodes.len()).map_err(|_| GeoError::TooLarge)?;
        self.nodes.push((left, right));
        self.numbers.insert((left, right), number);
        Ok(Target::Node(number))
    }
}

/// The octets of a file with the values of `records` at the steps that have their numbers, and how many nodes it has. Number 0 is nothing.
///
/// # Errors
/// [`GeoError::TooLarge`] when records of 32 bits do not reach over nodes and data.
pub(super) fn write(v4: &Steps<u32>, v6: &Steps<u128>, records: &[Value<'_>], about: &About<'_>) -> Result<(Vec<u8>, usize), GeoError> {
    let mut tree = Tree::default();
    let v4 = tree.below(&v4.iter().collect::<Vec<_>>(), 0, 0, &[])?;
    let root = tree.below(&v6.iter().collect::<Vec<_>>(), 0, 0, &[(0, 96, v4), (MAPPED, 96, v4)])?;
    if let Target::Value(_) = root {
        tree.nodes.push((root, root)); // one value everywhere: even so there is a first node
    }
    let mut data = Vec::new();
    let offsets: Vec<usize> = records
        .iter()
        .map(|value| {
            let offset = data.len();
            value.put(&mut data);
            offset
        })
        .collect();
    let nodes = tree.nodes.len();
    // The root is made last and must be first: numbers count from the end.
    let value_of = |target| match target {
        Target::Node(number) => nodes - 1 - number as usize,
        Target::Value(0) => nodes,
        Target::Value(number) => nodes + SEPARATOR + offsets[number as usize],
    };
    let bits: u16 = match nodes + SEPARATOR + data.len() {
        0..0x100_0000 => 24,
        0x100_0000..0x1000_0000 => 28,
        0x1000_0000..0x1_0000_0000 => 32,
        _ => return Err(GeoError::TooLarge),
    };
    let mut out = Vec::with_capacity(nodes * usize::from(bits) / 4 + data.len() + 1024);
    for (left, right) in tree.nodes.iter().rev() {
        put_node(&mut out, bits, value_of(*left) as u64, value_of(*right) as u64);
    }
    out.extend([0; SEPARATOR]);
    out.extend(data);
    out.extend(METADATA_MARK);
    metadata(about, nodes, bits).put(&mut out);
    Ok((out, nodes))
}

/// Appends a node.
fn put_node(out: &mut Vec<u8>, bits: u16, left: u64, right: u64) {
    let (left, right) = (left.to_be_bytes(), right.to_be_bytes());
    match bits {
        24 => out.extend(left[5..].iter().chain(&right[5..])),
        // 24 bits of the left, its upper 4 bits and the right's, 24 bits of the right.
        28 => out.extend(left[5..].iter().chain(&[left[4] << 4 | right[4]]).chain(&right[5..])),
        _ => out.extend(left[4..].iter().chain(&right[4..])),
    }
}

/// What the file says of itself.
fn metadata<'a>(about: &About<'a>, nodes: usize, bits: u16) -> Value<'a> {
    Value::Map(vec![
        ("binary_format_major_version", Value::U16(2)),
        ("binary_format_minor_version", Value::U16(0)),
        ("build_epoch", Value::U64(about.built)),
        ("database_type", Value::Text(about.kind)),
        ("description", Value::Map(vec![("en", Value::Text(about.description))])),
        ("ip_version", Value::U16(6)),
        ("languages", Value::List(vec![Value::Text("en")])),
        ("node_count", Value::U32(u32::try_from(nodes).expect("checked as they were made"))),
        ("record_size", Value::U16(bits)),
    ])
}

#[cfg(test)]
mod tests;
