//! How items and records become bytes: serde types through bincode, behind this one door, so that the encoding
//! can be changed in one file.
//!
//! Every encoded value opens with [`FORMAT`]. Decoding never believes a length that it reads (bincode's limit is
//! set) and never accepts left-over bytes. As bincode's own documentation says, types must not use serde's
//! `flatten`, `skip…`, `tag` or `untagged`: they would lose data silently.

use std::io::Write;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};

/// Format version: the first byte of every encoded value.
pub const FORMAT: u8 = 1;

/// No value may claim to need more than this many bytes (1 GiB).
pub const LIMIT: usize = 1 << 30;

const CONFIG: Configuration<LittleEndian, Varint, Limit<LIMIT>> = bincode::config::standard().with_limit::<LIMIT>();

/// Why a value could not be encoded. The caller keeps it.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode the value: {0}")]
pub struct EncodeError(String);

/// Why bytes are not a value of the type that was asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// There is not even a format byte.
    #[error("the item is empty")]
    Empty,
    /// Written by another version of Brigade.
    #[error("format {found} instead of {FORMAT}: it was written by another version of Brigade")]
    Format {
        /// The byte that was found.
        found: u8,
    },
    /// The bytes make no value of this type.
    #[error("not a value of the expected type: {0}")]
    Malformed(String),
    /// A value, and then something more: sender and receiver disagree about the type.
    #[error("{left} bytes are left over after the value: sender and receiver disagree about its type")]
    Trailing {
        /// How many bytes.
        left: usize,
    },
}

/// Appends the encoded `value` to `out`. After an error `out` is as it was.
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    encode_to(value, out).inspect_err(|_| out.truncate(start))
}

/// Writes the encoded `value` to `out`, piece by piece. After an error some of it may be written.
pub fn encode_to<T: Serialize + ?Sized>(value: &T, out: &mut impl Write) -> Result<(), EncodeError> {
    use bincode::error::EncodeError as Encode;
    out.write_all(&[FORMAT]).map_err(|error| EncodeError(error.to_string()))?;
    bincode::serde::encode_into_std_write(value, out, CONFIG).map_err(|error| match error {
        // What the type itself says: its words alone.
        Encode::OtherString(words) => EncodeError(words),
        Encode::Other(words) => EncodeError(words.to_owned()),
        error => EncodeError(error.to_string()),
    })?;
    Ok(())
}

fn malformed(error: bincode::error::DecodeError) -> DecodeError {
    use bincode::error::DecodeError as Decode;
    DecodeError::Malformed(match error {
        Decode::OtherString(words) => words,
        Decode::Other(words) => words.to_owned(),
        error => error.to_string(),
    })
}

/// Reads back what [`encode`] wrote. What `T` borrows, a `&str` say, stays where it is.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let body = body(bytes)?;
    let (value, used) = bincode::serde::borrow_decode_from_slice(body, CONFIG).map_err(malformed)?;
    whole(value, body.len() - used)
}

/// Reads back what [`encode`] wrote, for one who learns the type only while the program runs: `seed` says how.
pub fn decode_with<S: for<'de> DeserializeSeed<'de, Value = T>, T>(seed: S, bytes: &[u8]) -> Result<T, DecodeError> {
    let body = body(bytes)?;
    let (value, used) = bincode::serde::seed_decode_from_slice(seed, body, CONFIG).map_err(malformed)?;
    whole(value, body.len() - used)
}

fn body(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    match bytes.split_first().ok_or(DecodeError::Empty)? {
        (&FORMAT, body) => Ok(body),
        (&found, _) => Err(DecodeError::Format { found }),
    }
}

fn whole<T>(value: T, left: usize) -> Result<T, DecodeError> {
    match left {
        0 => Ok(value),
        left => Err(DecodeError::Trailing { left }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, &mut out).expect("the value has an encoding");
        out
    }

    #[test]
    fn golden_bytes_stay_as_they_are() {
        assert_eq!(encoded(&(7u32, "ab", -1i64, Some(true))), [1, 7, 2, b'a', b'b', 1, 1, 1]);
    }

    #[test]
    fn a_hostile_length_is_an_error_and_not_an_allocation() {
        let bytes = [FORMAT, 253, 255, 255, 255, 255, 255, 255, 255, 127];
        assert!(matches!(decode::<Vec<u64>>(&bytes), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn what_a_type_says_of_itself_is_told_in_its_words() {
        use std::os::unix::ffi::OsStrExt;
        let name = std::path::Path::new(std::ffi::OsStr::from_bytes(b"\xff"));
        let error = encode(name, &mut Vec::new()).expect_err("the name is no text");
        assert_eq!(error.to_string(), "cannot encode the value: path contains invalid UTF-8 characters");
        let error = decode::<std::num::NonZeroU8>(&encoded(&0u8)).expect_err("it is zero");
        assert!(!error.to_string().contains("OtherString"), "{error}");
    }

    #[test]
    fn left_over_bytes_are_an_error() {
        let mut bytes = encoded(&7u8);
        bytes.push(0);
        assert_eq!(decode::<u8>(&bytes), Err(DecodeError::Trailing { left: 1 }));
    }

    #[test]
    fn what_can_be_borrowed_is_not_copied() {
        let bytes = encoded(&("ab", 7u8));
        let (text, number): (&str, u8) = decode(&bytes).expect("a text and a number");
        assert_eq!((text, number, text.as_ptr()), ("ab", 7, bytes[2..].as_ptr()));
    }

    #[test]
    fn another_format_is_named() {
        assert_eq!(decode::<u8>(&[9, 1]), Err(DecodeError::Format { found: 9 }));
        assert_eq!(decode::<u8>(&[]), Err(DecodeError::Empty));
    }

    #[test]
    fn a_value_that_cannot_be_encoded_leaves_the_buffer_as_it_was() {
        struct Refuses;
        impl Serialize for Refuses {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no"))
            }
        }
        let mut out = vec![42];
        assert!(encode(&(1u8, Refuses), &mut out).is_err());
        assert_eq!(out, [42]);
    }
}
