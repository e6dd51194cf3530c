//! The known word that somebody probably meant. Looks at a bounded number of words, so that it may be asked
//! about what strangers sent.

use super::bad_input::quote;

/// How many words are looked at: a hint is not worth more time.
const WORDS_MAX: usize = 10_000;
/// Longer words are not looked at, in bytes.
const WORD_BYTES_MAX: usize = 64;
/// More known words than this are not listed in a hint.
const LISTED_MAX: usize = 20;

/// The nearest of `known` to `word`, if one is near enough to have been meant: at most a third of it is
/// different. Case costs nothing. The first one of several.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let folded = word.to_lowercase();
    let farthest = (folded.chars().count() / 3).max(1);
    known
        .into_iter()
        .take(WORDS_MAX)
        .filter(|candidate| candidate.len() <= WORD_BYTES_MAX && candidate.len().abs_diff(word.len()) <= 4 * farthest)
        .map(|candidate| (strsim::osa_distance(&folded, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= farthest)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean ...?", or else the list of what there is when that is short.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(near) = nearest(word, known.clone()) {
        return Some(format!("did you mean {}?", quote(near)));
    }
    let all: Vec<String> = known.into_iter().take(LISTED_MAX + 1).map(quote).collect();
    (1..=LISTED_MAX).contains(&all.len()).then(|| format!("known are {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_found_and_what_is_far_is_not() {
        let known = ["goals", "name", "description", "playbook"];
        for (word, expected) in [
            ("goal", Some("goals")),
            ("Goals", Some("goals")),
            ("nmae", Some("name")),
            ("descripton", Some("description")),
            ("deadline", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(hint("deadline", known).as_deref(), Some("known are `goals`, `name`, `description`, `playbook`"));
        assert_eq!(hint("x", []), None);
    }
}
