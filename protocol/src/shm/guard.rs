//! What happens when a file is cut short while it is mapped: without this, the kernel ends the process (SIGBUS) that
//! touches what is gone, and any program that may write to the file could end the supervisor that way.
//!
//! The handler puts a page of zeroes, which is this process's alone, in the place of the one that is gone, and marks the
//! region as cut. Whoever asks [`Region::is_cut`](super::Region::is_cut) before it believes what it reads is not misled.
#![expect(unsafe_code, reason = "a signal handler that mends a mapping")]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Where a region lies. Entries are made for ever and used again: the handler may walk them at any instant.
#[derive(Debug)]
pub struct Entry {
    /// 0: nobody's.
    base: AtomicUsize,
    len: AtomicUsize,
    cut: AtomicBool,
    next: Option<&'static Entry>,
}

static ENTRIES: AtomicPtr<Entry> = AtomicPtr::new(std::ptr::null_mut());

/// Being filled in.
const TAKEN: usize = 1;

fn first() -> Option<&'static Entry> {
    // SAFETY: null, or an entry that was leaked in `make`. Acquire: pairs with the store there.
    unsafe { ENTRIES.load(Ordering::Acquire).as_ref() }
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    std::iter::successors(first(), |entry| entry.next)
}

/// Notes where a region lies.
pub fn enter(base: usize, len: usize) -> &'static Entry {
    // AcqRel: nobody else fills this one in; what its former owner left is seen.
    let used =
        entries().find(|entry| entry.base.compare_exchange(0, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok());
    let entry = used.unwrap_or_else(make);
    entry.len.store(len, Ordering::Relaxed);
    entry.cut.store(false, Ordering::Relaxed);
    entry.base.store(base, Ordering::SeqCst); // Pairs with `mend`: the length belongs to it.
    entry
}

fn make() -> &'static Entry {
    loop {
        let next = first();
        let (base, len, cut) = (AtomicUsize::new(TAKEN), AtomicUsize::new(0), AtomicBool::new(false));
        let new = Box::into_raw(Box::new(Entry { base, len, cut, next }));
        let old = next.map_or(std::ptr::null_mut(), |entry| std::ptr::from_ref(entry).cast_mut());
        // SeqCst: pairs with `first`.
        if ENTRIES.compare_exchange(old, new, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
            // SAFETY: just made, and never freed now.
            return unsafe { &*new };
        }
        // SAFETY: just made, and nobody has seen it.
        drop(unsafe { Box::from_raw(new) });
    }
}

impl Entry {
    /// The region is about to be unmapped.
    pub fn leave(&self) {
        self.base.store(0, Ordering::SeqCst); // Pairs with `enter`.
    }

    /// Whether something of the region was found missing.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }
}

/// From now on this process survives that files which it has mapped are cut short. May be called more than once.
pub fn survive_cut_files() -> io::Result<()> {
    let action = SigAction::new(SigHandler::SigAction(on_sigbus), SaFlags::SA_ONSTACK, SigSet::empty());
    // SAFETY: the handler only touches atomics and makes system calls.
    unsafe { sigaction(Signal::SIGBUS, &action)? };
    Ok(())
}

extern "C" fn on_sigbus(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands over a valid record, and a SIGBUS has an address.
    let address = unsafe { (*info).si_addr() } as usize;
    // SAFETY: this thread's own errno.
    let errno = unsafe { *libc::__errno_location() };
    if !mend(address) {
        // Not ours: when the access is tried again, the process dies of it as it would have.
        // SAFETY: resetting a signal is always allowed.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Puts a page of zeroes where one is gone. False if the address is in no region.
fn mend(address: usize) -> bool {
    let holds = |entry: &&Entry| {
        let base = entry.base.load(Ordering::Acquire); // Pairs with `enter`.
        base > TAKEN && address.checked_sub(base).is_some_and(|offset| offset < entry.len.load(Ordering::Relaxed))
    };
    let Some(entry) = entries().find(holds) else { return false };
    entry.cut.store(true, Ordering::Relaxed);
    // SAFETY: asks for a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let (start, flags) = (address & !(page - 1), libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
    // SAFETY: a page of a region that this process has mapped, and of which nothing is there any more.
    let mended =
        unsafe { libc::mmap(start as *mut libc::c_void, page, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    mended != libc::MAP_FAILED
}

#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests {
    use super::super::Region;
    use super::*;
    use crate::sync::Ordering;

    #[test]
    fn a_file_that_is_cut_short_under_its_mapping_reads_as_zeroes_and_is_told() {
        survive_cut_files().expect("a handler");
        let file = tempfile::tempfile().expect("a temporary file");
        file.set_len(64 << 10).expect("room");
        let region = Region::map(&file, 64 << 10).expect("mapped");
        let words = region.words(0, 8 << 10);
        for index in 0..words.len() {
            words.at(index).store(7, Ordering::Relaxed);
        }
        assert!(!region.is_cut());
        file.set_len(4096).expect("cut");
        assert_eq!((words.at(511).load(Ordering::Relaxed), region.is_cut()), (7, false));
        assert_eq!((words.at(512).load(Ordering::Relaxed), region.is_cut()), (0, true));
        words.at(8191).store(1, Ordering::Relaxed);
        assert!(region.bytes(4096, 60 << 10).iter().filter(|byte| **byte != 0).count() == 1);
        drop(words);
        drop(region);
        let again = Region::map(&file, 4096).expect("mapped");
        assert!(!again.is_cut());
    }
}
