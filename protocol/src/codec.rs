//! How items and records become bytes: serde types through bincode, behind this one door, so that the encoding
//! can be changed in one file.
//!
//! Every encoded value opens with [`FORMAT`]. Decoding compares every length with the bytes that are there before it
//! allocates, and never accepts left-over bytes. What [`encode`] accepts can be read again, however large it is in memory.
//! Types must not use serde's `flatten`, `skip…`, `tag` or `untagged`: their values cannot be read back.

use std::io::Write;
use std::marker::PhantomData;

use bincode::config::{Configuration, LittleEndian, NoLimit, Varint};
use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};

mod borrowed;

use borrowed::Borrowed;

/// Format version: the first byte of every encoded value.
pub const FORMAT: u8 = 1;

const CONFIG: Configuration<LittleEndian, Varint, NoLimit> = bincode::config::standard();

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
    #[error("format {found} instead of {FORMAT}: it was sent as raw bytes, or by another version of Brigade")]
    Format {
        /// The byte that was found.
        found: u8,
    },
    /// The bytes make no value of this type.
    #[error("not a value of the expected type: {0}")]
    Malformed(String),
    /// It was written as a value of another type, whose bytes may happen to be one of this.
    #[error("it was written as a value of another type, not as {wanted}: the program has changed")]
    OtherType {
        /// The type that was asked for.
        wanted: &'static str,
    },
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
    out.write_all(&[FORMAT]).map_err(|error| EncodeError(error.to_string()))?;
    bincode::serde::encode_into_std_write(value, out, CONFIG).map_err(|error| EncodeError(no_encoding(&error)))?;
    Ok(())
}

/// Reads back what [`encode`] wrote. What `T` borrows, a `&str` say, stays where it is.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    decode_with(PhantomData, bytes)
}

/// Reads back what [`encode`] wrote, for one who learns the type only while the program runs: `seed` says how.
pub fn decode_with<'a, S: DeserializeSeed<'a>>(seed: S, bytes: &'a [u8]) -> Result<S::Value, DecodeError> {
    let body = body(bytes)?;
    let (value, used) = bincode::serde::seed_decode_from_slice(Borrowed(seed), body, CONFIG).map_err(malformed)?;
    whole(value, body.len() - used)
}

fn no_encoding(error: &bincode::error::EncodeError) -> String {
    use bincode::error::EncodeError as Why;
    match error {
        Why::Serde(bincode::serde::EncodeError::SequenceMustHaveLength) => {
            "it has a sequence or map of unknown length; a type with #[serde(flatten)] has no encoding".to_owned()
        }
        Why::Io { inner, .. } => inner.to_string(),
        Why::OtherString(words) => words.clone(),
        other => other.to_string(),
    }
}

#[cold]
fn malformed(error: bincode::error::DecodeError) -> DecodeError {
    use bincode::error::DecodeError as Why;
    use bincode::serde::DecodeError as Serde;
    DecodeError::Malformed(match error {
        Why::Serde(Serde::AnyNotSupported | Serde::IdentifierNotSupported | Serde::IgnoredAnyNotSupported) => {
            UNREADABLE.to_owned()
        }
        Why::UnexpectedEnd { additional: 1 } => "it ends too early: at least 1 byte is missing".to_owned(),
        Why::UnexpectedEnd { additional } => format!("it ends too early: at least {additional} bytes are missing"),
        Why::OtherString(words) => words,
        Why::Other(words) => words.to_owned(),
        Why::Utf8 { .. } => "it holds a text that is no UTF-8".to_owned(),
        other => other.to_string(),
    })
}

/// What is wrong with a type whose `Deserialize` asks what comes next: the encoding does not say.
pub const UNREADABLE: &str = "the type asks what the encoding holds, and the encoding does not say: serde_json::Value, \
    #[serde(untagged)], #[serde(tag = …)] and #[serde(flatten)] do that; send a String of JSON, or a type without them";

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
    fn a_hostile_length_of_a_text_or_of_bytes_allocates_nothing() {
        // 2^62 bytes: an allocation of so many would end the process.
        let bytes = [FORMAT, 253, 0, 0, 0, 0, 0, 0, 0, 64, b'a'];
        assert!(matches!(decode::<String>(&bytes), Err(DecodeError::Malformed(_))));
        assert!(matches!(decode::<serde_bytes::ByteBuf>(&bytes), Err(DecodeError::Malformed(_))));
        let nested = [FORMAT, 1, 1, 253, 0, 0, 0, 0, 0, 0, 0, 64];
        assert!(decode::<(Option<Vec<Box<str>>>,)>(&nested).is_err());
    }

    #[test]
    fn what_is_larger_in_memory_than_in_its_encoding_is_read_again() {
        // 16 bytes in memory for each byte of the encoding: more than 1 GiB for 64 MiB.
        const NUMBERS: u32 = (64 << 20) + 1;
        struct Count(u32);
        impl<'de> Deserialize<'de> for Count {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Counter;
                impl<'de> serde::de::Visitor<'de> for Counter {
                    type Value = Count;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("numbers")
                    }
                    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut from: A) -> Result<Count, A::Error> {
                        let mut count = 0;
                        while let Some(7u128) = from.next_element()? {
                            count += 1;
                        }
                        Ok(Count(count))
                    }
                }
                from.deserialize_seq(Counter)
            }
        }
        let mut bytes = vec![FORMAT, 252];
        bytes.extend_from_slice(&NUMBERS.to_le_bytes());
        bytes.resize(bytes.len() + NUMBERS as usize, 7);
        assert_eq!(decode::<Count>(&bytes).map(|count| count.0), Ok(NUMBERS));
    }

    #[test]
    fn errors_are_words() {
        let words = |bytes: &[u8]| decode::<(u8, String)>(bytes).expect_err("no such value").to_string();
        assert!(
            words(&[FORMAT, 1]).ends_with("it ends too early: at least 1 byte is missing"),
            "{}",
            words(&[FORMAT, 1])
        );
        assert!(words(&[FORMAT, 1, 2, 0xff, 0xff]).ends_with("it holds a text that is no UTF-8"));
        let any = decode::<serde::de::IgnoredAny>(&[FORMAT, 1]).expect_err("the encoding does not say").to_string();
        assert!(any.contains("send a String of JSON"), "{any}");
        struct Endless;
        impl Serialize for Endless {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                serde::ser::SerializeMap::end(to.serialize_map(None)?)
            }
        }
        let error = encode(&Endless, &mut Vec::new()).expect_err("it has no length").to_string();
        assert!(error.contains("#[serde(flatten)] has no encoding"), "{error}");
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
