//! Types, and the shapes that are found of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use brigade_protocol::codec;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
#[expect(dead_code, reason = "only its shape is looked at")]
struct Page {
    path: PathBuf,
    sizes: Vec<(u8, f64)>,
    seen: Option<BTreeMap<String, bool>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only its shape is looked at")]
enum Tree {
    Leaf,
    Named(String),
    Both(Box<Tree>, Box<Tree>),
    Coloured { colour: Colour },
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only its shape is looked at")]
enum Twins {
    Both(Box<Twins>, Box<Twins>),
    Leaf,
}

#[derive(Deserialize)]
enum Colour {
    Red,
    Green,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only its shape is looked at")]
struct Chain {
    next: Option<Box<Chain>>,
    others: Vec<Chain>,
}

fn shape<T: DeserializeOwned>() -> Shape {
    trace::<T>().note.shape
}

fn boxed(shape: Shape) -> Box<Shape> {
    Box::new(shape)
}

#[test]
fn structs_are_known_with_their_fields() {
    let sizes = Shape::Seq(boxed(Shape::Tuple(vec![Shape::U8, Shape::F64])));
    let seen = Shape::Option(boxed(Shape::Map(boxed(Shape::Text), boxed(Shape::Bool))));
    let fields = vec![("path".into(), Shape::Text), ("sizes".into(), sizes), ("seen".into(), seen)];
    assert_eq!(shape::<Page>(), Shape::Struct(fields));
    assert!(trace::<Page>().note.name.ends_with("::Page"));
}

#[test]
fn enums_are_known_with_all_their_variants_though_they_contain_themselves() {
    let tree = trace::<Tree>().note;
    assert_eq!(tree.shape, Shape::Enum(0));
    let coloured = Shape::Struct(vec![("colour".into(), Shape::Enum(1))]);
    let expected = vec![
        vec![
            ("Leaf".into(), Shape::Unit),
            ("Named".into(), Shape::Text),
            ("Both".into(), Shape::Tuple(vec![Shape::Enum(0), Shape::Enum(0)])),
            ("Coloured".into(), coloured),
        ],
        vec![("Red".into(), Shape::Unit), ("Green".into(), Shape::Unit)],
    ];
    assert_eq!(tree.enums, expected);
    let _ = [Colour::Red, Colour::Green];
}

#[test]
fn types_that_have_no_end_or_refuse_made_up_values_do_no_harm() {
    let next = Shape::Option(boxed(Shape::Again(1)));
    let others = Shape::Seq(boxed(Shape::Again(1)));
    assert_eq!(shape::<Chain>(), Shape::Struct(vec![("next".into(), next), ("others".into(), others)]));
    let both = ("Both".into(), Shape::Tuple(vec![Shape::Enum(0), Shape::Enum(0)]));
    assert_eq!(trace::<Twins>().note.enums, [vec![both, ("Leaf".into(), Shape::Unit)]]);
    assert_eq!(shape::<std::net::Ipv4Addr>(), Shape::Tuple(vec![Shape::U8; 4]));
    assert_eq!(shape::<std::num::NonZeroU16>(), Shape::U16);
    assert_eq!(shape::<char>(), Shape::Char);
    assert_eq!(shape::<(Strict<6>, u8)>(), Shape::Tuple(vec![Shape::Text, Shape::Opaque]));
}

/// A text that insists on its length, and says so after it was read.
struct Strict<const LENGTH: usize>;

impl<'de, const LENGTH: usize> Deserialize<'de> for Strict<LENGTH> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text.len() == LENGTH { Ok(Self) } else { Err(D::Error::custom("another length")) }
    }
}

/// A text that insists on what it holds, while it is read.
struct Parsed<T>(std::marker::PhantomData<T>);

impl<'de, T: std::str::FromStr> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text<T>(std::marker::PhantomData<T>);
        impl<T: std::str::FromStr> Visitor<'_> for Text<T> {
            type Value = Parsed<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("something as text")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Parsed<T>, E> {
                text.parse::<T>().map(|_| Parsed(std::marker::PhantomData)).map_err(|_| E::custom("not one"))
            }
        }
        from.deserialize_str(Text(std::marker::PhantomData))
    }
}

#[test]
fn texts_that_hold_something_else_are_found_by_trying() {
    type Both = (Parsed<std::net::Ipv4Addr>, Parsed<u32>, u64);
    assert_eq!(shape::<Both>(), Shape::Tuple(vec![Shape::Text, Shape::Text, Shape::U64]));
    assert_eq!(shape::<(Parsed<bool>, u64)>(), Shape::Tuple(vec![Shape::Text, Shape::Opaque]));
}

mod one {
    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    pub(super) enum Kind {
        A(u8),
        B,
    }
}

mod other {
    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    pub(super) enum Kind {
        A(String),
        B,
    }
}

#[test]
fn enums_of_the_same_names_are_told_apart() {
    let pair = trace::<(one::Kind, other::Kind)>().note;
    assert_eq!(pair.shape, Shape::Tuple(vec![Shape::Enum(0), Shape::Enum(1)]));
    let kind = |carried| vec![("A".into(), carried), ("B".into(), Shape::Unit)];
    assert_eq!(pair.enums, [kind(Shape::U8), kind(Shape::Text)]);
}

#[test]
fn the_same_type_has_the_same_bytes_each_time_and_those_that_were_noted_once() {
    let hash = || trace::<(Tree, Page, Chain, Twins)>().note.canonical().expect("it is known").hash;
    assert_eq!(hash(), hash());
    assert_eq!(hash(), 0x6168_ea58_16fb_7079, "another build would be refused");
}

#[derive(Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape is looked at")]
enum Untagged {
    A(u8),
    B(String),
}

#[derive(Deserialize)]
#[serde(tag = "kind")]
#[expect(dead_code, reason = "only its shape is looked at")]
enum Tagged {
    A { n: u8 },
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only its shape is looked at")]
struct Flat {
    n: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

#[derive(serde::Serialize, Deserialize)]
#[serde(tag = "kind", content = "of")]
enum Adjacent {
    A(u8),
}

#[test]
fn types_of_which_no_value_can_be_read_are_known() {
    assert!(trace::<Untagged>().is_unreadable);
    assert!(trace::<Tagged>().is_unreadable);
    assert!(trace::<Flat>().is_unreadable);
    assert!(trace::<Option<Vec<(u8, Untagged)>>>().is_unreadable, "also within others");
    assert!(trace::<serde::de::IgnoredAny>().is_unreadable);
    assert!(!trace::<(Tree, Page, Chain)>().is_unreadable);
    let mut bytes = Vec::new();
    codec::encode(&Adjacent::A(7), &mut bytes).expect("it has an encoding");
    assert_eq!(codec::decode::<Adjacent>(&bytes).is_err(), trace::<Adjacent>().is_unreadable);
    assert!(!trace::<std::time::SystemTime>().is_unreadable);
}

#[test]
fn a_type_that_panics_is_not_known() {
    struct Panics;
    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            panic!("cannot stand {}", u8::deserialize(from)?)
        }
    }
    assert_eq!(shape::<(u8, Panics)>(), Shape::Opaque);
}
