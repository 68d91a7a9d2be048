//! Clients that do not behave.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use brigade_protocol::codec;
use brigade_protocol::shared::desk::{self, Answer, Asker};
use brigade_protocol::shared::items::Items;
use brigade_protocol::shared::numbered::{HEAD_BYTES, put_number};
use brigade_protocol::shared::op::{CounterOp, Kind, ListOp, Op, Outcome};
use brigade_protocol::shared::parts::{self, Joined, PART_BYTES, Part};
use brigade_protocol::shared::{Connect, Reply, Request};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender, IpcSharedMemory};

use crate::stage::{Manager, door, inside, until};

fn raw(sender: &IpcSender<Connect>) -> (IpcSender<Request>, IpcReceiver<Reply>) {
    let (to_manager, requests) = ipc::channel().expect("a channel");
    let (replies, from_manager) = ipc::channel().expect("a channel");
    sender.send(Connect { client: 7, requests, replies, desk: None }).expect("the manager takes clients");
    (to_manager, from_manager)
}

/// A client with a desk; the channels keep the manager at it.
fn at_desk(sender: &IpcSender<Connect>, memory: IpcSharedMemory) -> (IpcSender<Request>, IpcReceiver<Reply>) {
    let (to_manager, requests) = ipc::channel().expect("a channel");
    let (replies, from_manager) = ipc::channel().expect("a channel");
    sender.send(Connect { client: 8, requests, replies, desk: Some(memory) }).expect("the manager takes clients");
    (to_manager, from_manager)
}

/// The file behind that memory.
fn file_of(memory: &IpcSharedMemory) -> File {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the mappings of this process");
    let start = format!("{:x}-", memory.as_ptr() as usize);
    let line = maps.lines().find(|line| line.starts_with(&start)).expect("it is mapped");
    let inode: u64 = line.split_whitespace().nth(4).expect("an inode").parse().expect("a number");
    let mut fds = std::fs::read_dir("/proc/self/fd").expect("the descriptors of this process").flatten();
    let fd = fds.find(|fd| std::fs::metadata(fd.path()).is_ok_and(|file| file.ino() == inode)).expect("it is open");
    File::options().write(true).open(fd.path()).expect("it can be opened")
}

#[test]
fn a_client_that_asks_nonsense_at_its_desk_is_refused_and_may_go_on() {
    let (sender, table) = inside();
    let memory = desk::memory().expect("there is memory");
    let channels = at_desk(&sender, memory.clone());
    let mut asker = Asker::new(memory).expect("a desk");
    for nonsense in [&[][..], &[1, 2, 3], &[255; 40]] {
        assert!(asker.ask(nonsense));
        let Answer::Here(answer) = asker.answer(|| false) else { panic!("it is answered at the desk") };
        assert!(matches!(codec::decode(&answer), Ok(Outcome::Refused(_))));
    }
    let add = encoded(&Op::Counter { name: "c".into(), op: CounterOp::Add(3) });
    assert!(asker.ask(&add));
    let Answer::Here(answer) = asker.answer(|| false) else { panic!("it is answered at the desk") };
    assert!(matches!(codec::decode(&answer), Ok(Outcome::Number(3))));
    drop(channels);
    until("the manager has seen its end", || table.clients() == 0);
}

#[test]
fn an_outcome_that_is_too_large_for_the_desk_comes_through_the_channel() {
    let (sender, _table) = inside();
    let list = door(sender).list::<Vec<u8>>("list");
    for length in [10, 4_000, 4_096, 5_000, 300_000] {
        list.clear().unwrap();
        list.push(&vec![7; length]).unwrap();
        assert_eq!(list.get(0).unwrap().expect("it is there").len(), length);
        assert_eq!(list.len().unwrap(), 1);
    }
}

#[test]
fn a_client_that_cuts_its_desk_short_harms_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let manager = Manager::start(&folder.path().join("shared"));
    let bystander = door(manager.sender.clone()).counter("bystander");
    assert_eq!(bystander.add(1).unwrap(), 1);
    let memory = desk::memory().expect("there is memory");
    let _channels = at_desk(&manager.sender, memory.clone());
    let file = file_of(&memory);
    let mut asker = Asker::new(memory).expect("a desk");
    let add = encoded(&Op::Counter { name: "bystander".into(), op: CounterOp::Add(1) });
    assert!(asker.ask(&add));
    assert!(matches!(asker.answer(|| false), Answer::Here(_)));
    file.set_len(4096).expect("it can be cut");
    // The manager writes its answers where nothing is any more: behind the first page.
    let large = encoded(&Op::Create { name: "x".repeat(3_900), kind: Kind::List, types: vec![] });
    brigade_protocol::shm::survive_cut_files().expect("a handler for this process, which touches it as well");
    assert!(asker.ask(&large));
    // Each has what it writes there for itself alone now.
    assert!(matches!(asker.answer(|| true), Answer::Here(_) | Answer::Elsewhere | Answer::Gone));
    assert_eq!(bystander.add(1).unwrap(), 3, "the manager lives");
}

