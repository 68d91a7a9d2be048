//! What the files of dead letters promise.

use std::os::unix::fs::FileExt;

use brigade_protocol::id::Post;
use brigade_protocol::queue::{Geometry, Member, Queue};

use super::records::{Sending, written};
use super::*;

fn letter(id: u64) -> DeadLetter {
    let attempt = Attempt {
        worker: "hash/0".into(),
        incarnation: 2,
        time_us: 5,
        words: "killed by SIGSEGV".into(),
        stderr_tail: vec!["oh".into()],
    };
    let bytes = vec![u8::try_from(id).expect("small"); 3];
    DeadLetter { id, time_us: 7, deliveries: 5, words: "exit code 1".into(), attempts: vec![attempt], bytes }
}

fn ids(path: &Path) -> Vec<u64> {
    let file = File::open(path).expect("there");
    let mut records = Records::of(&file);
    std::iter::from_fn(|| records.next_letter().expect("read")).map(|(_, key, _)| key.id).collect()
}

fn with_letters(dir: &tempfile::TempDir, letters: impl IntoIterator<Item = u64>) -> DeadFile {
    let mut dead = DeadFile::open(&dir.path().join("q.dead")).expect("made");
    for id in letters {
        dead.keep(ItemId(id), &letter(id)).expect("kept");
    }
    dead
}

fn queue(dir: &tempfile::TempDir, capacity: u32) -> (Queue, Member) {
    let geometry = Geometry { capacity, item_bytes: 64, max_item_bytes: 64, max_deliveries: Some(5) };
    let queue = Queue::create(&dir.path().join("q.queue"), &geometry).expect("made");
    let member = queue.join(Post(0), 0).expect("a place");
    (queue, member)
}

#[test]
fn letters_are_kept_once_and_found_again() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dead = with_letters(&dir, [1, 2, 1]);
    assert_eq!(dead.len(), 2);
    assert_eq!(DeadFile::open(&dead.path).expect("opened").len(), 2);
    let file = File::open(&dead.path).expect("there");
    let (_, _, found) = Records::of(&file).next_letter().expect("read").expect("there");
    assert_eq!(found, letter(1));
}

#[test]
fn a_letter_of_a_new_queue_is_kept_although_an_old_one_had_its_id() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut dead = with_letters(&dir, [1]);
    dead.begin_anew().expect("noted");
    let mut dead = DeadFile::open(&dead.path).expect("opened");
    for _ in 0..2 {
        dead.keep(ItemId(1), &letter(1)).expect("kept");
    }
    assert_eq!((dead.len(), ids(&dead.path)), (2, vec![1, 1]));
}

#[test]
fn a_record_that_was_cut_off_is_cut_away() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = with_letters(&dir, [1]).path;
    let whole = std::fs::read(&path).expect("read");
    for cut in 1..whole.len() {
        let half = [&whole[..], &whole[..cut]].concat();
        std::fs::write(&path, half).expect("written");
        assert_eq!(ids(&path), [1], "who only reads sees what is whole");
        let mut dead = DeadFile::open(&path).expect("opened");
        assert_eq!(dead.len(), 1);
        dead.keep(ItemId(2), &letter(2)).expect("kept");
        assert_eq!(DeadFile::open(&path).expect("opened").len(), 2);
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_letter_is_not_counted() {
    let mut dead = DeadFile {
        path: PathBuf::from("/dev/full"),
        file: OpenOptions::new().write(true).open("/dev/full").expect("there"),
        ids: HashSet::new(),
        letters: 0,
        end: 0,
        damage: None,
    };
    assert!(dead.keep(ItemId(1), &letter(1)).is_err());
    assert!(dead.is_empty());
}

#[test]
fn whole_records_of_another_version_are_refused_and_not_cut_away() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = with_letters(&dir, [1]).path;
    let body = [9u8, 1, 2];
    let mut bytes = std::fs::read(&path).expect("read");
    bytes.extend(3u32.to_le_bytes());
    bytes.extend(crc32fast::hash(&body).to_le_bytes());
    bytes.extend(body);
    std::fs::write(&path, &bytes).expect("written");
    assert_eq!(DeadFile::open(&path).expect_err("refused").kind(), io::ErrorKind::InvalidData);
    assert_eq!(std::fs::read(&path).expect("read"), bytes);
}

