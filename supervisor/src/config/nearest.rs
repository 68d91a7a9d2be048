//! "Did you mean": without it a misspelt key costs a walk through the manual.

/// The candidate that was most likely meant: at most a third of the letters are different (at least one may be);
/// swapped neighbours count as one difference. `None` if none is that near.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbour to get from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i; to.len() + 1];
        for j in 1..=to.len() {
            let replaced = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

/// The help of a fault about an unknown word: what was meant, or else what there is.
pub(super) fn did_you_mean(word: &str, known: &[&str], else_say: impl FnOnce() -> String) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => else_say(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_word_is_found() {
        let known = ["capacity", "item_bytes", "max_item_bytes", "max_deliveries"];
        assert_eq!(nearest("capcity", known), Some("capacity"));
        assert_eq!(nearest("capactiy", known), Some("capacity"));
        assert_eq!(nearest("Capacity", known), Some("capacity"));
        assert_eq!(nearest("item_byte", known), Some("item_bytes"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", ["y", "z"]), None);
    }

    #[test]
    fn swapped_neighbours_are_one_difference() {
        assert_eq!(distance("hash", "hsah"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
