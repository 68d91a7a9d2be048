//! The queue's file: made by the supervisor, opened by everybody, and believed only after its header was checked.

use crate::sync::{AtomicU64, Ordering};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::fcntl::{FallocateFlags, fallocate};

use super::delayed::Delayed;
use super::error::QueueError;
use super::geometry::{Geometry, Layout, MEMBER_BYTES, MEMBERS, SPARE_SLOTS, header};
use super::late::LateLane;
use super::place::Place;
use super::places::{PLACES_WORDS, Places};
use super::ring::Ring;
use super::turn::CLOSED;
use crate::codec::FORMAT;
use crate::control::PROTOCOL;
use crate::shm::{EventCount, Lookout, Region, Words, boot_id};

const MAGIC: u64 = u64::from_le_bytes(*b"BRIGADEQ");

/// A queue, mapped. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) file: File,
    pub(super) region: Arc<Region>,
    pub(super) geometry: Geometry,
    pub(super) layout: Layout,
    pub(super) ring: Ring,
    pub(super) items: Lookout,
    pub(super) room: EventCount,
    closed: Words,
    deaths: Words,
    pub(super) backed: Words,
    pub(super) batches: Words,
    pub(super) origins: Words,
    highest: Words,
    life: u64,
    pub(super) places: Places,
    /// What the fixed part of the header holds, and has to hold.
    fixed: Words,
    made: [u64; header::FIXED_WORDS],
    /// Places of members of this process that were dropped: the next member of the same thread takes them over. To everybody
    /// else they are taken until the process is gone, so that a place has one owner from one sweep to the next.
    pub(super) idle: Mutex<Vec<u16>>,
    /// By member: how many drafts of this process it has open. Of the heap, and each used by one thread.
    pub(super) drafts: Box<[std::sync::atomic::AtomicU32]>,
}

impl Queue {
    /// Makes an empty queue at `path`, replacing nothing: it is written beside it and then renamed.
    ///
    /// All but the large regions is allocated for real, so that a full disk is an error here, and not a SIGBUS later.
    /// If the process dies in the middle, a file named `….new` is left, which the next `create` replaces.
    pub fn create(path: &Path, geometry: &Geometry) -> Result<Self, QueueError> {
        let life = new_life().map_err(|source| QueueError::Io { what: "create", path: path.to_owned(), source })?;
        Self::create_in(path, geometry, life)
    }

    /// The same, as a further file of a life that has begun.
    pub(super) fn create_in(path: &Path, geometry: &Geometry, life: u64) -> Result<Self, QueueError> {
        geometry.check()?;
        let fail = |what| move |source| QueueError::Io { what, path: path.to_owned(), source };
        let layout = geometry.layout();
        let new = path.with_extension("new");
        let _ = std::fs::remove_file(&new);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .map_err(fail("create"))?;
        let made = (|| {
            let dense = i64::try_from(layout.large).map_err(io::Error::other)?;
            fallocate(&file, FallocateFlags::empty(), 0, dense)?;
            file.set_len(layout.total as u64)?;
            file.write_all_at(&fixed_header(geometry, boot_id()?, life), header::FIXED as u64)?;
            std::fs::rename(&new, path)
        })();
        if let Err(error) = made {
            let _ = std::fs::remove_file(&new);
            return Err(fail("create")(error));
        }
        Self::map(path, file, *geometry, life)
    }

