//! Numbers on a client's operations. Without them a client whose manager was killed could not ask again: it does not
//! know whether an operation was applied, and applying it twice would be wrong.

/// Bytes before the encoded operation.
pub const HEAD_BYTES: usize = 16;

/// What a client sends: an encoded operation behind its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered<'a> {
    /// Counts the client's operations from 1. The same number again is the same operation again.
    pub number: u64,
    /// The client has read the outcomes of all operations below this number: nobody will ask for them again.
    pub seen: u64,
    /// The operation, encoded by [`codec`](crate::codec).
    pub op: &'a [u8],
}

impl<'a> Numbered<'a> {
    /// Reads a message; `None` if it is too short to be one.
    pub fn open(message: &'a [u8]) -> Option<Self> {
        let (number, rest) = message.split_first_chunk::<8>()?;
        let (seen, op) = rest.split_first_chunk::<8>()?;
        Some(Self { number: u64::from_le_bytes(*number), seen: u64::from_le_bytes(*seen), op })
    }
}

/// Writes number and `seen` into the first [`HEAD_BYTES`] of a message, which were left free for them.
///
/// # Panics
/// If the message is shorter than that.
pub fn put_number(message: &mut [u8], number: u64, seen: u64) {
    message[..8].copy_from_slice(&number.to_le_bytes());
    message[8..HEAD_BYTES].copy_from_slice(&seen.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_put_in_is_read_again() {
        let mut message = vec![0; HEAD_BYTES];
        message.extend(b"op");
        put_number(&mut message, 7, 5);
        assert_eq!(Numbered::open(&message), Some(Numbered { number: 7, seen: 5, op: b"op" }));
        assert_eq!(Numbered::open(&message[..HEAD_BYTES - 1]), None);
    }
}