#[test]
fn retried_letters_are_in_the_queue_and_not_in_the_file() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut dead = with_letters(&dir, [1, 2, 3]);
    let (queue, mut member) = queue(&dir, 8);
    let gone = dead.retry(&mut member, &Which::These(vec![1, 3, 9])).expect("sent");
    assert_eq!(gone, Gone { gone: 2, stay: 0, why: None });
    assert_eq!((dead.len(), ids(&dead.path), queue.totals().sent), (1, vec![2], 2));
    for id in [1, 3] {
        let lease = member.try_recv().expect("an item");
        assert_eq!((lease.deliveries(), member.bytes(&lease)), (1, &letter(id).bytes[..]));
        member.ack(lease);
    }
}

#[test]
fn what_the_queue_has_no_room_for_stays() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut dead = with_letters(&dir, 1..=5);
    let (queue, mut member) = queue(&dir, 2);
    let gone = dead.retry(&mut member, &Which::All).expect("sent");
    assert_eq!((gone.gone, gone.stay), (2, 3));
    assert!(gone.why.is_some_and(|why| why.contains("full")));
    assert_eq!(ids(&dead.path), [3, 4, 5]);
    queue.close();
    let gone = dead.retry(&mut member, &Which::All).expect("nothing to do");
    assert_eq!((gone.gone, gone.stay, ids(&dead.path)), (0, 3, vec![3, 4, 5]));
}

#[test]
fn a_retry_that_was_broken_off_anywhere_neither_loses_nor_doubles() {
    for sent in 0..=3u64 {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut dead = with_letters(&dir, [1, 2, 3]);
        let (queue, mut member) = queue(&dir, 8);
        let first = member.next_item().0;
        let sending = [1, 2, 3].map(|id| Sending { letter: Key { life: 0, id }, becomes: first + id - 1 });
        dead.append(&Record::Sending(sending.to_vec())).expect("noted");
        for id in 1..=sent {
            member.try_send(&letter(id).bytes).expect("there is room");
        }
        drop(member);
        let mut dead = DeadFile::open(&dead.path).expect("opened");
        assert_eq!(dead.settle(Some(&queue)).expect("settled"), sent);
        assert_eq!(ids(&dead.path), (sent + 1..=3).collect::<Vec<_>>());
        assert_eq!(dead.settle(Some(&queue)).expect("nothing to do"), 0);
    }
}

#[test]
fn dropped_letters_are_gone_and_the_rest_stays_as_it_was() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut dead = with_letters(&dir, [1, 2]);
    dead.begin_anew().expect("noted");
    dead.keep(ItemId(1), &letter(1)).expect("kept");
    dead.keep(ItemId(3), &letter(3)).expect("kept");
    let gone = dead.drop_letters(None, &Which::These(vec![1])).expect("dropped");
    assert_eq!((gone.gone, ids(&dead.path)), (2, vec![2, 3]));
    dead.keep(ItemId(2), &letter(2)).expect("kept: the 2 that is there is an older one");
    assert_eq!(ids(&dead.path), [2, 3, 2]);
}

#[test]
fn garbage_never_makes_it_panic() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = with_letters(&dir, [1, 2]).path;
    let whole = std::fs::read(&path).expect("read");
    for at in 0..whole.len() {
        std::fs::write(&path, &whole).expect("written");
        let file = OpenOptions::new().write(true).open(&path).expect("there");
        file.write_all_at(&[whole[at] ^ 0x40], at as u64).expect("written");
        assert!(ids(&path).len() < 2, "byte {at}");
    }
    assert!(written(&Record::Anew).expect("written").len() < 16);
}
