//! What the files of dead letters promise.

use std::os::unix::fs::FileExt;

use brigade_protocol::id::Post;
use brigade_protocol::queue::{Geometry, Member, Queue};
use brigade_protocol::shape::{Canonical, Shape, TypeNote};

use super::first::{FirstLetter, FirstRecord};
use super::records::{FILE_HEAD, Sending};
use super::*;

/// The queue that the letters come from.
const LIFE: u64 = 77;

fn key(id: u64) -> ItemKey {
    ItemKey { life: LIFE, id }
}

fn letter(id: u64) -> DeadLetter {
    let attempt = Attempt {
        worker: "hash/0".into(),
        incarnation: 2,
        time_us: 5,
        words: "killed by SIGSEGV".into(),
        stderr_tail: vec!["oh".into()],
    };
    let bytes = vec![u8::try_from(id).expect("small"); 3];
    DeadLetter { key: key(id), time_us: 7, deliveries: 5, words: "exit code 1".into(), attempts: vec![attempt], bytes }
}

fn letters(path: &Path) -> Vec<DeadLetter> {
    let file = File::open(path).expect("there");
    let mut records = Records::of(&file).expect("read");
    std::iter::from_fn(|| records.next_letter().expect("read")).map(|(_, letter)| letter).collect()
}

fn ids(path: &Path) -> Vec<u64> {
    letters(path).into_iter().map(|letter| letter.key.id).collect()
}

fn with_letters(dir: &tempfile::TempDir, letters: impl IntoIterator<Item = u64>) -> DeadFile {
    let mut dead = DeadFile::open(&dir.path().join("q.dead")).expect("made");
    dead.keep(&ItemShape::Unknown, letters.into_iter().map(letter).collect()).expect("kept");
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
    assert_eq!(letters(&dead.path), [letter(1), letter(2)]);
}

#[test]
fn a_letter_of_another_queue_is_kept_although_one_of_the_same_id_is_there() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut dead = with_letters(&dir, [1]);
    for _ in 0..2 {
        let other = DeadLetter { key: ItemKey { life: 78, id: 1 }, ..letter(1) };
        dead.keep(&ItemShape::Unknown, vec![other]).expect("kept");
    }
    assert_eq!((dead.len(), ids(&dead.path)), (2, vec![1, 1]));
}

/// Items with ids from the first on die in a queue; it is made again at the same place, without a word to the file of dead
/// letters, and items with the same ids die there.
#[test]
fn letters_of_a_queue_that_was_made_again_are_kept_whoever_was_told_of_that() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut dead = with_letters(&dir, []);
    for _ in 0..2 {
        let (queue, mut member) = queue(&dir, 8);
        for _ in 0..3 {
            member.try_send(b"x").expect("room");
        }
        for _ in 0..3 {
            while let Ok(lease) = member.try_recv() {
                member.nack(lease);
            }
        }
        assert_eq!(dead.take_from(&queue, |_| (String::new(), Vec::new()), |_| {}).expect("kept"), 3);
    }
    let found = letters(&dead.path);
    assert_eq!((dead.len(), found.len()), (6, 6));
    let known: HashSet<ItemKey> = found.iter().map(|letter| letter.key).collect();
    assert_eq!(known.len(), 6, "they can be told from each other: {known:?}");
}

