//! `${name}` in the strings of the file. Without it one pipeline file could serve one folder only.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;
use super::nearest::did_you_mean;

/// What each name stands for: the defaults of `[vars]`, and over them what `--set` says.
#[derive(Debug, Default)]
pub(super) struct Vars {
    /// `None`: the default is at fault, which has been reported; what uses it is not looked at.
    values: BTreeMap<String, Option<String>>,
    /// `[vars]` itself is at fault: every name is unknown, and that is nobody else's fault.
    unreadable: bool,
}

impl Vars {
    /// Takes the defaults from `[vars]` and then what `--set` says; a later `--set` of a name wins.
    pub(super) fn read(
        defaults: Option<&Spanned<DeValue<'_>>>,
        sets: &[(String, String)],
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut vars = Self::default();
        match defaults.map(|value| (value.get_ref(), value.span())) {
            None => {}
            Some((DeValue::Table(table), _)) => vars.declare(table, faults),
            Some((other, span)) => {
                vars.unreadable = true;
                let message = format!("vars must be a table, not {}", type_of(other));
                faults.push(Fault::at(span, message).help("write [vars] and below it lines such as dir = \".\""));
            }
        }
        for (name, value) in sets {
            vars.set(name, value, faults);
        }
        vars
    }

    fn declare(&mut self, table: &DeTable<'_>, faults: &mut Vec<Fault>) {
        for (name, value) in table {
            let name_span = name.span();
            let name = name.get_ref();
            if !is_name(name) {
                let message = format!("var {name:?} has a name that cannot stand in ${{…}}");
                faults.push(Fault::at(name_span, message).help("use letters, digits, - and _"));
            }
            let read = match value.get_ref() {
                DeValue::String(text) => match pieces(text) {
                    Ok(pieces) if !pieces.iter().any(|piece| matches!(piece, Piece::Var { .. })) => Ok(join(&pieces)),
                    Ok(_) => Err((
                        format!("var {name:?} refers to another var"),
                        "write the value itself, or $${ for a literal ${",
                    )),
                    Err(_) => Err((format!("var {name:?} holds a ${{ without its }}"), "write $${ for a literal ${")),
                },
                other => {
                    Err((format!("var {name:?} must be a string, not {}", type_of(other)), "put the value in quotes"))
                }
            };
            let read = read.map_err(|(message, help)| faults.push(Fault::at(value.span(), message).help(help))).ok();
            self.values.insert(name.to_string(), read);
        }
    }

    fn set(&mut self, name: &str, value: &str, faults: &mut Vec<Fault>) {
        if let Some(slot) = self.values.get_mut(name) {
            *slot = Some(value.to_owned());
        } else if !self.unreadable {
            let help =
                did_you_mean(name, &self.names(), || format!("declare it in the file: [vars] and {name} = \"…\""));
            faults.push(Fault::nowhere(format!("--set {name}=… names no var of the file")).help(help));
        }
    }

    fn names(&self) -> Vec<&str> {
        self.values.keys().map(String::as_str).collect()
    }

    /// The text with all values put in. `None`: something is at fault and has been reported.
    pub(super) fn put_in(
        &self,
        text: &str,
        span: Range<usize>,
        source: &str,
        faults: &mut Vec<Fault>,
    ) -> Option<String> {
        let pieces = match pieces(text) {
            Ok(pieces) => pieces,
            Err(rest) => {
                let place = place_of(rest, 2, &span, source);
                faults.push(Fault::at(place, "${ without its }").help("write $${ for a literal ${"));
                return None;
            }
        };
        let mut whole = Some(String::new());
        for piece in &pieces {
            let text = match piece {
                Piece::Text(text) => Some(*text),
                Piece::Var { name, written } => match self.values.get(*name) {
                    Some(value) => value.as_deref(),
                    None if self.unreadable => None,
                    None => {
                        let place = place_of(written, written.len(), &span, source);
                        faults.push(self.unknown(name, place));
                        None
                    }
                },
            };
            whole = whole.zip(text).map(|(whole, text)| whole + text);
        }
        whole
    }

    fn unknown(&self, name: &str, place: Range<usize>) -> Fault {
        let help = did_you_mean(name, &self.names(), || {
            format!("declare it: [vars] and {name} = \"…\"; or write $${{ for a literal ${{")
        });
        Fault::at(place, format!("unknown var ${{{name}}}")).help(help)
    }
}

