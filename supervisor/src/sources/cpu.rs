//! How much time of the processors a process has used, as `/proc` tells it.

use std::time::Duration;

use crate::kin::process::ticks_per_second;

/// The time that all threads of a process have used, in user and in kernel mode. `None` if the process is gone.
pub fn used(pid: i32) -> Option<Duration> {
    used_in(&std::fs::read(format!("/proc/{pid}/stat")).ok()?, ticks_per_second())
}

fn used_in(stat: &[u8], ticks_per_second: u64) -> Option<Duration> {
    // The name stands in parentheses and can hold any byte.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    // Fields 14 and 15 of proc(5); the one behind the name is field 3.
    let mut fields = std::str::from_utf8(&stat[end + 1..]).ok()?.split_whitespace().skip(14 - 3);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let milliseconds = user.checked_add(system)?.checked_mul(1000)?.checked_div(ticks_per_second)?;
    Some(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_kernel_time_are_added_whatever_the_name_is() {
        let stat = b"43 (a) 1 2 b) S 7 42 42 0 -1 4194560 100 0 0 0 250 150 9 9 20 0 3 0 8151 1 1";
        assert_eq!(used_in(stat, 100), Some(Duration::from_secs(4)));
        for odd in [&b""[..], b"43 (a) S 7", b"43 (a) S 7 42 42 0 -1 4194560 100 0 0 0 x 150"] {
            assert_eq!(used_in(odd, 100), None);
        }
        assert_eq!(used_in(stat, 0), None);
    }

    #[test]
    fn a_process_that_lives_has_a_time() {
        assert!(used(i32::try_from(std::process::id()).expect("pids are small")).is_some());
        assert_eq!(used(-1), None);
    }
}