    /// Opens the queue at `path`. Its header is checked before anything else in it is believed.
    pub fn open(path: &Path) -> Result<Self, QueueError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let fail = |source| QueueError::Io { what: "open", path: path.to_owned(), source };
        Self::of_file(path, file.map_err(fail)?)
    }

    /// The same for a file that is open already; `path` is for words alone.
    pub fn of_file(path: &Path, file: File) -> Result<Self, QueueError> {
        let fail = |what| move |source| QueueError::Io { what, path: path.to_owned(), source };
        let foreign = |why: String| QueueError::Foreign { path: path.to_owned(), why };
        let mut bytes = [0; header::FIXED_WORDS * 8];
        match file.read_exact_at(&mut bytes, header::FIXED as u64) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(foreign("it is too short".into()));
            }
            Err(error) => return Err(fail("read")(error)),
        }
        let (geometry, life) = read_header(&bytes, boot_id().map_err(fail("read"))?).map_err(|wrong| match wrong {
            Wrong::Foreign(why) => foreign(why),
            Wrong::Version(found) => QueueError::Version { path: path.to_owned(), found },
            Wrong::Rebooted => QueueError::Rebooted { path: path.to_owned() },
        })?;
        geometry.check().map_err(|error| foreign(error.to_string()))?;
        let length = file.metadata().map_err(fail("read"))?.len();
        if length != geometry.layout().total as u64 {
            return Err(foreign(format!("it has {length} bytes instead of {}", geometry.layout().total)));
        }
        Self::map(path, file, geometry, life)
    }

    fn map(path: &Path, file: File, geometry: Geometry, life: u64) -> Result<Self, QueueError> {
        let layout = geometry.layout();
        let region = Region::map(&file, layout.total).map_err(|source| QueueError::Io {
            what: "map",
            path: path.to_owned(),
            source,
        })?;
        let slots = geometry.capacity as usize + SPARE_SLOTS;
        let fixed = fixed_header(
            &geometry,
            boot_id().map_err(|source| QueueError::Io { what: "map", path: path.to_owned(), source })?,
            life,
        );
        let lane =
            |top, bits| LateLane::new(region.words(top, 1), region.words(bits, LateLane::words_for(geometry.capacity)));
        let delayed = Delayed::new(
            lane(header::DELAYED_TOP, layout.delayed),
            region.words(layout.due, slots),
            region.words(header::NEXT_LOOK, 1),
        );
        let ring = Ring::new(
            region.words(layout.states, slots * geometry.words_apart()),
            region.words(layout.born, slots),
            [header::HEAD, header::TAIL].map(|hint| region.words(hint, 1)),
            (lane(header::LATE_TOP, layout.late), region.words(header::LATE_HINTS, 1)),
            delayed,
            geometry.max_deliveries.unwrap_or(0),
        );
        Ok(Self {
            shared: Arc::new(Shared {
                items: Lookout::new(region.event(header::ITEMS), region.words(header::OUT, 1)),
                room: region.event(header::ROOM),
                closed: region.words(header::CLOSED, 1),
                deaths: region.words(header::DEATHS, 1),
                backed: region.words(layout.backed, slots),
                batches: region.words(layout.batches, slots),
                origins: region.words(layout.origins, 2 * slots),
                highest: region.words(header::HIGHEST, 1),
                places: Places::new(region.words(layout.members, PLACES_WORDS)),
                fixed: region.words(header::FIXED, header::FIXED_WORDS),
                made: words_of(&fixed),
                life,
                file,
                region,
                geometry,
                layout,
                ring,
                idle: Mutex::default(),
                drafts: (0..MEMBERS).map(|_| std::sync::atomic::AtomicU32::new(0)).collect(),
            }),
        })
    }

    /// The numbers that it was made with.
    #[inline]
    pub fn geometry(&self) -> Geometry {
        self.shared.geometry
    }

    /// The random number of its life: another one whenever the queue begins empty, with ids from the first on.
    #[inline]
    pub fn life(&self) -> u64 {
        self.shared.life
    }

    /// Notes that a place has a member.
    pub(super) fn note_member(&self, index: u16) {
        self.shared.highest.at(0).fetch_max(u64::from(index) + 1, Ordering::Relaxed);
    }

    /// Slots.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.shared.geometry.capacity as usize
    }

    /// How many items wait to be taken, roughly: others change it while it is read.
    pub fn len(&self) -> usize {
        usize::try_from(self.shared.ring.waiting()).unwrap_or(usize::MAX).min(self.capacity())
    }

    /// Whether no item waits to be taken, roughly.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No item will be sent any more. Who waits for one learns of the end when nothing is left in anybody's hands.
    pub fn close(&self) {
        // SeqCst: either a receiver that frees the last slot sees this and wakes the others, or they, woken here, see
        // the free slot.
        self.shared.closed.at(0).fetch_or(CLOSED, Ordering::SeqCst);
        self.wake_all();
    }

    /// Items may be sent again (a new run of the pipeline).
    pub fn reopen(&self) {
        self.shared.closed.at(0).store(0, Ordering::SeqCst);
    }

    /// Whether it was closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.gate().load(Ordering::SeqCst) & CLOSED != 0
    }

    /// The word that holds back senders: whether the queue is closed, and whose turn it is.
    #[inline]
    pub(super) fn gate(&self) -> &AtomicU64 {
        self.shared.closed.first()
    }

    /// Wakes everybody who sleeps at this queue; they look around and sleep again if nothing has changed for them.
    pub fn wake_all(&self) {
        self.shared.items.call_all();
        self.shared.room.notify_all();
    }

    /// Goes up whenever a living worker makes an item a dead letter, which the supervisor then puts aside.
    pub fn deaths(&self) -> u64 {
        self.shared.deaths.at(0).load(Ordering::Relaxed)
    }

    /// Whether the header still holds what the queue was made with.
    pub(super) fn has_its_header(&self) -> bool {
        let Shared { fixed, made, .. } = &*self.shared;
        (0..made.len()).all(|index| fixed.at(index).load(Ordering::Relaxed) == made[index])
    }

    pub(super) fn count_death(&self) {
        self.shared.deaths.at(0).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn place(&self, index: u16) -> Place {
        let offset = self.shared.layout.members + usize::from(index) * MEMBER_BYTES;
        Place::new(self.shared.region.words(offset, MEMBER_BYTES / 8))
    }
}

