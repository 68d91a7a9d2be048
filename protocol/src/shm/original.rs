//! Tells a forked copy of a process from the process itself. A copy inherits every mapping and every handle of the process,
//! and with them the numbers by which the process owns slots of queues. It must not use them.
//!
//! The kernel clears the mark in each copy (`MADV_WIPEONFORK`), whether the copy was made by `fork` or by a bare `clone`. A
//! kernel that cannot do so (before 4.14), or one whose pages are larger than 4 KiB, makes no such promise: there a handler of
//! the C library (`pthread_atfork`) clears the mark, which sees every `fork` of the C library but no bare `clone`. A child that
//! shares the memory until it executes another program (`vfork`, `posix_spawn`) is no copy.
#![expect(unsafe_code, reason = "advice to the kernel about a page of this program")]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const PAGE: usize = 4096;

/// A page of its own: the kernel clears nothing smaller.
#[repr(C, align(4096))]
struct Mark {
    /// 1 in the process that was marked, 0 in its copies, and before it is marked.
    word: AtomicU32,
    _rest: [AtomicU32; PAGE / 4 - 1],
}

static MARK: Mark = Mark { word: AtomicU32::new(0), _rest: [const { AtomicU32::new(0) }; PAGE / 4 - 1] };

/// Whether this process, or the one that it is a copy of, was marked. Copies inherit it.
static IS_MARKED: AtomicBool = AtomicBool::new(false);

/// Whether this process is a forked copy of one that maps shared memory. One load and a branch.
#[inline]
pub fn is_forked_copy() -> bool {
    // Relaxed: the word changes once, before this process has anything to use.
    MARK.word.load(Ordering::Relaxed) == 0 && is_marked()
}

#[cold]
#[inline(never)]
fn is_marked() -> bool {
    IS_MARKED.load(Ordering::Relaxed)
}

/// From now on copies of this process are recognised. A copy stays one.
pub(super) fn mark() {
    if is_marked() {
        return;
    }
    let page = std::ptr::from_ref(&MARK).cast_mut().cast();
    // SAFETY: the page is this static's alone, and in this process its content stays.
    if unsafe { libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) } != 0 {
        // It can only fail for lack of memory: then copies are not recognised.
        // SAFETY: the handler stores to an atomic.
        unsafe { libc::pthread_atfork(None, None, Some(clear)) };
    }
    MARK.word.store(1, Ordering::Relaxed);
    IS_MARKED.store(true, Ordering::Relaxed);
}

unsafe extern "C" fn clear() {
    MARK.word.store(0, Ordering::Relaxed);
}

#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests {
    use super::*;

    /// What `look` says in a forked copy of this process.
    fn in_a_copy(look: impl FnOnce() -> bool) -> bool {
        // SAFETY: the copy does nothing but ask and end: no lock, no allocation.
        match unsafe { libc::fork() } {
            -1 => panic!("no copy can be made: {}", std::io::Error::last_os_error()),
            0 => {
                let code = i32::from(look());
                // SAFETY: ends the copy at once.
                unsafe { libc::_exit(code) }
            }
            pid => {
                let mut status = 0;
                // SAFETY: writes to a variable of ours.
                assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
                assert!(libc::WIFEXITED(status), "the copy ended by {status}");
                libc::WEXITSTATUS(status) == 1
            }
        }
    }

    #[test]
    fn a_copy_is_recognised_and_the_process_itself_is_none() {
        mark();
        assert!(!is_forked_copy());
        assert!(in_a_copy(is_forked_copy));
        assert!(in_a_copy(|| {
            mark();
            is_forked_copy()
        }));
        assert!(!is_forked_copy());
    }

    #[test]
    fn a_copy_that_was_made_without_the_c_library_is_recognised_too() {
        mark();
        // SAFETY: as `fork`, but no handler of the C library runs.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        if pid == 0 {
            let code = i32::from(!is_forked_copy());
            // SAFETY: ends the copy at once.
            unsafe { libc::_exit(code) }
        }
        let mut status = 0;
        // SAFETY: writes to a variable of ours.
        let waited = unsafe { libc::waitpid(i32::try_from(pid).expect("a process"), &raw mut status, 0) };
        assert!(waited > 0 && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status}");
    }
}
