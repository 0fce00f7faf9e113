//! Recorded clients: a file of prefixes and weights, as a query log has them → who asks, or every mistake at once.
//!
//! A line is a prefix, or an address, and behind a comma or a space a weight, such as the number of its queries. What follows `#` is a comment.

use std::ops::Range;
use std::path::Path;

use ipnet::{IpNet, Ipv4Net};

use super::diagnostic::{Code, Finding, Findings};
use super::leaf::prefix;
use super::load::read;
use super::source::{Place, SourceFile};
use super::{Failure, unreadable};
use crate::demand::Recorded;
use crate::limits::{RECORDING_LINES_MAX, RECORDING_OCTETS_MAX};

/// Reads a recording.
///
/// # Errors
/// Every mistake in it; that it cannot be read among them.
pub fn read_recording(path: &Path) -> Result<Box<[Recorded]>, Failure> {
    let findings = Findings::default();
    let text = read(path, RECORDING_OCTETS_MAX);
    let recorded = match &text {
        Ok(text) => entries(&findings, 0, text),
        Err(why) => {
            findings.add(unreadable(path, why));
            Box::default()
        }
    };
    if !findings.has_error() {
        return Ok(recorded);
    }
    let sources = vec![SourceFile { name: path.display().to_string().into(), text: text.unwrap_or_default().into() }];
    let (diagnostics, more) = findings.finish(&sources);
    Err(Failure { diagnostics, more, sources })
}

/// The entries of a recording, which is the file of this number.
pub(super) fn entries(findings: &Findings, file: u32, text: &str) -> Box<[Recorded]> {
    let mut recorded = Vec::new();
    let (mut start, mut lines) = (0, 0);
    for line in text.split_inclusive('\n') {
        let words: Vec<(Range<usize>, &str)> = words(line, start).collect();
        start += line.len();
        let Some((place, _)) = words.first() else { continue };
        lines += 1;
        if lines > RECORDING_LINES_MAX {
            let message = format!("the recording has more than the limit of {RECORDING_LINES_MAX} lines");
            let finding = Finding::at(Code::TooMany, Place::new(file, place.clone()), message).label("too many from here on");
            findings.add(finding.help("keep the largest, or add up what belongs together under shorter prefixes"));
            break;
        }
        match entry(&words) {
            Ok(entry) => recorded.push(entry),
            Err(wrong) => findings.add(wrong.at(file)),
        }
    }
    if lines == 0 {
        findings.add(Finding::at(Code::WrongValue, Place::new(file, 0..0), "the recording names no clients").label(EXPECTED));
    }
    recorded.into()
}

/// What a line has to be, as it continues a label.
const EXPECTED: &str = "needs lines of a prefix and a weight, as in \"203.0.113.0/24 1200\"";

/// The words of a line that begins at this octet, and where they stand.
fn words(line: &str, start: usize) -> impl Iterator<Item = (Range<usize>, &str)> {
    let said = line.split('#').next().unwrap_or_default();
    // Whatever separates is one octet long.
    let pieces = said.split(|character: char| character == ',' || character.is_ascii_whitespace());
    let placed = pieces.scan(start, |at, word| {
        let place = *at..*at + word.len();
        *at = place.end + 1;
        Some((place, word))
    });
    placed.filter(|(_, word)| !word.is_empty())
}

/// What is wrong with a line.
struct Wrong {
    /// Where.
    place: Range<usize>,
    /// In one sentence.
    message: String,
    /// At that very place.
    label: String,
    /// What to do.
    help: Option<String>,
}

impl Wrong {
    /// As a finding in this file.
    fn at(self, file: u32) -> Finding {
        Finding::at(Code::WrongValue, Place::new(file, self.place), self.message).label(self.label).maybe_help(self.help)
    }
}

/// Reads the words of a line, of which there is one at least.
fn entry(words: &[(Range<usize>, &str)]) -> Result<Recorded, Wrong> {
    let wrong = |(place, _): &(Range<usize>, &str), message: String, label: &str| Wrong { place: place.clone(), message, label: label.into(), help: None };
    let (first, second) = (&words[0], words.get(1));
    let prefix = prefix(first.1).map_err(|label| {
        let help = match second {
            // As `uniq -c` writes it.
            Some((_, other)) if first.1.parse::<u64>().is_ok() && prefix(other).is_ok() => Some(format!("the prefix comes first: \"{other} {}\"", first.1)),
            Some((_, other)) if other.parse::<u64>().is_err() => Some("a heading is a comment: begin it with `#`".to_owned()),
            _ => None,
        };
        Wrong { help, ..wrong(first, "the recording: a line must begin with a prefix such as \"203.0.113.0/24\", or an address".to_owned(), &label) }
    })?;
    let Some(second) = second else {
        return Err(wrong(first, format!("the recording: {prefix} has no weight"), "needs a number behind it, such as that of its queries"));
    };
    let weight = second.1.parse::<u64>().ok().filter(|weight| *weight > 0);
    let weight = weight.ok_or_else(|| wrong(second, format!("the recording: a weight must be a whole number from 1 to {}", u64::MAX), "no such number"))?;
    match words.get(2) {
        None => Ok(Recorded { prefix: unmapped(prefix), weight }),
        Some(third) => Err(wrong(third, "the recording: a line is a prefix and a weight, and nothing else".to_owned(), "nobody reads this")),
    }
}

