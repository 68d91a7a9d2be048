//! Cutting messages into parts and joining them again. Without it one large request would pass ipc-channel's limit
//! for a single packet, and a client that is killed or stopped in the middle of it could take the receiver with it.

use serde::{Deserialize, Serialize};

/// No part carries more than this many bytes: well below the size (about 208 KiB) above which ipc-channel splits.
pub const PART_BYTES: usize = 128 << 10;

/// No message, joined again, is larger than this (256 MiB).
pub const MESSAGE_BYTES: usize = 256 << 20;

/// A piece of a message.
#[derive(Debug, Serialize, Deserialize)]
pub struct Part {
    /// Whether the message goes on in the next part of this channel.
    pub more: bool,
    /// At most [`PART_BYTES`].
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// Hands `message` to `send` in parts, in order, until one is refused.
pub fn split<E>(message: &[u8], mut send: impl FnMut(Part) -> Result<(), E>) -> Result<(), E> {
    if message.len() <= PART_BYTES {
        return send(Part { more: false, bytes: message.to_vec() });
    }
    let mut chunks = message.chunks(PART_BYTES).peekable();
    while let Some(chunk) = chunks.next() {
        send(Part { more: chunks.peek().is_some(), bytes: chunk.to_vec() })?;
    }
    Ok(())
}

/// The message would be larger than [`MESSAGE_BYTES`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a message of more than {MESSAGE_BYTES} bytes")]
pub struct TooLong;

/// Joins the parts of one message after the other.
#[derive(Debug, Default)]
pub struct Joined {
    bytes: Vec<u8>,
}

impl Joined {
    /// Takes the next part; gives the message if that was the last one of it.
    pub fn take(&mut self, part: Part) -> Result<Option<Vec<u8>>, TooLong> {
        if self.bytes.len() + part.bytes.len() > MESSAGE_BYTES {
            return Err(TooLong);
        }
        match (part.more, self.bytes.is_empty()) {
            (false, true) => return Ok(Some(part.bytes)),
            (false, false) | (true, true | false) => self.bytes.extend_from_slice(&part.bytes),
        }
        Ok((!part.more).then(|| std::mem::take(&mut self.bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(message: &[u8]) -> (usize, Vec<u8>) {
        let (mut joined, mut parts, mut whole) = (Joined::default(), 0, None);
        split(message, |part| {
            assert!(part.bytes.len() <= PART_BYTES);
            assert!(whole.is_none(), "a part came after the last one");
            parts += 1;
            whole = joined.take(part)?;
            Ok::<_, TooLong>(())
        })
        .expect("the message is small enough");
        (parts, whole.expect("the last part completes the message"))
    }

    #[test]
    fn a_message_comes_back_whole_whatever_its_length() {
        for (length, parts) in
            [(0, 1), (1, 1), (PART_BYTES, 1), (PART_BYTES + 1, 2), (2 * PART_BYTES, 2), (5 * PART_BYTES / 2, 3)]
        {
            let message: Vec<u8> = (0..length).map(|i| i as u8).collect();
            assert_eq!(there_and_back(&message), (parts, message), "length {length}");
        }
    }

    #[test]
    fn a_message_without_an_end_is_refused_before_it_fills_the_memory() {
        let mut joined = Joined { bytes: vec![0; MESSAGE_BYTES - 1] };
        assert!(matches!(joined.take(Part { more: true, bytes: vec![0] }), Ok(None)));
        assert_eq!(joined.take(Part { more: true, bytes: vec![0] }), Err(TooLong));
    }
}
