//! A restart of the machine, as the files of a state folder show it: queues and pages carry the id of another boot.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use crate::sandbox::Sandbox;

/// All queues and pages of the sandbox are from before the last start of the machine.
///
/// # Panics
///
/// When a file cannot be changed.
pub fn reboot(sandbox: &Sandbox) {
    for (folder, change) in [("queues", reboot_queue as fn(&File)), ("pages", reboot_page)] {
        for entry in std::fs::read_dir(sandbox.state().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            change(&OpenOptions::new().read(true).write(true).open(path).expect("it is there"));
        }
    }
}

/// The boot id of a queue is changed; the checksum is that of the header all the same.
///
/// # Panics
///
/// When the file cannot be changed.
pub fn reboot_queue(file: &File) {
    let mut head = [0; 256];
    file.read_exact_at(&mut head, 0).expect("a header");
    head[16] ^= 0xFF;
    let sum = u64::from(crc32fast::hash(&head[..248]));
    head[248..].copy_from_slice(&sum.to_le_bytes());
    file.write_all_at(&head, 0).expect("written");
}

/// The boot id of a page is changed.
///
/// # Panics
///
/// When the file cannot be changed.
pub fn reboot_page(file: &File) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, 40).expect("a head");
    file.write_all_at(&[byte[0] ^ 0xFF], 40).expect("written");
}
