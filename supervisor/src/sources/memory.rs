//! How much memory a process uses for itself. Without it a worker that leaks would be met by the kernel first, which kills.

/// Resident bytes of a process that it shares with nobody: its heap and stacks, but not the queues, its program or other
/// files. `None` if the process is gone.
pub fn own(pid: i32) -> Option<u64> {
    own_in(&std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?, rustix::param::page_size())
}

/// The numbers are pages: all, resident, resident and shared, …
fn own_in(statm: &str, page: usize) -> Option<u64> {
    let mut numbers = statm.split(' ').skip(1).map(|number| number.parse::<u64>().ok());
    let (resident, shared) = (numbers.next()??, numbers.next()??);
    resident.saturating_sub(shared).checked_mul(page as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_does_not_count() {
        assert_eq!(own_in("1000 300 100 5 0 200 0\n", 4096), Some(200 * 4096));
        assert_eq!(own_in("1000 100 300 5 0 200 0\n", 4096), Some(0));
        for odd in ["", "1 2", "1 x 3"] {
            assert_eq!(own_in(odd, 4096), None);
        }
    }

    #[test]
    fn a_process_that_lives_uses_some() {
        let pid = i32::try_from(std::process::id()).expect("pids are small");
        assert!(own(pid).is_some_and(|bytes| bytes > 4096));
        assert_eq!(own(-1), None);
    }
}
