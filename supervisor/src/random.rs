//! Numbers that nobody can guess and that no two ask for twice: what makes a token a token and a run's mark its own.

use std::io::{self, Read};

/// 128 random bits, as 32 hexadecimal digits.
///
/// # Errors
/// The system has none.
pub fn word() -> io::Result<String> {
    let mut bytes = [0u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
