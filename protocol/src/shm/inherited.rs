//! Descriptors that a process was started with, by their number. Without this one place every use of such a number would
//! be a guess about who owns it.
#![expect(unsafe_code, reason = "a bare number becomes a descriptor")]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

/// A descriptor of our own for what the inherited descriptor `number` stands for. Neither goes to processes that we start.
/// May be asked for several times.
///
/// # Errors
/// No descriptor of this number is open, or there are too many.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: the number is not -1. It stands for what was open when the process began, which nobody owns and nobody
    // closes; if it is not open, both calls say so and do nothing.
    let given = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_setfd(given, FdFlags::CLOEXEC)?;
    Ok(fcntl_dupfd_cloexec(given, 3)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::IntoRawFd;

    use super::*;

    #[test]
    fn a_number_that_is_open_becomes_a_descriptor_of_our_own_as_often_as_it_is_asked_for() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let number = writer.into_raw_fd();
        for _ in 0..2 {
            let mut writer = std::fs::File::from(inherited(number).expect("it is open"));
            writer.write_all(b"x").expect("written");
            let mut byte = [0];
            reader.read_exact(&mut byte).expect("read");
        }
    }

    #[test]
    fn what_is_not_open_and_the_standard_ones_are_refused() {
        for number in [-1, 0, 2, 1_000_000] {
            inherited(number).expect_err("refused");
        }
    }
}
