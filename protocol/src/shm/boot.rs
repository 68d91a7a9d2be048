//! Which start of the machine this is: what was in a mapped file before the last one cannot be trusted.

use std::io;
use std::sync::OnceLock;

/// The kernel's name for this start of the machine.
pub fn boot_id() -> io::Result<[u64; 2]> {
    static KNOWN: OnceLock<[u64; 2]> = OnceLock::new(); // No process outlives a start of the machine.
    if let Some(known) = KNOWN.get() {
        return Ok(*known);
    }
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let number = u128::from_str_radix(&hex, 16).map_err(io::Error::other)?;
    Ok(*KNOWN.get_or_init(|| [(number >> 64) as u64, number as u64]))
}
