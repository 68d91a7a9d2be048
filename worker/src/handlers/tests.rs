//! The loop around a handler, in one process.

use std::sync::Mutex;
use std::time::Duration;

use brigade_protocol::control::Welcome;

use super::*;
use crate::failure::{Misconfigured, Outage, RetryAfter};
use crate::sandbox::{MAX_DELIVERIES, Sandbox, sandbox, sandbox_with, until};

/// Serves with a function as handler, over numbers.
fn serve(sandbox: &Sandbox, handle: impl Fn(u64, &mut Output<u64>) -> Result + Sync) -> Result {
    let handle = |(): &mut (), item, out: &mut Output<u64>| handle(item, out);
    Calls { build: |_: &Context| Ok(()), handle, finish: |(): &mut (), _: &mut Output<u64>| Ok(()) }.serve(&sandbox.ctx)
}

#[test]
fn every_item_is_handled_and_acked_until_the_end() {
    let sandbox = sandbox(&["numbers", "more"], &["sums"]);
    sandbox.feed("numbers", [1u64, 2]);
    sandbox.feed("more", [3u64]);
    sandbox.queue("numbers").close();
    sandbox.queue("more").close();
    serve(&sandbox, |n, out| Ok(out.send(n * 2)?)).expect("it comes to its end");
    let mut sums: Vec<_> = sandbox.take::<u64>("sums").into_iter().map(|(_, n)| n).collect();
    sums.sort_unstable();
    assert_eq!(sums, [2, 4, 6]);
    assert_eq!(sandbox.processed(), 3);
    assert!(matches!(sandbox.reports()[..], [Report::Ready]));
}

#[test]
fn errors_and_panics_are_the_items_failure_and_end_as_dead_letters() {
    let sandbox = sandbox(&["numbers"], &[]);
    sandbox.feed("numbers", [1u64, 2, 3]);
    sandbox.queue("numbers").close();
    let calls = Mutex::new(Vec::new());
    let result = serve(&sandbox, |n, _| {
        calls.lock().expect("no panic in here").push(n);
        match n {
            1 => Err("no ones".into()),
            2 => panic!("no twos"),
            _ => Ok(()),
        }
    });
    assert!(result.is_ok());
    let calls = calls.into_inner().expect("no panic in here");
    let times = |wanted| calls.iter().filter(|n| **n == wanted).count();
    assert_eq!((times(1), times(2), times(3)), (MAX_DELIVERIES.into(), MAX_DELIVERIES.into(), 1));
    assert_eq!((sandbox.dead("numbers"), sandbox.processed()), (2, 1));
}

#[test]
fn a_result_that_has_no_encoding_is_the_failure_of_its_item_alone() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::path::PathBuf;

    let sandbox = sandbox(&["numbers"], &["paths"]);
    sandbox.feed("numbers", [1u64, 2, 3]);
    sandbox.queue("numbers").close();
    let name = |n| PathBuf::from(OsString::from_vec(if n == 2 { vec![0xff] } else { vec![b'0' + n as u8] }));
    let handle = |(): &mut (), n: u64, out: &mut Output<PathBuf>| Ok(out.send(name(n))?);
    let calls = Calls { build: |_: &Context| Ok(()), handle, finish: |(): &mut (), _: &mut Output<PathBuf>| Ok(()) };
    calls.serve(&sandbox.ctx).expect("the worker does not fail");
    let paths: Vec<_> = sandbox.take::<PathBuf>("paths").into_iter().map(|(_, path)| path).collect();
    assert_eq!((paths, sandbox.dead("numbers")), (vec![name(1), name(3)], 1));
    let failed =
        |report: &Report| matches!(report, Report::ItemFailed { words, .. } if words.contains("cannot send the item"));
    assert_eq!(sandbox.reports().iter().filter(|report| failed(report)).count(), usize::from(MAX_DELIVERIES));
}

#[test]
fn an_item_comes_again_when_its_handler_says() {
    const WAIT: Duration = Duration::from_millis(50);
    let sandbox = sandbox(&["numbers"], &[]);
    sandbox.feed("numbers", [1u64, 2]);
    sandbox.queue("numbers").close();
    let calls = Mutex::new(Vec::new());
    let begun = Instant::now();
    let result = serve(&sandbox, |n, out| {
        calls.lock().expect("no panic in here").push((n, begun.elapsed() >= WAIT));
        if out.deliveries() == Some(1) && n == 1 { Err(RetryAfter::new(WAIT, "not yet").into()) } else { Ok(()) }
    });
    result.expect("it comes to its end, and not before the item has come");
    let calls = calls.into_inner().expect("no panic in here");
    assert_eq!(calls.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 1]);
    assert!(calls[2].1, "it came too soon");
}

