//! The keeper: a small process beside the supervisor that does nothing for as long as the supervisor lives. The kernel
//! ends the workers when the supervisor is killed, but not what they have started; without the keeper, that would go on
//! until the next run ends it, and for ever if there is none.
//!
//! It reads from a pipe whose other end the supervisor alone has: first the run's cookie, then numbers, `n` for "group n
//! lives" and `-n` for "group n is about to be over". The end of the pipe is the end of the supervisor. From then on the
//! keeper ends all kin of the run, and then itself. No signal but SIGKILL and SIGSTOP reaches it: all were blocked before it began.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::process::ExitCode;
use std::time::Duration;

use crate::kin::Kin;
use crate::kin::cookie::{Cookie, LEN};
use crate::kin::process::{self, Process};

/// How long it tries to end what does not want to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the hidden subcommand `keeper` does; returns when the supervisor is gone, and all kin of its run.
pub fn run() -> ExitCode {
    // Where programs are shown by name, not "exe", as it was started.
    let _ = nix::sys::prctl::set_name(c"brigade-keeper");
    // If the supervisor is dead already, this is one of those from whom it descends, and older still.
    let since = Process::of(nix::unistd::getppid().as_raw()).map_or(0, |parent| parent.start);
    let mut pipe = io::stdin().lock();
    let mut cookie = [0; LEN];
    let cookie = pipe.read_exact(&mut cookie).ok().and_then(|()| String::from_utf8(cookie.to_vec()).ok());
    let Some(cookie) = cookie.and_then(|text| Cookie::try_from(text).ok()) else {
        eprintln!("brigade: the keeper is started by `brigade run`, not by hand");
        return ExitCode::FAILURE;
    };
    let groups = watch(&mut pipe);
    let kin = Kin { cookie, since, groups, until: process::now() };
    match kin.end_all(PATIENCE) {
        Ok(ended) if ended.left.is_empty() => ExitCode::SUCCESS,
        Ok(_) | Err(_) => ExitCode::FAILURE,
    }
}

/// Listens until the supervisor is gone. Gives the groups that lived then.
fn watch(pipe: &mut impl Read) -> BTreeSet<i32> {
    let mut groups = BTreeSet::new();
    let mut number = [0; 4];
    while pipe.read_exact(&mut number).is_ok() {
        match i32::from_ne_bytes(number) {
            group @ 1.. => groups.insert(group),
            gone => groups.remove(&gone.saturating_neg()),
        };
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_that_live_at_the_end_are_those_that_were_not_over() {
        let told: Vec<u8> = [7, 8, -7, 9, -9, 9, -1000].iter().flat_map(|number: &i32| number.to_ne_bytes()).collect();
        assert_eq!(watch(&mut &told[..]), BTreeSet::from([8, 9]));
        // What was cut off in the middle of a number was not said.
        assert_eq!(watch(&mut &told[..6]), BTreeSet::from([7]));
    }
}