#[test]
fn a_record_that_was_cut_off_is_cut_away() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = with_letters(&dir, [1]).path;
    let whole = std::fs::read(&path).expect("read");
    let record = &whole[FILE_HEAD as usize..];
    for cut in 1..record.len() {
        let half = [&whole[..], &record[..cut]].concat();
        std::fs::write(&path, half).expect("written");
        assert_eq!(ids(&path), [1], "who only reads sees what is whole");
        let mut dead = DeadFile::open(&path).expect("opened");
        assert_eq!(dead.len(), 1);
        dead.keep(&ItemShape::Unknown, vec![letter(2)]).expect("kept");
        assert_eq!(DeadFile::open(&path).expect("opened").len(), 2);
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_letter_is_not_counted() {
    let mut dead = DeadFile {
        path: PathBuf::from("/dev/full"),
        file: OpenOptions::new().write(true).open("/dev/full").expect("there"),
        keys: HashSet::new(),
        letters: 0,
        shape: ItemShape::Unknown,
        end: 0,
        damage: None,
    };
    assert!(dead.keep(&ItemShape::Unknown, vec![letter(1), letter(2)]).is_err());
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
    let gone = dead.retry(&mut member, &Which::These(vec![key(1), key(3), key(9)])).expect("sent");
    assert_eq!(gone, Gone { gone: 2, stay: 0, why: None });
    assert_eq!((dead.len(), ids(&dead.path), queue.totals().sent), (1, vec![2], 2));
    for id in [1, 3] {
        let lease = member.try_recv().expect("an item");
        assert_eq!((lease.deliveries(), member.bytes(&lease)), (1, &letter(id).bytes[..]));
        assert_eq!(queue.key(&lease), key(id), "it is the same item");
        member.ack(lease);
    }
}

#[test]
fn a_letter_that_was_retried_and_dies_again_is_the_same_letter() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut dead = with_letters(&dir, [1]);
    let (queue, mut member) = queue(&dir, 8);
    for _ in 0..2 {
        assert_eq!(dead.retry(&mut member, &Which::All).expect("sent").gone, 1);
        while let Ok(lease) = member.try_recv() {
            member.nack(lease);
        }
        assert_eq!(dead.take_from(&queue, |_| (String::new(), Vec::new()), |_| {}).expect("kept"), 1);
        assert_eq!(letters(&dead.path).iter().map(|letter| letter.key).collect::<Vec<_>>(), [key(1)]);
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

fn shape(shape: Shape) -> ItemShape {
    let note = TypeNote { name: String::new(), shape, enums: Vec::new() };
    let Canonical { bytes, hash } = note.canonical().expect("it is known");
    ItemShape::Known { bytes, hash }
}

/// Letters 1 (not known), 2 (u64), 3 (i64) and 4 (not known).
fn of_many_shapes(dir: &tempfile::TempDir) -> DeadFile {
    let mut dead = with_letters(dir, [1]);
    for (id, shape) in [(2, shape(Shape::U64)), (3, shape(Shape::I64)), (4, ItemShape::Unknown)] {
        dead.keep(&shape, vec![letter(id)]).expect("kept");
    }
    dead
}

#[test]
fn letters_of_another_shape_than_the_queues_stay_and_the_others_go() {
    for first in [None, Some(Shape::U64)] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut dead = of_many_shapes(&dir);
        let (queue, mut member) = queue(&dir, 8);
        if let Some(first) = first {
            shape(first).join(&queue).expect("the first one");
        }
        let gone = dead.retry(&mut member, &Which::All).expect("sent");
        assert_eq!((gone.gone, gone.stay, ids(&dead.path)), (3, 1, vec![3]));
        let why = gone.why.expect("it is told");
        let words = "a dead letter has the shape i64, and the shape of the queue's items is now u64 (in the letter: i64 instead of u64)";
        assert!(why.starts_with(words), "{why}");
        assert_eq!(ItemShape::of(&queue), shape(Shape::U64), "a queue without a shape takes that of the letters");
        // It is in the file also when that was written again.
        assert_eq!(DeadFile::open(&dead.path).expect("opened").shape, shape(Shape::I64));
        assert_eq!(dead.retry(&mut member, &Which::All).expect("refused").stay, 1);
    }
}

#[test]
fn a_letter_has_the_shape_of_the_queue_that_it_came_from() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut dead = with_letters(&dir, []);
    let (old, mut member) = queue(&dir, 8);
    shape(Shape::U64).join(&old).expect("the first one");
    member.try_send(b"x").expect("room");
    while let Ok(lease) = member.try_recv() {
        member.nack(lease);
    }
    assert_eq!(dead.take_from(&old, |_| (String::new(), Vec::new()), |_| {}).expect("kept"), 1);
    let (queue, mut member) = queue(&dir, 8);
    shape(Shape::Text).join(&queue).expect("the first one");
    let gone = dead.retry(&mut member, &Which::All).expect("refused");
    assert_eq!((gone.gone, gone.stay, dead.len()), (0, 1, 1));
}

#[test]
fn shapes_that_are_too_large_are_compared_by_their_hashes() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (queue, _member) = queue(&dir, 8);
    let large = |last: &str| {
        let parts = (0..1000).map(|n| (format!("a_field_with_a_long_name_{n}"), Shape::U8));
        shape(Shape::Struct(parts.chain([(last.to_owned(), Shape::U8)]).collect()))
    };
    large("one").join(&queue).expect("the first one");
    let noted = ItemShape::of(&queue);
    assert!(matches!(noted, ItemShape::TooLarge { .. }));
    assert_eq!((noted.join(&queue), large("one").join(&queue)), (Ok(()), Ok(())));
    let other = shape(Shape::U64).join(&queue).expect_err("another one").to_string();
    assert!(other.contains("the shape of the queue's items is now too large to be shown"), "{other}");
    assert!(large("two").join(&queue).is_err());
}

#[test]
fn a_retry_that_was_broken_off_anywhere_neither_loses_nor_doubles() {
    for sent in 0..=3u64 {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut dead = with_letters(&dir, [1, 2, 3]);
        let (queue, mut member) = queue(&dir, 8);
        let (first, life) = (member.next_item().0, queue.life());
        let sending = [1, 2, 3].map(|id| Sending { letter: key(id), life, becomes: first + id - 1 });
        dead.append(&[Record::Sending(sending.to_vec())]).expect("noted");
        for id in 1..=sent {
            member.try_send_as(&letter(id).bytes, key(id)).expect("there is room");
        }
        drop(member);
        let mut dead = DeadFile::open(&dead.path).expect("opened");
        assert_eq!(dead.settle(Some(&queue)).expect("settled"), sent);
        assert_eq!(ids(&dead.path), (sent + 1..=3).collect::<Vec<_>>());
        assert_eq!(dead.settle(Some(&queue)).expect("nothing to do"), 0);
    }
}

