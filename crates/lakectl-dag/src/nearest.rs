//! Words that were perhaps meant.

/// Returns up to three of the `known` words that are close to `word`, the closest first.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let tolerance = (word.len() / 3).max(2);
    let mut close: Vec<(usize, &str)> = known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .collect();
    close.sort_unstable();
    close.dedup();
    close.truncate(3);
    close.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Counts edits; a name without its schema (`slices` for `options.slices`) is as good as one edit.
fn distance(word: &str, candidate: &str) -> usize {
    let whole = strsim::damerau_levenshtein(word, candidate);
    match candidate.split_once('.') {
        Some((_, name)) if !word.contains('.') => {
            whole.min(strsim::damerau_levenshtein(word, name) + 1)
        }
        _ => whole,
    }
}

/// So many known words are listed when none of them is close.
const LISTED_MAX: usize = 24;

/// Returns a hint: the close words, else all of them when they are few, else those that are the least far away.
pub(crate) fn hint<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    let quote = |words: &[&str]| {
        let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        quoted.join(", ")
    };
    let close = nearest(word, known.clone());
    if !close.is_empty() {
        return Some(format!("did you mean {}?", quote(&close)));
    }
    let mut all: Vec<&str> = known.into_iter().collect();
    match all.len() {
        0 => None,
        1..=LISTED_MAX => Some(format!("known are {}", quote(&all))),
        _ => {
            all.sort_by_cached_key(|candidate| (distance(word, candidate), *candidate));
            Some(format!("the nearest are {}", quote(&all[..3])))
        }
    }
}