enum Wrong {
    Foreign(String),
    Version(u64),
    Rebooted,
}

/// A number that no other life has.
fn new_life() -> io::Result<u64> {
    let mut bytes = [0; 8];
    loop {
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        match u64::from_le_bytes(bytes) {
            0 => {}
            life => return Ok(life),
        }
    }
}

/// How many rings a queue consists of.
const STRANDS: u64 = 1;

/// magic, version, boot id (2), capacity, item_bytes, max_item_bytes, max_deliveries, members, life, format of the items,
/// strands, …, checksum (last).
fn fixed_header(geometry: &Geometry, boot: [u64; 2], life: u64) -> Vec<u8> {
    let mut words = [0u64; header::FIXED_WORDS];
    words[0] = MAGIC;
    words[1] = u64::from(PROTOCOL);
    words[2..4].copy_from_slice(&boot);
    words[4] = geometry.capacity.into();
    words[5] = geometry.item_bytes.into();
    words[6] = geometry.max_item_bytes.into();
    words[7] = geometry.max_deliveries.unwrap_or(0).into();
    words[8] = MEMBERS as u64;
    words[9] = life;
    words[10] = FORMAT.into();
    words[11] = STRANDS;
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let sum = u64::from(crc32fast::hash(&bytes[..bytes.len() - 8]));
    let end = bytes.len() - 8;
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn words_of(bytes: &[u8]) -> [u64; header::FIXED_WORDS] {
    let mut words = [0; header::FIXED_WORDS];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
    }
    words
}

fn read_header(bytes: &[u8; header::FIXED_WORDS * 8], boot: [u64; 2]) -> Result<(Geometry, u64), Wrong> {
    let words = words_of(bytes);
    if words[0] != MAGIC {
        return Err(Wrong::Foreign("it does not begin as one".into()));
    }
    // With the format of this version in its place: is it the format alone that is damaged?
    let mut ours = *bytes;
    ours[8..16].copy_from_slice(&u64::from(PROTOCOL).to_le_bytes());
    let is_whole = words[header::FIXED_WORDS - 1] == u64::from(crc32fast::hash(&ours[..bytes.len() - 8]));
    match words[1] {
        format if format == u64::from(PROTOCOL) && is_whole => {}
        format if format != u64::from(PROTOCOL) && !is_whole => return Err(Wrong::Version(format)),
        _ => return Err(Wrong::Foreign("its header is damaged (wrong checksum)".into())),
    }
    if words[2..4] != boot {
        return Err(Wrong::Rebooted);
    }
    let small =
        |word: u64| u32::try_from(word).map_err(|_| Wrong::Foreign("its header holds an impossible number".into()));
    let deliveries = u16::try_from(words[7]).map_err(|_| Wrong::Foreign("its max_deliveries is impossible".into()))?;
    if words[8] != MEMBERS as u64 {
        return Err(Wrong::Foreign(format!("it has {} places for members instead of {MEMBERS}", words[8])));
    }
    if words[9] == 0 {
        return Err(Wrong::Foreign("it has no number of its life".into()));
    }
    if (words[10], words[11]) != (FORMAT.into(), STRANDS) {
        let (format, strands) = (words[10], words[11]);
        return Err(Wrong::Foreign(format!(
            "it has items of format {format} in {strands} strands, and this program knows format {FORMAT} in {STRANDS}"
        )));
    }
    let geometry = Geometry {
        capacity: small(words[4])?,
        item_bytes: small(words[5])?,
        max_item_bytes: small(words[6])?,
        max_deliveries: (deliveries != 0).then_some(deliveries),
    };
    Ok((geometry, words[9]))
}