fn encoded(op: &Op) -> Vec<u8> {
    let mut bytes = vec![0; HEAD_BYTES];
    put_number(&mut bytes, 1, 1);
    codec::encode(op, &mut bytes).expect("operations have an encoding");
    bytes
}

#[test]
fn a_client_that_sends_nonsense_is_turned_out_alone() {
    let (sender, table) = inside();
    let bystander = door(sender.clone()).counter("bystander");
    bystander.add(1).unwrap();

    let nonsense: [fn(IpcSender<Request>); 5] = [
        |requests| requests.send(Request(Part { more: false, bytes: vec![9, 9, 9] })).expect("it is sent"),
        |requests| requests.send(Request(Part { more: false, bytes: vec![] })).expect("it is sent"),
        |requests| requests.to_opaque().to::<u8>().send(7).expect("it is sent"),
        |requests| requests.to_opaque().to::<(bool, [u8; 4])>().send((true, [255; 4])).expect("it is sent"),
        |requests| {
            let (stray, _receiver) = ipc::channel::<u8>().expect("a channel");
            requests.to_opaque().to::<(u8, IpcSender<u8>)>().send((9, stray)).expect("it is sent");
        },
    ];
    for (number, send) in nonsense.into_iter().enumerate() {
        let (requests, replies) = raw(&sender);
        send(requests);
        assert!(replies.recv().is_err(), "nonsense {number} was answered");
    }
    // A packed list whose lengths do not add up is refused; the client may go on.
    let (requests, replies) = raw(&sender);
    let mut bytes = encoded(&Op::List { name: "l".into(), op: ListOp::Extend(Items::new()) });
    let count = bytes.len() - 2;
    bytes[count] = 5;
    requests.send(Request(Part { more: false, bytes })).expect("it is sent");
    let Ok(Reply(part)) = replies.recv() else { panic!("it is answered") };
    assert!(matches!(codec::decode(&part.bytes), Ok(Outcome::Refused(_))));
    drop((requests, replies));

    sender.clone().to_opaque().to::<[u8; 3]>().send([200; 3]).expect("it is sent");
    assert_eq!(bystander.add(1).unwrap(), 2);
    let late = door(sender).counter("bystander");
    assert_eq!(late.add(1).unwrap(), 3, "new clients are let in after nonsense at the door");
    until("only the two well-behaved are left", || table.clients() == 2);
}

#[test]
fn a_client_that_dies_in_the_middle_of_a_request_leaves_nothing_of_it() {
    let (sender, table) = inside();
    let list = door(sender.clone()).list::<Vec<u8>>("list");
    list.push([1u8].as_slice()).unwrap();
    let mut items = Items::new();
    (0..10).for_each(|_| items.push(&vec![0; PART_BYTES]));
    let message = encoded(&Op::List { name: "list".into(), op: ListOp::Extend(items) });
    let (requests, replies) = raw(&sender);
    let mut left = 5;
    let _ = parts::split(&message, |part| {
        left -= 1;
        requests.send(Request(part)).expect("the manager reads");
        if left == 0 { Err(()) } else { Ok(()) }
    });
    drop((requests, replies));
    until("the manager has seen its end", || table.clients() == 1);
    assert_eq!(list.iter().unwrap().collect::<Vec<_>>(), [[1]]);
}

#[test]
fn a_client_that_reads_no_answers_holds_up_nobody() {
    let (sender, _table) = inside();
    let shared = door(sender.clone());
    let list = shared.list::<Vec<u8>>("list");
    list.extend(vec![vec![0u8; 1000]; 1000]).unwrap();
    let (requests, replies) = raw(&sender);
    let snapshot = encoded(&Op::List { name: "list".into(), op: ListOp::Range(0, u64::MAX) });
    for _ in 0..3 {
        requests.send(Request(Part { more: false, bytes: snapshot.clone() })).expect("it is sent");
    }
    let Ok(Reply(first)) = replies.recv() else { panic!("the manager begins to answer") };
    assert!(first.more);
    assert_eq!(list.push([0u8].as_slice()).unwrap(), 1001);
    // When it reads again, all is as it was asked.
    let mut joined = Joined::default();
    let mut answers = Vec::from_iter(joined.take(first).expect("it is short"));
    while answers.len() < 3 {
        let Ok(Reply(part)) = replies.recv() else { panic!("the manager goes on") };
        answers.extend(joined.take(part).expect("it is short"));
    }
    let lengths: Vec<usize> = answers
        .iter()
        .map(|answer| match codec::decode(answer) {
            Ok(Outcome::Items(items)) => items.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lengths[0], 1000);
    assert!(lengths.is_sorted() && lengths[2] <= 1001, "{lengths:?}");
}