#[test]
fn what_was_sent_to_a_queue_that_was_made_again_since_was_not_sent_to_the_one_that_is_there() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut dead = with_letters(&dir, [1]);
    let (before, member) = queue(&dir, 8);
    let sending = Sending { letter: key(1), life: before.life(), becomes: member.next_item().0 };
    dead.append(&[Record::Sending(vec![sending])]).expect("noted");
    let (queue, mut member) = queue(&dir, 8);
    member.try_send(b"another item of the same id").expect("room");
    assert!(queue.was_sent(brigade_protocol::id::ItemId(sending.becomes)));
    assert_eq!(dead.settle(Some(&queue)).expect("settled"), 0);
    assert_eq!(ids(&dead.path), [1]);
}

#[test]
fn dropped_letters_are_gone_and_the_rest_stays_as_it_was() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut dead = with_letters(&dir, [1, 2]);
    let other = DeadLetter { key: ItemKey { life: 78, id: 1 }, ..letter(1) };
    dead.keep(&ItemShape::Unknown, vec![other.clone(), letter(3)]).expect("kept");
    let gone = dead.drop_letters(None, &Which::These(vec![key(1)])).expect("dropped");
    assert_eq!(gone.gone, 1);
    assert_eq!(letters(&dead.path), [letter(2), other, letter(3)]);
}

/// A file as version 1 wrote it: two letters of one id, between which the queue was made again, and a retry that was broken
/// off.
fn first_version() -> Vec<u8> {
    let letter = |time_us| {
        let DeadLetter { deliveries, words, attempts, bytes, .. } = letter(1);
        FirstRecord::Letter(FirstLetter { id: 1, time_us, deliveries, words, attempts, bytes })
    };
    let records = [letter(7), FirstRecord::Anew, letter(8), FirstRecord::Sending(vec![((1, 1), 9)])];
    let mut file = Vec::new();
    for record in records {
        let mut body = Vec::new();
        brigade_protocol::codec::encode(&record, &mut body).expect("encoded");
        file.extend(u32::try_from(body.len()).expect("small").to_le_bytes());
        file.extend(crc32fast::hash(&body).to_le_bytes());
        file.extend(body);
    }
    file
}

#[test]
fn letters_of_version_1_are_read_as_they_are_and_written_as_they_are_now() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("q.dead");
    std::fs::write(&path, first_version()).expect("written");
    let before = letters(&path);
    assert_eq!(before.iter().map(|letter| (letter.key.id, letter.time_us)).collect::<Vec<_>>(), [(1, 7), (1, 8)]);
    assert_ne!(before[0].key, before[1].key);
    assert_eq!(std::fs::read(&path).expect("read"), first_version(), "a reader changes nothing");
    let mut dead = DeadFile::open(&path).expect("opened");
    assert_eq!((dead.len(), letters(&path)), (2, before.clone()), "the same letters under the same keys");
    assert!(std::fs::read(&path).expect("read").starts_with(b"BRIGADED"));
    dead.drop_letters(None, &Which::These(vec![before[0].key])).expect("dropped");
    assert_eq!(letters(&path), before[1..]);
}

#[test]
fn a_file_of_version_1_that_was_cut_off_keeps_what_is_whole() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("q.dead");
    let whole = first_version();
    std::fs::write(&path, &whole[..whole.len() - 1]).expect("written");
    let dead = DeadFile::open(&path).expect("opened");
    let damage = dead.damage().expect("it is told");
    assert_eq!((dead.len(), damage.is_cut_off), (2, true));
    assert_eq!(std::fs::read(&damage.copy).expect("kept"), whole[..whole.len() - 1]);
}

#[test]
fn a_file_whose_making_was_broken_off_is_made() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = with_letters(&dir, []).path;
    let head = std::fs::read(&path).expect("read");
    assert_eq!(head.len() as u64, FILE_HEAD);
    for cut in 0..head.len() {
        std::fs::write(&path, &head[..cut]).expect("written");
        assert_eq!(ids(&path), [0; 0]);
        let mut dead = DeadFile::open(&path).expect("opened");
        assert_eq!(dead.damage(), None);
        dead.keep(&ItemShape::Unknown, vec![letter(1)]).expect("kept");
        assert_eq!(ids(&path), [1]);
    }
}

#[test]
fn a_file_of_a_later_version_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = with_letters(&dir, [1]).path;
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[8] = 3;
    std::fs::write(&path, &bytes).expect("written");
    let error = DeadFile::open(&path).expect_err("refused");
    assert!(error.to_string().contains("version 3"), "{error}");
    assert_eq!(std::fs::read(&path).expect("read"), bytes);
}

#[test]
fn garbage_never_makes_it_panic() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = with_letters(&dir, [1, 2]).path;
    let whole = std::fs::read(&path).expect("read");
    for at in 0..whole.len() {
        std::fs::write(&path, &whole).expect("written");
        let file = OpenOptions::new().read(true).write(true).open(&path).expect("there");
        file.write_all_at(&[whole[at] ^ 0x40], at as u64).expect("written");
        let Ok(mut records) = Records::of(&file) else { continue };
        let letters = std::iter::from_fn(|| records.next_letter().ok().flatten());
        assert!(letters.count() < 2, "byte {at}");
    }
}
