//! Words of a master file or of one record's data: quotes, parentheses, comments, escapes (RFC 1035 §5.1).

use std::ops::Range;

use super::rdata::RdataError;

/// A word: octets of the text, quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Where it stands.
    pub(super) span: Range<usize>,
    /// Whether it is wholly within quotes.
    pub(super) quoted: bool,
    /// Whether a part of it is, as in `alpn="h2"`.
    pub(super) has_quotes: bool,
}

impl Word {
    /// Its octets as they were written.
    pub(super) fn raw<'t>(&self, text: &'t str) -> &'t [u8] {
        &text.as_bytes()[self.span.clone()]
    }
}

/// A logical line: what is within parentheses counts as one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whether it begins with white space: its owner is the last one stated.
    pub(super) blank: bool,
    /// Its words.
    pub(super) words: Vec<Word>,
}

/// Which signs have a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Those of a master file.
    Master,
    /// Only quotes and escapes: a string of a TOML file needs neither comments nor parentheses, and TXT data is full of `;`.
    Value,
}

/// The logical lines of a text.
#[derive(Clone, Debug)]
pub(super) struct Entries<'t> {
    /// The text.
    text: &'t [u8],
    /// Where the next line begins.
    at: usize,
    /// Which signs have a meaning.
    syntax: Syntax,
}

impl<'t> Entries<'t> {
    /// The lines of `text`.
    pub(super) fn new(text: &'t str, syntax: Syntax) -> Self {
        Self { text: text.as_bytes(), at: 0, syntax }
    }

    /// Reads one logical line. After a mistake the reading goes on with the next line.
    fn entry(&mut self) -> Result<Entry, RdataError> {
        let mut entry = Entry { blank: matches!(self.text[self.at], b' ' | b'\t' | b'\r'), words: Vec::new() };
        let mut open: Vec<usize> = Vec::new();
        let master = self.syntax == Syntax::Master;
        while let Some(&octet) = self.text.get(self.at) {
            match octet {
                b'\n' => {
                    self.at += 1;
                    if master && open.is_empty() {
                        return Ok(entry);
                    }
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b';' if master => self.skip_line(),
                b'(' if master => {
                    open.push(self.at);
                    self.at += 1;
                }
                b')' if master => {
                    self.at += 1;
                    if open.pop().is_none() {
                        return Err(RdataError::new(self.at - 1..self.at, "this closes a parenthesis that was never opened"));
                    }
                }
                _ => entry.words.push(self.word()?),
            }
        }
        match open.first() {
            Some(&paren) => Err(RdataError::new(paren..paren + 1, "this parenthesis is never closed").help("the rest of the file has not been read")),
            None => Ok(entry),
        }
    }

    /// Reads one word.
    fn word(&mut self) -> Result<Word, RdataError> {
        let start = self.at;
        if self.text[start] == b'"' {
            self.quoted()?;
            return Ok(Word { span: start..self.at, quoted: true, has_quotes: true });
        }
        let mut has_quotes = false;
        while let Some(&octet) = self.text.get(self.at) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' => break,
                b';' | b'(' | b')' if self.syntax == Syntax::Master => break,
                b'"' => {
                    has_quotes = true;
                    self.quoted()?;
                }
                b'\\' => self.escape()?,
                _ => self.at += 1,
            }
        }
        Ok(Word { span: start..self.at, quoted: false, has_quotes })
    }

    /// Goes over a quoted part, which ends on the line that it begins on: a forgotten quote would else swallow the rest of the file.
    fn quoted(&mut self) -> Result<(), RdataError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                None | Some(b'\n') => {
                    return Err(
                        RdataError::new(start..self.at, "this quote is never closed").help("quoted text ends on its line; write `\\010` for a line feed")
                    );
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// Goes over `\` and the octet after it.
    fn escape(&mut self) -> Result<(), RdataError> {
        match self.text.get(self.at + 1) {
            None | Some(b'\n') => Err(RdataError::new(self.at..self.at + 1, "nothing follows this backslash")),
            Some(_) => {
                self.at += 2;
                Ok(())
            }
        }
    }

    /// Goes to the end of the line.
    fn skip_line(&mut self) {
        while self.text.get(self.at).is_some_and(|&octet| octet != b'\n') {
            self.at += 1;
        }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, RdataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.text.len() {
            return None;
        }
        let entry = self.entry();
        if entry.is_err() {
            self.skip_line();
            self.at += 1;
        }
        Some(entry)
    }
}

/// The octets that `raw` stands for: quotes taken away, escapes undone; `None` when an escape is neither `\X` nor `\DDD` up to 255.
pub(super) fn unescape(raw: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match octet {
            b'"' => {}
            b'\\' => match after {
                [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', tail @ ..] => {
                    let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
                    octets.push(u8::try_from(value).ok()?);
                    rest = tail;
                }
                [b'0'..=b'9', ..] | [] => return None,
                [other, tail @ ..] => {
                    octets.push(*other);
                    rest = tail;
                }
            },
            other => octets.push(other),
        }
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of each line, or the message.
    fn words(text: &str, syntax: Syntax) -> Vec<Result<Vec<&str>, String>> {
        Entries::new(text, syntax).map(|entry| entry.map(|e| e.words.iter().map(|w| &text[w.span.clone()]).collect()).map_err(|e| e.message)).collect()
    }

    #[test]
    fn parentheses_comments_and_quotes_make_logical_lines() {
        let text = "a IN ( 1 ; one )\n 2 ) 3 ; rest\n\"x ; y\" \"\\\"\"\nlast";
        let lines = words(text, Syntax::Master);
        assert_eq!(lines, vec![Ok(vec!["a", "IN", "1", "2", "3"]), Ok(vec!["\"x ; y\"", "\"\\\"\""]), Ok(vec!["last"])]);
    }

    #[test]
    fn a_mistake_spoils_its_own_line_only() {
        let lines = words("a )\nb \"c\nd\\\ne", Syntax::Master);
        assert_eq!(lines.len(), 4);
        assert!(lines[..3].iter().all(Result::is_err));
        assert_eq!(lines[3], Ok(vec!["e"]));
    }

    #[test]
    fn a_parenthesis_left_open_is_reported_where_it_opens() {
        let errors: Vec<_> = Entries::new("ok\nx ( 1\n2\n", Syntax::Master).filter_map(Result::err).collect();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].span, 5..6);
    }

    #[test]
    fn values_of_toml_know_neither_comments_nor_parentheses() {
        assert_eq!(words("0 issue ca.example;x (y)", Syntax::Value), vec![Ok(vec!["0", "issue", "ca.example;x", "(y)"])]);
    }

    #[test]
    fn rfc1035_5_1_escapes_are_decimal_octets() {
        assert_eq!(unescape(br#""a\200\"\\b""#), Some(b"a\xc8\"\\b".to_vec()));
        assert_eq!(unescape(br"\256"), None);
        assert_eq!(unescape(br"\25"), None);
    }
}
