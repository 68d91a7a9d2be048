//! A tree of files with every name and content that people have found to break programs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

const ODD_NAMES: [&[u8]; 16] = [
    b"with space",
    b" leading and trailing ",
    b"-n",
    b"--help",
    b"line\nbreak",
    b"carriage\rreturn",
    b"back\\slash",
    b"tab\there",
    b"quote'and\"quote",
    b"*?[glob]",
    b"$(dollar)`tick`",
    b"\x1b[31mred\x07",
    b"not utf-8 \xff\xfe",
    "ünïcødé-文字-🪣".as_bytes(),
    b".hidden",
    b"\xe2\x80\xaertl",
];

/// Fills `root` (made if it is not there) with at least `files` regular files, and with links, sockets and empty folders,
/// which are none. Gives the number of regular files.
///
/// # Panics
///
/// When that fails.
pub fn nasty_tree(root: &Path, files: usize) -> usize {
    let mut made = 0;
    let mut file = |path: &Path, content: &[u8]| {
        fs::write(path, content).expect("a file of the tree");
        made += 1;
    };
    fs::create_dir_all(root).expect("the root of the tree");
    for (at, name) in ODD_NAMES.iter().enumerate() {
        let folder = root.join("odd").join(OsStr::from_bytes(name));
        fs::create_dir_all(&folder).expect("a folder of the tree");
        for name in ODD_NAMES {
            file(&folder.join(OsStr::from_bytes(name)), &vec![at as u8; at * 1000]);
        }
    }
    let mut deep = root.join("deep");
    for _ in 0..100 {
        deep = deep.join("folder-of-a-name");
    }
    fs::create_dir_all(&deep).expect("a deep folder");
    file(&deep.join("x".repeat(255)), b"deep");
    file(&root.join("empty"), b"");
    file(&root.join("large"), &vec![7; 3 << 20]);
    fs::create_dir_all(root.join("empty folder")).expect("an empty folder");
    symlink("/etc/passwd", root.join("link to a file")).expect("a link");
    symlink(".", root.join("link to itself")).expect("a link");
    symlink("nowhere", root.join("broken link")).expect("a link");
    drop(std::os::unix::net::UnixListener::bind(root.join("socket")).expect("a socket"));
    for at in made..files {
        let folder = root.join(format!("plain/{}", at % 37));
        if at % 37 == at || !folder.exists() {
            fs::create_dir_all(&folder).expect("a folder of the tree");
        }
        fs::write(folder.join(format!("file-{at}.txt")), format!("content {at}\n").repeat(at % 200)).expect("a file");
    }
    made.max(files)
}
