//! What is believed of the exits of a stage. Without this check a code could be a good end and a hopeless one at once.

use std::collections::BTreeSet;

use toml::Spanned;

use crate::config::fault::Fault;
use crate::config::nearest::did_you_mean;
use crate::config::plan::{ExitCode, Exits};
use crate::config::raw::RawStage;
use crate::config::signals;
use crate::config::table::NumberOrText;

/// What the exits mean: what the file names, beside what always means the same.
pub(super) fn believe(raw: &RawStage, faults: &mut Vec<Fault>) -> Exits {
    let mut exits = Exits::default();
    add(raw.success_codes.as_ref(), "success_codes", &mut exits.success, faults);
    add(raw.fatal_codes.as_ref(), "fatal_codes", &mut exits.fatal, faults);
    let lists = raw.success_codes.iter().chain(&raw.fatal_codes).flat_map(|list| list.get_ref());
    let mut told = BTreeSet::new();
    for typed in lists {
        let Some(code) = code(typed.get_ref()) else { continue };
        if exits.success.contains(&code) && exits.fatal.contains(&code) && told.insert(code) {
            let message = format!("{} would be a success and fatal at once", show(code));
            let help = "name it in one of success_codes and fatal_codes; 0 always is a success, 78, 126 and 127 always \
                        are fatal";
            faults.push(Fault::at(typed.span(), message).help(help));
        }
    }
    exits
}

fn add(
    list: Option<&Spanned<Vec<Spanned<NumberOrText>>>>,
    key: &str,
    codes: &mut BTreeSet<ExitCode>,
    faults: &mut Vec<Fault>,
) {
    let mut named = BTreeSet::new();
    for typed in list.into_iter().flat_map(|list| list.get_ref()) {
        match code(typed.get_ref()) {
            Some(code) if !named.insert(code) => {
                let message = format!("{} is twice in {key}", show(code));
                faults.push(Fault::at(typed.span(), message).help("name it once"));
            }
            Some(code) => _ = codes.insert(code),
            None => faults.push(unknown(typed, key)),
        }
    }
}

fn code(typed: &NumberOrText) -> Option<ExitCode> {
    match typed {
        NumberOrText::Number(number) => u8::try_from(*number).ok().map(ExitCode::Code),
        NumberOrText::Text(name) => signals::ending(name).map(ExitCode::Signal),
    }
}

fn unknown(typed: &Spanned<NumberOrText>, key: &str) -> Fault {
    match typed.get_ref() {
        NumberOrText::Number(number) => {
            let message = format!("{key} holds {number}, which is no exit code");
            Fault::at(typed.span(), message).help("an exit code is 0 to 255")
        }
        NumberOrText::Text(name) => {
            let message = format!("{key} holds {name:?}, which is no signal that ends a process");
            let help = match name.parse::<u8>() {
                Ok(number) => format!("write {number} without quotes"),
                Err(_) => {
                    let names = signals::endings();
                    let else_say = || format!("it is a number from 0 to 255 or one of {}", names.join(", "));
                    did_you_mean(name.trim_start_matches("SIG"), &names, else_say)
                }
            };
            Fault::at(typed.span(), message).help(help)
        }
    }
}

fn show(code: ExitCode) -> String {
    match code {
        ExitCode::Code(code) => format!("exit code {code}"),
        ExitCode::Signal(number) => format!("signal {}", signals::ending_name(number).unwrap_or("?")),
    }
}
