//! As whom the processes of a stage run: names of users and groups looked up, and refused when they cannot be had.
//! Without it a misspelt user would be met at the first start, and one forgotten group would be a hole.

use std::ffi::CString;

use nix::unistd::{self, Gid, Uid};
use toml::Spanned;

use crate::config::fault::Fault;
use crate::config::nearest::did_you_mean;
use crate::config::plan::{Identity, User};
use crate::config::raw::RawLimits;
use crate::config::surroundings::Surroundings;

/// The identity, if the stage asks for one.
pub(super) fn believe(raw: &RawLimits, surroundings: &Surroundings, faults: &mut Vec<Fault>) -> Option<Identity> {
    let asked = [("user", &raw.user), ("group", &raw.group)];
    let asked: Vec<_> = asked.into_iter().filter_map(|(key, typed)| Some((key, typed.as_ref()?))).collect();
    if let Some((key, typed)) = asked.first()
        && !surroundings.is_root()
    {
        let fault =
            Fault::at(typed.span(), format!("{key} can be set by root alone, and brigade does not run as root"));
        faults.push(fault.help("run brigade as root, or remove it: workers run as whoever runs brigade"));
        return None;
    }
    if asked.is_empty() {
        return None;
    }
    let user = raw.user.as_ref().map(|typed| user(typed, faults));
    let group = raw.group.as_ref().map(|typed| group(typed, faults));
    let (user, own_gid) = match user {
        None => (None, None),
        Some(found) => found.map(|(user, gid)| (Some(user), gid))?,
    };
    let gid = match group {
        Some(found) => found?,
        None => own_gid.or_else(|| {
            let typed = raw.user.as_ref()?;
            let message = format!("user {} is in no user database, so its group is not known", typed.get_ref());
            faults.push(Fault::at(typed.span(), message).help("name its group as well: group = \"…\""));
            None
        })?,
    };
    let groups = groups_of(user.as_ref(), gid);
    Some(Identity { user, group: raw.group.as_ref().map(|typed| typed.get_ref().clone()), gid: gid.as_raw(), groups })
}

/// The user of this name or number, and its own group.
fn user(typed: &Spanned<String>, faults: &mut Vec<Fault>) -> Option<(User, Option<Gid>)> {
    let name = typed.get_ref();
    let number = name.parse::<u32>().ok().filter(|number| *number != u32::MAX);
    let found = match number {
        Some(number) => unistd::User::from_uid(Uid::from_raw(number)),
        None => unistd::User::from_name(name),
    };
    let user = |uid, entry| User { typed: name.clone(), uid, entry };
    match (found, number) {
        (Ok(Some(found)), _) => Some((user(found.uid.as_raw(), Some((found.name, found.dir))), Some(found.gid))),
        (Ok(None), Some(number)) => Some((user(number, None), None)),
        (Ok(None), None) => {
            faults.push(unknown("user", typed, "/etc/passwd"));
            None
        }
        (Err(error), _) => {
            faults
                .push(Fault::at(typed.span(), format!("user {name:?} cannot be looked up: {error}")).help("try again"));
            None
        }
    }
}

/// The group of this name or number.
fn group(typed: &Spanned<String>, faults: &mut Vec<Fault>) -> Option<Gid> {
    let name = typed.get_ref();
    if let Some(number) = name.parse::<u32>().ok().filter(|number| *number != u32::MAX) {
        return Some(Gid::from_raw(number));
    }
    match unistd::Group::from_name(name) {
        Ok(Some(group)) => Some(group.gid),
        Ok(None) => {
            faults.push(unknown("group", typed, "/etc/group"));
            None
        }
        Err(error) => {
            faults.push(
                Fault::at(typed.span(), format!("group {name:?} cannot be looked up: {error}")).help("try again"),
            );
            None
        }
    }
}

fn unknown(noun: &str, typed: &Spanned<String>, database: &str) -> Fault {
    let text = std::fs::read_to_string(database).unwrap_or_default();
    let known: Vec<&str> = text.lines().filter_map(|line| line.split(':').next()).collect();
    let help =
        did_you_mean(typed.get_ref(), &known, || format!("make it, or name one that this machine has ({database})"));
    Fault::at(typed.span(), format!("unknown {noun} {:?}", typed.get_ref())).help(help)
}

/// All groups of a process: those of its user, and the one that was asked for. Never those of the supervisor.
fn groups_of(user: Option<&User>, gid: Gid) -> Vec<u32> {
    let name = user.and_then(|user| CString::new(user.entry.as_ref()?.0.as_str()).ok());
    let groups = name.and_then(|name| unistd::getgrouplist(&name, gid).ok()).unwrap_or_else(|| vec![gid]);
    let mut groups: Vec<u32> = groups.into_iter().map(Gid::as_raw).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}
