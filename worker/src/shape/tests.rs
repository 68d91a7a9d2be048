//! What a handle is refused for, and what it is not.

use serde::Deserialize;

use super::*;
use crate::error::SendError;
use crate::failure::is_permanent;
use crate::output::Output;
use crate::sandbox::sandbox;

#[test]
fn a_handle_of_another_shape_is_refused_for_good_and_the_items_stay() {
    let sandbox = sandbox(&["numbers"], &["words"]);
    sandbox.ctx.sender::<u64>("words").expect("the first type").send(7).expect("there is room");
    let error = sandbox.ctx.sender::<i64>("words").expect_err("another type");
    let words = "queue \"words\" holds items of the shape u64, and this program's are i64 (i64 instead of u64); finish what \
        is queued with the old program first, change the type back, or put the queue aside with --fresh";
    assert_eq!(error.to_string(), words);
    assert!(is_permanent(&error));
    assert!(matches!(Output::<i64>::new(&sandbox.ctx), Err(OpenError::OtherShape { .. })));
    assert_eq!(sandbox.take::<u64>("words"), [(1, 7)]);

    sandbox.feed("numbers", [7u64]);
    sandbox.ctx.raw_receiver("numbers").expect("bytes are not checked");
    sandbox.ctx.receiver::<u64>("numbers").expect("the first type");
    let error = sandbox.ctx.receiver::<(u64,)>("numbers").expect_err("another type");
    assert!(error.to_string().contains("((u64) instead of u64)"), "{error}");
    assert_eq!(sandbox.queue("numbers").len(), 1);
}

#[test]
fn of_several_outputs_each_takes_the_type_that_is_sent_there_first() {
    let sandbox = sandbox(&["numbers"], &["first", "second"]);
    let mut out = Output::<()>::new(&sandbox.ctx).expect("outputs");
    out.to("first").send(7u64).expect("the first type");
    out.to("second").send_as::<String>("seven").expect("the first type");
    let error = out.to("second").send(8u64).expect_err("another type");
    assert!(is_permanent(&error) && error.item == 8, "{error}");
    out.to("first").send(9u64).expect("as before");
    out.outbox().commit_alone().expect("committed");
    assert_eq!(sandbox.take::<u64>("first"), [(1, 7), (1, 9)]);
    assert_eq!(sandbox.take::<String>("second"), [(1, "seven".to_owned())]);
}

#[test]
fn borrowed_values_are_items_of_the_owned_type() {
    let sandbox = sandbox(&[], &["words"]);
    let words = sandbox.ctx.sender::<String>("words").expect("an output");
    words.send_as::<String>("one").expect("there is room");
    words.send_many_as::<String>(&["two", "three"]).expect("there is room");
    let refused = words.send_as::<u64>(&7u64).expect_err("another type");
    assert!(
        matches!(&refused, Refusal::NoQueue(error) if matches!(**error, OpenError::OtherShape { .. })),
        "{refused}"
    );
    let refused = words.send_as::<String>(&7u64).expect_err("it is not encoded as a text");
    assert!(matches!(refused, Refusal::NotReadBack { .. }), "{refused}");
    let sent: Vec<_> = sandbox.take::<String>("words").into_iter().map(|(_, word)| word).collect();
    assert_eq!(sent, ["one", "two", "three"]);
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Any {
    Number(u64),
}

#[derive(Debug, Serialize, Deserialize)]
struct Skips {
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<String>,
    n: u64,
}

#[test]
fn what_could_never_be_read_is_not_sent() {
    let sandbox = sandbox(&["numbers"], &["any"]);
    let any = sandbox.ctx.sender::<Any>("any").expect("it is told when something is sent");
    let SendError { item: Any::Number(7), reason } = any.send(Any::Number(7)).expect_err("never") else {
        panic!("another item")
    };
    assert!(is_permanent(&reason), "{reason}");
    assert!(any.try_send(Any::Number(8)).is_err());
    assert_eq!(any.send_many(&[Any::Number(9)]).expect_err("never").sent, 0);
    let mut out = Output::<Any>::new(&sandbox.ctx).expect("outputs");
    assert!(out.send(Any::Number(7)).is_err());
    let error = sandbox.ctx.receiver::<Any>("numbers").expect_err("never");
    assert!(is_permanent(&error) && error.to_string().contains("Any cannot be taken from"), "{error}");

    let skips = sandbox.ctx.sender::<Skips>("any").expect("an output");
    let refused = skips.send(Skips { words: None, n: 7 }).expect_err("its bytes are no `Skips`");
    assert!(matches!(refused.reason, Refusal::NotReadBack { .. }) && !is_permanent(&refused), "{refused}");
    assert!(sandbox.queue("any").is_empty());
    skips.send(Skips { words: Some("seven".into()), n: 7 }).expect("these are");
}

#[test]
fn a_checkpoint_is_not_read_as_another_type() {
    let sandbox = sandbox(&[], &[]);
    let mut out = Output::<()>::new(&sandbox.ctx).expect("no outputs");
    assert_eq!(out.restore::<u64>(), Ok(None));
    out.checkpoint(&300u64).expect("small");
    let mut out = Output::<()>::new(&sandbox.ctx).expect("no outputs");
    let error = out.restore::<i64>().expect_err("it would be 150");
    assert!(is_permanent(&error) && error.to_string().contains("another type, not as i64"), "{error}");
    assert_eq!(out.restore::<u64>(), Ok(Some(300)));
}

#[test]
fn a_large_value_is_not_tried() {
    assert!(try_out::<u8>(&vec![0u8; TRY_BYTES]).is_ok(), "though it is no u8");
    assert!(matches!(try_out::<u8>(&vec![0u8; 16]), Err(Refusal::NotReadBack { .. })));
}

#[test]
fn a_type_is_looked_at_once() {
    assert!(Arc::ptr_eq(&known::<(u8, String)>(), &known::<(u8, String)>()));
    assert_ne!(Key::of::<u8>(), Key::of::<i8>());
    assert_ne!(Key::of_sent::<String, str>(), Key::of_sent::<String, u64>());
    assert_eq!(Key::of_sent::<String, str>(), Key::of_sent::<String, str>());
}
