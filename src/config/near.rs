//! "Did you mean …?"

/// The candidate that `word` was probably meant to be, as a hint.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean \"{near}\"?"))
}

/// The nearest candidate by edit distance; none when all are too far: more than a third of the word, at least one edit.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (word.chars().count() / 3).max(1);
    let near = candidates.into_iter().filter_map(|candidate| Some((distance(word, candidate, most)?, candidate)));
    near.min().map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap neighbours) that turn one word into the other; `None` when more than `most`.
fn distance(one: &str, other: &str, most: usize) -> Option<usize> {
    let one: Vec<char> = one.chars().collect();
    let other: Vec<char> = other.chars().collect();
    if one.len().abs_diff(other.len()) > most || one.len() > 255 {
        return None;
    }
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
        let regions = ["aws-eu-west-1", "aws-us-east-1", "gcp-europe-west3"];
        assert_eq!(nearest("aws-eu-wset-1", regions), Some("aws-eu-west-1"));
        assert_eq!(nearest("ttl", ["tll", "tier"]), Some("tll"));
        assert_eq!(nearest("moon", regions), None);
        assert_eq!(did_you_mean("spraed", ["spread"]).as_deref(), Some("did you mean \"spread\"?"));
    }
}