/// IPv4 as such: sockets that take both families log it mapped into IPv6 (RFC 4291 §2.5.5.2).
fn unmapped(prefix: IpNet) -> IpNet {
    let IpNet::V6(long) = prefix else { return prefix };
    let short = long.addr().to_ipv4_mapped().zip(long.prefix_len().checked_sub(96));
    short.and_then(|(address, len)| Ipv4Net::new(address, len).ok()).map_or(prefix, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries of a text as `prefix weight`, or its mistakes as `line:column message: label; hint`.
    fn read(text: &str) -> Result<Vec<String>, Vec<String>> {
        let findings = Findings::default();
        let entries = entries(&findings, 0, text);
        let sources = [SourceFile { name: "mix.csv".into(), text: text.into() }];
        let is_wrong = findings.has_error();
        let told = findings.finish(&sources).0.iter().map(ToString::to_string).collect();
        if is_wrong { Err(told) } else { Ok(entries.iter().map(|entry| format!("{} {}", entry.prefix, entry.weight)).collect()) }
    }

    #[test]
    fn a_line_is_a_prefix_or_an_address_and_a_weight_with_a_comma_or_a_space_between() {
        let text = "# clients of May\n203.0.113.0/24 1200\n\n 198.51.100.7,3 # a resolver\r\n2001:db8::/48\t18446744073709551615\n2001:db8::1, 5";
        assert_eq!(read(text).unwrap(), ["203.0.113.0/24 1200", "198.51.100.7/32 3", "2001:db8::/48 18446744073709551615", "2001:db8::1/128 5"]);
    }

    #[test]
    fn ipv4_that_is_mapped_into_ipv6_is_ipv4() {
        assert_eq!(read("::ffff:192.0.2.1 1\n::ffff:198.51.100.0/120 2\n::/0 3").unwrap(), ["192.0.2.1/32 1", "198.51.100.0/24 2", "::/0 3"]);
    }

    #[test]
    fn every_mistake_is_told_with_line_and_column_and_what_to_do() {
        let text = "prefix,queries\n 1200 203.0.113.0/24\n203.0.113.7/24 1\n203.0.113.0/24\n203.0.113.0/24 0\n203.0.113.0/24,1.5\n203.0.113.0/24 5 x\nä 5\n";
        let begin = "error: the recording: a line must begin with a prefix such as \"203.0.113.0/24\", or an address";
        let weight = "error: the recording: a weight must be a whole number from 1 to 18446744073709551615: no such number [wrong-value]";
        let told = read(text).unwrap_err();
        assert_eq!(
            told,
            [
                format!("mix.csv:1:1: {begin}: no prefix; a heading is a comment: begin it with `#` [wrong-value]"),
                format!("mix.csv:2:2: {begin}: no prefix; the prefix comes first: \"203.0.113.0/24 1200\" [wrong-value]"),
                format!("mix.csv:3:1: {begin}: has bits behind its length; did you mean \"203.0.113.0/24\"? [wrong-value]"),
                "mix.csv:4:1: error: the recording: 203.0.113.0/24 has no weight: needs a number behind it, such as that of its queries [wrong-value]"
                    .to_owned(),
                format!("mix.csv:5:16: {weight}"),
                format!("mix.csv:6:16: {weight}"),
                "mix.csv:7:18: error: the recording: a line is a prefix and a weight, and nothing else: nobody reads this [wrong-value]".to_owned(),
                format!("mix.csv:8:1: {begin}: no prefix [wrong-value]"),
            ]
        );
    }

    #[test]
    fn a_recording_of_nothing_or_of_too_much_is_a_mistake() {
        let told = read("# nobody\n\n").unwrap_err();
        assert!(told[0].starts_with("mix.csv:1:1: error: the recording names no clients: needs lines of a prefix"), "{told:?}");
        let full = "192.0.2.0/24 1\n".repeat(RECORDING_LINES_MAX);
        assert_eq!(read(&full).unwrap().len(), RECORDING_LINES_MAX);
        let told = read(&format!("{full}192.0.2.0/24 1\nwhatever\n")).unwrap_err();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("mix.csv:{}:1: error: the recording has more than the limit", RECORDING_LINES_MAX + 1)), "{told:?}");
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_that_names_it() {
        let failure = read_recording(Path::new("nowhere/mix.csv")).unwrap_err();
        assert!(failure.diagnostics[0].to_string().contains("nowhere/mix.csv cannot be read"), "{failure:?}");
    }
}