/// The type of a value, with its article.
pub(super) fn type_of(value: &DeValue<'_>) -> String {
    let noun = value.type_str();
    let article = if noun.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// A stretch of a string.
enum Piece<'a> {
    /// Taken as it is.
    Text(&'a str),
    /// `${name}`.
    Var { name: &'a str, written: &'a str },
}

/// Takes a string apart. The error is what follows from a `${` that is not closed.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, &str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if at > 0 && rest.as_bytes()[at - 1] == b'$' {
            pieces.push(Piece::Text(&rest[..at - 1]));
            pieces.push(Piece::Text("${"));
            rest = &rest[at + 2..];
            continue;
        }
        pieces.push(Piece::Text(&rest[..at]));
        let end = at + rest[at..].find('}').ok_or(&rest[at..])?;
        pieces.push(Piece::Var { name: &rest[at + 2..end], written: &rest[at..=end] });
        rest = &rest[end + 1..];
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

fn join(pieces: &[Piece<'_>]) -> String {
    let texts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => *text,
        Piece::Var { written, .. } => *written,
    });
    texts.collect()
}

/// Where `written` stands in the file, its first `length` bytes; all of the string if escapes hide it.
fn place_of(written: &str, length: usize, span: &Range<usize>, source: &str) -> Range<usize> {
    let found = source.get(span.clone()).and_then(|typed| typed.find(written));
    found.map_or(span.clone(), |at| span.start + at..span.start + at + length)
}

/// The text as a string of the file that stands for it.
pub(super) fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

/// Names of pipelines, stages, queues and vars: they become folder and file names, and words of the command line.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(file: &str, sets: &[(&str, &str)]) -> (Vars, Vec<Fault>) {
        let table = DeTable::parse(file).unwrap();
        let sets: Vec<_> = sets.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut faults = Vec::new();
        let vars = Vars::read(table.get_ref().get("vars"), &sets, &mut faults);
        (vars, faults)
    }

    fn put_in(vars: &Vars, text: &str) -> Result<String, Vec<Fault>> {
        let mut faults = Vec::new();
        let put = vars.put_in(text, 0..text.len(), text, &mut faults);
        put.ok_or(faults)
    }

    #[test]
    fn values_are_put_in_and_set_overrides_defaults() {
        let (vars, faults) = vars("[vars]\na = 'x'\nb = 'y'\n", &[("b", "1"), ("b", "${a}")]);
        assert_eq!(faults, []);
        assert_eq!(put_in(&vars, "${a}-${b}/${a}$"), Ok("x-${a}/x$".to_owned()));
        assert_eq!(put_in(&vars, "plain $a {a}"), Ok("plain $a {a}".to_owned()));
    }

    #[test]
    fn a_doubled_dollar_is_a_literal_one() {
        let (vars, _) = vars("[vars]\na = 'x'\n", &[]);
        assert_eq!(put_in(&vars, "$${a} ${a}"), Ok("${a} x".to_owned()));
        for text in ["${a}", "$${a}", "$$${", "$", "a$b"] {
            assert_eq!(put_in(&vars, &escape(text)), Ok(text.to_owned()));
        }
    }

    #[test]
    fn an_unknown_var_is_shown_in_its_place() {
        let (vars, _) = vars("[vars]\ndir = 'x'\n", &[]);
        let fault = Fault::at(2..8, "unknown var ${dri}").help("did you mean \"dir\"?");
        assert_eq!(put_in(&vars, "a/${dri}/${dir}"), Err(vec![fault]));
        let open = Fault::at(1..3, "${ without its }").help("write $${ for a literal ${");
        assert_eq!(put_in(&vars, "a${dir"), Err(vec![open]));
    }

    #[test]
    fn a_set_of_an_undeclared_var_is_a_fault() {
        let (_, faults) = vars("[vars]\ndir = 'x'\n", &[("dri", "1"), ("other", "2")]);
        assert_eq!(faults[0], Fault::nowhere("--set dri=… names no var of the file").help("did you mean \"dir\"?"));
        assert_eq!(faults[1].message, "--set other=… names no var of the file");
    }

    #[test]
    fn defaults_must_be_plain_strings_under_plain_names() {
        let (vars, faults) = vars("[vars]\na = 1\nb = '${c}'\n'd e' = 'x'\nf = '$${'\n", &[]);
        let messages: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "var \"a\" must be a string, not an integer",
                "var \"b\" refers to another var",
                "var \"d e\" has a name that cannot stand in ${…}"
            ]
        );
        assert_eq!(put_in(&vars, "${a}${b}"), Err(vec![]), "what uses a default at fault is not a second fault");
        assert_eq!(put_in(&vars, "${f}"), Ok("${".to_owned()));
    }
}