#[test]
fn a_stop_gives_the_item_in_hand_back_uncounted_and_takes_no_other() {
    let sandbox = sandbox(&["numbers"], &[]);
    sandbox.feed("numbers", [1u64, 2]);
    serve(&sandbox, |_, _| {
        sandbox.stop_now();
        Err("cut short".into())
    })
    .expect("a stop is no failure");
    assert_eq!(sandbox.take::<u64>("numbers"), [(1, 1), (1, 2)]);
}

#[test]
fn a_misconfigured_handler_fails_the_worker_and_not_the_item() {
    let sandbox = sandbox(&["numbers"], &[]);
    sandbox.feed("numbers", [1u64]);
    let error = serve(&sandbox, |_, _| Err(Misconfigured::new("no key").into())).expect_err("it fails");
    assert!(is_permanent(&*error));
    assert_eq!(sandbox.take::<u64>("numbers"), [(1, 1)]);
}

#[test]
fn an_outage_fails_the_worker_and_is_not_counted_against_the_item() {
    let sandbox = sandbox(&["numbers"], &[]);
    sandbox.feed("numbers", [1u64, 2]);
    let error = serve(&sandbox, |_, _| Err(Outage::new("the disk is full").into())).expect_err("it fails");
    assert!(!is_permanent(&*error) && error.to_string() == "the disk is full", "{error}");
    assert_eq!(sandbox.take::<u64>("numbers"), [(1, 1), (1, 2)]);
}

#[test]
fn of_several_threads_the_error_that_made_the_others_stop_is_told_whichever_thread_it_was() {
    let stop = || -> Result { Err(RecvError::Stopped.into()) };
    let full = || -> Result { Err("the disk is full".into()) };
    for (first, second) in [(stop(), full()), (full(), stop()), (full(), Ok(())), (Ok(()), full())] {
        assert_eq!(super::worse(first, second).expect_err("one failed").to_string(), "the disk is full");
    }
    assert!(is_stop(&*super::worse(Ok(()), stop()).expect_err("told to stop")));
    assert!(super::worse(Ok(()), Ok(())).is_ok());
}

#[test]
fn threads_work_side_by_side_and_each_finishes_its_own_state() {
    let sandbox = sandbox_with(&["numbers"], &["counts"], |welcome| welcome.threads = 3);
    sandbox.feed("numbers", [1u64, 2, 3]);
    sandbox.queue("numbers").close();
    let busy = AtomicU16::new(0);
    let calls = Calls {
        build: |_: &Context| Ok(0),
        handle: |count: &mut u64, _: u64, _: &mut Output<u64>| {
            // Nobody is done before all three are at work at the same time.
            busy.fetch_add(1, Ordering::Relaxed);
            until(|| busy.load(Ordering::Relaxed) == 3);
            *count += 1;
            Ok(())
        },
        finish: |count: &mut u64, out: &mut Output<u64>| Ok(out.send(*count)?),
    };
    calls.serve(&sandbox.ctx).expect("it comes to its end");
    assert_eq!(sandbox.take::<u64>("counts"), [(1, 1), (1, 1), (1, 1)]);
    assert!(matches!(sandbox.reports()[..], [Report::Ready]), "ready is said once");
}

#[test]
fn a_thread_that_cannot_be_built_ends_the_others() {
    let sandbox = sandbox_with(&["numbers"], &[], |welcome| welcome.threads = 2);
    let calls = Calls {
        build: |ctx: &Context| if ctx.thread() == 1 { Err("no licence".into()) } else { Ok(()) },
        handle: |(): &mut (), _: u64, _: &mut Output<()>| Ok(()),
        finish: |(): &mut (), _: &mut Output<()>| Ok(()),
    };
    assert_eq!(calls.serve(&sandbox.ctx).expect_err("it fails").to_string(), "no licence");
    assert!(sandbox.reports().is_empty(), "it was never ready");
}

#[test]
fn a_handler_in_a_stage_without_inputs_is_told_what_is_missing() {
    let sandbox = sandbox(&[], &["sums"]);
    let error = serve(&sandbox, |_, _| Ok(())).expect_err("there is nothing to handle");
    assert!(is_permanent(&*error));
    assert_eq!(
        error.to_string(),
        "stage double has no inputs, but its program takes items: give it inputs = […] in the pipeline file"
    );
}

