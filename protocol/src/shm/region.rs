//! A file mapped into memory, shared with every process that maps the same file (or was handed the same memory).
//!
//! What stands in a region may be changed by another process at any time. Words are therefore only touched as
//! atomics ([`Region::words`]), and whoever reads plain bytes ([`Region::bytes`]) must hold something that says that
//! nobody writes them now (a lease), and must treat them as input all the same.
#![expect(unsafe_code, reason = "this module is the floor on which the safe rest stands")]

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::Arc;

use ipc_channel::ipc::IpcSharedMemory;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::guard::{self, Entry};
use super::{EventCount, Words, original};

/// A shared mapping of a whole file, readable and writable. Unmapped when the last handle to it goes.
#[derive(Debug)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
    entry: &'static Entry,
    /// The mapping is this one's; `None`: our own.
    handed: Option<IpcSharedMemory>,
}

// SAFETY: a region is only an address and a length. All access goes through atomics, or through `bytes` and `write`,
// whose callers hold the exclusive right to the place (see their contracts).
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Maps the first `len` bytes of `file`. The file must be at least that long, or touching the mapping behind its
    /// end kills the process (SIGBUS): the length is checked here, and no process of Brigade shortens a file in use. For
    /// those that others shorten see [`survive_cut_files`](super::survive_cut_files).
    pub fn map(file: &File, len: usize) -> io::Result<Arc<Self>> {
        let room = NonZeroUsize::new(len).ok_or_else(|| io::Error::other("an empty file cannot be mapped"))?;
        if file.metadata()?.len() < len as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it should be"));
        }
        // SAFETY: a fresh mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe {
            mmap(None, room, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, file.as_fd(), 0)?
        };
        original::mark();
        let entry = guard::enter(base.as_ptr() as usize, len);
        Ok(Arc::new(Self { base: base.cast(), len, entry, handed: None }))
    }

    /// Memory that came, or goes, through a channel. `None` if it is empty.
    pub fn of(memory: IpcSharedMemory) -> Option<Arc<Self>> {
        let (base, len) = (NonNull::new(memory.as_ptr().cast_mut())?, memory.len());
        if len == 0 {
            return None;
        }
        original::mark();
        // It is mapped for reading and writing. From here on nobody makes a slice of all of it.
        let entry = guard::enter(base.as_ptr() as usize, len);
        Some(Arc::new(Self { base, len, entry, handed: Some(memory) }))
    }

    /// Whether something of it was found missing: its file was cut short, or the disk could not give what it holds.
    /// Zeroes, of this process alone, stand there since.
    pub fn is_cut(&self) -> bool {
        self.entry.is_cut()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes (it never has none).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `count` 64-bit words from byte `offset` on (a multiple of 8).
    ///
    /// # Panics
    /// If they do not lie within the region: offsets come from a checked geometry, never from shared memory.
    pub fn words(self: &Arc<Self>, offset: usize, count: usize) -> Words {
        assert!(offset.is_multiple_of(8), "words are aligned");
        self.check(offset, count * 8);
        // SAFETY: in bounds (checked above), aligned (the mapping is page-aligned, the offset a multiple of 8), and alive
        // as long as the handle to the region that `Words` keeps.
        unsafe { Words::at_address(self.base.add(offset).as_ptr().cast(), count, Arc::clone(self)) }
    }

    /// The event count at byte `offset` (a multiple of 4).
    ///
    /// # Panics
    /// As [`Region::words`].
    pub fn event(self: &Arc<Self>, offset: usize) -> EventCount {
        assert!(offset.is_multiple_of(4), "event counts are aligned");
        self.check(offset, 4);
        // SAFETY: as in `words`.
        unsafe { EventCount::at_address(self.base.add(offset).as_ptr().cast(), Arc::clone(self)) }
    }

    /// The bytes from `offset` on. The caller holds a lease on the place or something like it, so that no process of
    /// Brigade writes there while the slice lives. A broken process may write all the same: then the content is
    /// garbage, and whoever decodes it must not rely on reading the same value twice.
    ///
    /// # Panics
    /// If they do not lie within the region.
    #[inline]
    pub fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        self.check(offset, len);
        // SAFETY: in bounds, initialised (file content); nobody else writes by the contract above.
        unsafe { std::slice::from_raw_parts(self.base.add(offset).as_ptr(), len) }
    }

    /// Copies `bytes` to `offset`. The caller alone owns the place (a slot that it is filling).
    ///
    /// # Panics
    /// If they do not lie within the region.
    #[inline]
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        self.check(offset, bytes.len());
        // SAFETY: in bounds; a private slice and a shared mapping do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.add(offset).as_ptr(), bytes.len()) }
    }

    /// Copies `len` bytes from one place to another, both the caller's own; they may overlap.
    ///
    /// # Panics
    /// If they do not lie within the region.
    pub fn copy(&self, from: usize, to: usize, len: usize) {
        self.check(from, len);
        self.check(to, len);
        // SAFETY: both in bounds.
        unsafe { std::ptr::copy(self.base.add(from).as_ptr(), self.base.add(to).as_ptr(), len) }
    }

    #[inline]
    fn check(&self, offset: usize, len: usize) {
        let end = offset.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.len),
            "{len} bytes at {offset} lie outside of a region of {}",
            self.len
        );
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.entry.leave();
        if self.handed.is_some() {
            return;
        }
        // SAFETY: the very mapping that `map` made; every `Words` and `EventCount` keeps the region alive by a handle.
        // It can only fail for arguments that `mmap` did not give us.
        let _ = unsafe { munmap(self.base.cast(), self.len) };
    }
}
