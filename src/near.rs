//! "Did you mean …?": the name that was probably meant.
//!
//! Pure, and bounded: countless mistakes among countless names are told as quickly as few.

use std::cell::Cell;

/// Looks for what was probably meant, for all mistakes of one load together: no longer than [`STEPS_MAX`].
#[derive(Debug, Default)]
pub struct Hints {
    /// Steps taken so far.
    steps: Cell<usize>,
}

/// Most steps of one load. Reading a candidate takes one for each character, comparing it one for each pair: enough for a thousand unknown
/// regions, each compared with those of all known clouds.
const STEPS_MAX: usize = 20_000_000;

/// Characters of the shortest word of which the rest may be guessed.
const BEGIN_MIN: usize = 3;

/// Characters of the longest word that hints are looked for.
const WORD_MAX: usize = 255;

impl Hints {
    /// The candidate that `word` was probably meant to be, as a hint.
    #[must_use]
    pub fn did_you_mean<'a>(&self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
        self.nearest(word, candidates).map(|near| format!("did you mean \"{near}\"?"))
    }

    /// The nearest candidate by edit distance; if all are too far, more than a third of the word and more than one edit, the only one that begins with the word, which
    /// has three characters at least. None, too, when the steps are used up.
    #[must_use]
    pub fn nearest<'a>(&self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let word: Vec<char> = word.chars().take(WORD_MAX + 1).collect();
        if word.len() > WORD_MAX {
            return None;
        }
        let most = (word.len() / 3).max(1);
        let mut near = None;
        let (mut begun, mut begins) = (None, 0);
        for candidate in candidates {
            let is_cut_off = word.len() >= BEGIN_MIN && candidate.chars().zip(&word).take_while(|(one, other)| one == *other).count() == word.len();
            if is_cut_off && begun != Some(candidate) {
                (begun, begins) = (Some(candidate), begins + 1);
            }
            // What is longer than this is too far, whatever it says.
            let other: Vec<char> = candidate.chars().take(word.len() + most + 1).collect();
            let comparable = word.len().abs_diff(other.len()) <= most;
            let steps = self.steps.get() + 1 + other.len() + if comparable { word.len() * other.len() } else { 0 };
            self.steps.set(steps);
            if steps > STEPS_MAX {
                return None;
            }
            if comparable && let Some(edits) = distance(&word, &other, most) {
                near = Some(near.map_or((edits, candidate), |nearest: (usize, &str)| nearest.min((edits, candidate))));
            }
        }
        near.map(|(_, candidate)| candidate).or(begun.filter(|_| begins == 1))
    }
}

/// What was probably meant, as the end of an error's text.
#[must_use]
pub fn or_near(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

/// Edits (insert, delete, replace, swap neighbours) that turn one word into the other; `None` when more than `most`.
fn distance(one: &[char], other: &[char], most: usize) -> Option<usize> {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for row in 1..=one.len() {
        let mut current = vec![row];
        for column in 1..=other.len() {
            let same = one[row - 1] == other[column - 1];
            let mut least = (last[column] + 1).min(current[column - 1] + 1).min(last[column - 1] + usize::from(!same));
            if row > 1 && column > 1 && one[row - 1] == other[column - 2] && one[row - 2] == other[column - 1] {
                least = least.min(before_last[column - 2] + 1);
            }
            current.push(least);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().filter(|&edits| edits <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_is_recognised_and_another_word_is_not() {
        let hints = Hints::default();
        let regions = ["aws-eu-west-1", "aws-us-east-1", "gcp-europe-west3"];
        assert_eq!(hints.nearest("aws-eu-wset-1", regions), Some("aws-eu-west-1"));
        assert_eq!(hints.nearest("ttl", ["tll", "tier"]), Some("tll"));
        assert_eq!(hints.nearest("moon", regions), None);
        assert_eq!(hints.nearest("gcp", regions), Some("gcp-europe-west3"), "cut off");
        assert_eq!(hints.nearest("aws", ["aws-eu-west-1", "aws-eu-west-1"]), Some("aws-eu-west-1"));
        assert_eq!((hints.nearest("aws", regions), hints.nearest("gc", regions)), (None, None), "two begin so, and two letters begin a lot");
        assert_eq!(hints.nearest("spread", ["spreads", "sprea", "spreed"]), Some("sprea"), "of the equally near, the first by name");
        assert_eq!(hints.did_you_mean("spraed", ["spread"]).as_deref(), Some("did you mean \"spread\"?"));
        assert_eq!(hints.nearest(&"a".repeat(256), [&*"a".repeat(256)]), None, "nobody mistypes such a word");
    }

    #[test]
    fn countless_names_and_mistakes_end_the_search_for_hints() {
        let hints = Hints::default();
        assert_eq!(hints.nearest("aws-eu-wset-1", std::iter::repeat("aws-eu-west-2")), None, "the names never end");
        assert_eq!(hints.nearest("ttl", ["tll"]), None, "the steps are those of all mistakes together");
        let hints = Hints::default();
        assert_eq!(hints.nearest("ttl", std::iter::repeat("a name of another length")), None);
    }
}
