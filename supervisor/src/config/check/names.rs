//! Lists of names of the file. Without it each list would complain of a slip in words of its own.

use toml::Spanned;

use crate::config::fault::Fault;
use crate::config::nearest::{did_you_mean, nearest};

/// What the names in a list stand for: indices into `known`. `noun` is what is named, `key` the list. One that is nearly
/// right counts as what was meant, so that one slip is one fault.
pub(super) fn find(
    list: Option<&[Spanned<String>]>,
    key: &str,
    noun: &str,
    known: &[&str],
    faults: &mut Vec<Fault>,
) -> Vec<usize> {
    let mut found = Vec::new();
    for typed in list.into_iter().flatten() {
        let name = typed.get_ref().as_str();
        let mut ix = known.iter().position(|known| *known == name);
        if ix.is_none() {
            let help = did_you_mean(name, known, || format!("declare it with a line [{noun}s.{name}]"));
            faults.push(Fault::at(typed.span(), format!("unknown {noun} {name:?} in {key}")).help(help));
            let meant = nearest(name, known.iter().copied());
            ix = known.iter().position(|known| Some(*known) == meant).filter(|ix| !found.contains(ix));
        } else if ix.is_some_and(|ix| found.contains(&ix)) {
            faults.push(Fault::at(typed.span(), format!("{noun} {name:?} is twice in {key}")).help("name it once"));
            continue;
        }
        found.extend(ix);
    }
    found
}

/// One of several words; the first is the default.
pub(super) fn word<T: Copy>(
    given: Option<&Spanned<String>>,
    key: &str,
    words: &[(&str, T)],
    faults: &mut Vec<Fault>,
) -> T {
    let Some(given) = given else { return words[0].1 };
    if let Some((_, meaning)) = words.iter().find(|(word, _)| word == given.get_ref()) {
        return *meaning;
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let help = did_you_mean(given.get_ref(), &known, || format!("it is one of {}", known.join(", ")));
    faults.push(Fault::at(given.span(), format!("{key} cannot be {:?}", given.get_ref())).help(help));
    words[0].1
}