#[test]
fn a_handler_sees_which_item_it_has_and_how_often_it_came() {
    let sandbox = sandbox(&["numbers"], &[]);
    sandbox.feed("numbers", [1u64]);
    sandbox.queue("numbers").close();
    let seen = Mutex::new(Vec::new());
    let result = serve(&sandbox, |_, out| {
        seen.lock().expect("no panic in here").push((out.item_id(), out.deliveries()));
        if out.deliveries() == Some(1) { Err("once more".into()) } else { Ok(()) }
    });
    result.expect("it comes to its end");
    let seen = seen.into_inner().expect("no panic in there");
    assert!(seen[0].0.is_some());
    assert_eq!(seen, [(seen[0].0, Some(1)), (seen[0].0, Some(2))]);
}

#[test]
fn what_is_handed_on_and_what_it_came_from_stay_one_commit_when_the_output_is_smaller_than_a_batch() {
    for each in [1, 3] {
        let sandbox = sandbox_with(&["numbers"], &["sums"], |welcome| welcome.batch = 16);
        sandbox.feed("numbers", [1u64, 2, 3, 4]);
        sandbox.queue("numbers").close();
        let committed = || (sandbox.queue("numbers").totals().acked, sandbox.queue("sums").totals().sent / each);
        let taken = std::sync::atomic::AtomicU64::new(0);
        serve(&sandbox, |n, out| {
            let (acked, handed_on) = committed();
            assert_eq!(acked, handed_on, "at item {n}");
            taken.fetch_add(sandbox.take::<u64>("sums").len() as u64, Ordering::Relaxed);
            (0..each).try_for_each(|_| out.send(n))?;
            Ok(())
        })
        .expect("it comes to its end");
        assert_eq!(committed(), (4, 4), "{each} at a time");
    }
}

#[test]
fn a_batch_that_is_not_full_is_committed_when_its_time_is_over() {
    for (batch_time, at_each) in [(Duration::ZERO, [0, 1, 2, 3]), (Duration::from_secs(60), [0; 4])] {
        let set = move |welcome: &mut Welcome| (welcome.batch, welcome.batch_time) = (16, batch_time);
        let sandbox = sandbox_with(&["numbers"], &[], set);
        sandbox.feed("numbers", [1u64, 2, 3, 4]);
        sandbox.queue("numbers").close();
        let acked = Mutex::new(Vec::new());
        serve(&sandbox, |_, _| {
            acked.lock().expect("no panic in here").push(sandbox.queue("numbers").totals().acked);
            Ok(())
        })
        .expect("it comes to its end");
        assert_eq!(acked.into_inner().expect("no panic in there"), at_each);
        assert_eq!(sandbox.queue("numbers").totals().acked, 4);
    }
}

#[test]
fn more_results_of_one_item_than_the_output_can_hold_are_refused_and_none_goes_out() {
    let sandbox = sandbox_with(&["numbers"], &["sums"], |welcome| welcome.batch = 16);
    sandbox.feed("numbers", [1u64, 5, 4]);
    sandbox.queue("numbers").close();
    let taken = Mutex::new(Vec::new());
    serve(&sandbox, |n, out| {
        taken.lock().expect("no panic in here").extend(sandbox.take::<u64>("sums").into_iter().map(|(_, sum)| sum));
        (0..n).try_for_each(|_| out.send(n))?;
        Ok(())
    })
    .expect("it is the failure of one item");
    let mut taken = taken.into_inner().expect("no panic in there");
    taken.extend(sandbox.take::<u64>("sums").into_iter().map(|(_, sum)| sum));
    assert_eq!((taken, sandbox.dead("numbers"), sandbox.processed()), (vec![1, 4, 4, 4, 4], 1, 2));
    let words = "one commit would send more than 4 items to queue sums, which is its capacity";
    let failed = |report: &Report| matches!(report, Report::ItemFailed { words: said, .. } if said.contains(words));
    assert_eq!(sandbox.reports().iter().filter(|report| failed(report)).count(), usize::from(MAX_DELIVERIES));
}

#[test]
fn a_finish_that_sends_more_than_the_output_can_hold_fails_for_good() {
    let sandbox = sandbox(&["numbers"], &["sums"]);
    sandbox.queue("numbers").close();
    let handle = |(): &mut (), _: u64, _: &mut Output<u64>| Ok(());
    let finish = |(): &mut (), out: &mut Output<u64>| Ok((0..5).try_for_each(|n| out.send(n))?);
    let error = Calls { build: |_: &Context| Ok(()), handle, finish }.serve(&sandbox.ctx).expect_err("it is too much");
    assert!(is_permanent(&*error) && error.to_string().contains("raise the queue's capacity"), "{error}");
    assert!(sandbox.take::<u64>("sums").is_empty());
}
