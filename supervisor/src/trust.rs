//! Who else could change a file. What root runs, and what tells root what to run, must not be another's to write: without
//! this look a folder that is open to all would hand the machine to anybody.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// A place that others can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Such as `the folder /srv is writable by everybody`.
    pub what: String,
    /// What to do, such as `chmod o-w /srv`.
    pub mend: String,
}

const STICKY: u32 = 0o1000;
/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// The first place on the way to `path` (absolute; what is not there does not count) that somebody can change who is
/// not among `owners`. Links are followed, each as a place of its own. The group of root counts as root; a folder with the
/// sticky bit may be open to all, since in it nobody can touch what is another's.
pub fn doubt(path: &Path, owners: &[u32]) -> Option<Doubt> {
    let mut way = steps(path);
    let mut at = PathBuf::from("/");
    let mut links = 0;
    if let Some(doubt) = doubt_of(&at, owners) {
        return Some(doubt);
    }
    while let Some(step) = way.pop_front() {
        if step == ".." {
            at.pop(); // Links have been followed up to here, so this is the folder above.
            continue;
        }
        let next = at.join(&step);
        if let Some(doubt) = doubt_of(&next, owners) {
            return Some(doubt);
        }
        match std::fs::read_link(&next) {
            Ok(target) if links < MOST_LINKS => {
                links += 1;
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                for step in steps(&target).into_iter().rev() {
                    way.push_front(step);
                }
            }
            Ok(_) | Err(_) => at = next,
        }
    }
    None
}

fn steps(path: &Path) -> VecDeque<OsString> {
    let named = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(named).collect()
}

fn doubt_of(place: &Path, owners: &[u32]) -> Option<Doubt> {
    let found = std::fs::symlink_metadata(place).ok()?;
    let noun = if found.is_symlink() {
        "the link"
    } else if found.is_dir() {
        "the folder"
    } else {
        "the file"
    };
    let shown = place.display();
    let doubt = |what: String, mend: String| Some(Doubt { what: format!("{noun} {shown} {what}"), mend });
    if !owners.contains(&found.uid()) {
        return doubt(format!("belongs to user {}", found.uid()), format!("chown -h root {shown}"));
    }
    if found.is_symlink() || (found.is_dir() && found.mode() & STICKY != 0) {
        return None;
    }
    if found.mode() & 0o002 != 0 {
        return doubt("is writable by everybody".to_owned(), format!("chmod go-w {shown}"));
    }
    if found.mode() & 0o020 != 0 && found.gid() != 0 {
        return doubt(format!("is writable by group {}", found.gid()), format!("chmod g-w {shown}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions, write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn we() -> u32 {
        nix::unistd::geteuid().as_raw()
    }

    /// A folder `a/b` with a file, and the way to it.
    fn bench() -> (tempfile::TempDir, PathBuf) {
        let base = tempfile::tempdir().expect("a folder");
        let root = base.path().canonicalize().expect("a path");
        create_dir(root.join("a")).expect("made");
        create_dir(root.join("a/b")).expect("made");
        write(root.join("a/b/file"), "").expect("written");
        for (name, mode) in [("a", 0o755), ("a/b", 0o755), ("a/b/file", 0o644)] {
            set_permissions(root.join(name), Permissions::from_mode(mode)).expect("set");
        }
        (base, root)
    }

    #[test]
    fn what_only_its_owner_and_root_can_write_is_beyond_doubt_even_below_an_open_sticky_folder() {
        let (_base, root) = bench();
        assert_eq!(doubt(&root.join("a/b/file"), &[0, we()]), None);
        set_permissions(root.join("a"), Permissions::from_mode(0o1777)).expect("set");
        assert_eq!(doubt(&root.join("a/b/file"), &[0, we()]), None);
        assert_eq!(doubt(&root.join("a/b/not/there"), &[0, we()]), None);
    }

    #[test]
    fn every_place_on_the_way_counts_and_is_named() {
        let (_base, root) = bench();
        for (name, noun) in [("a", "folder"), ("a/b", "folder"), ("a/b/file", "file")] {
            let before = std::fs::metadata(root.join(name)).expect("there").permissions();
            set_permissions(root.join(name), Permissions::from_mode(0o757)).expect("set");
            let found = doubt(&root.join("a/b/file"), &[0, we()]).expect("others can write there");
            let place = root.join(name).display().to_string();
            assert_eq!(found.what, format!("the {noun} {place} is writable by everybody"));
            assert_eq!(found.mend, format!("chmod go-w {place}"));
            set_permissions(root.join(name), before).expect("set");
        }
        let stranger = doubt(&root.join("a/b/file"), &[0x7FFF_FFFF]).expect("the root folder is root's");
        assert_eq!(stranger.what, "the folder / belongs to user 0");
    }

    #[test]
    fn links_are_followed_wherever_they_lead() {
        let (_base, root) = bench();
        symlink("b/../b/file", root.join("a/near")).expect("made");
        symlink(root.join("a/b"), root.join("far")).expect("made");
        symlink("loop", root.join("loop")).expect("made");
        assert_eq!(doubt(&root.join("far/file"), &[0, we()]), None);
        assert_eq!(doubt(&root.join("a/near"), &[0, we()]), None);
        assert_eq!(doubt(&root.join("loop"), &[0, we()]), None);
        set_permissions(root.join("a/b"), Permissions::from_mode(0o777)).expect("set");
        for way in ["far/file", "a/near"] {
            let found = doubt(&root.join(way), &[0, we()]).expect("others can write there");
            assert!(found.what.contains("/a/b is writable by everybody"), "{found:?}");
        }
    }
}
