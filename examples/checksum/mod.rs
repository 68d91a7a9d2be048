//! The items of the checksum pipeline.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A file's name. On Linux that is bytes, not always text; serde's own `PathBuf` refuses what is no text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileName(#[serde(with = "serde_bytes")] Vec<u8>);

impl FileName {
    /// As a path.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }
}

impl From<PathBuf> for FileName {
    fn from(path: PathBuf) -> Self {
        Self(path.into_os_string().into_vec())
    }
}

/// One line of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// SHA-256 of the content.
    pub digest: [u8; 32],
    /// Of the file.
    pub name: FileName,
}

impl Sum {
    /// The line, as `sha256sum` writes it: a name with a backslash or a line break in it is escaped, and the line then
    /// begins with a backslash.
    pub fn line(&self) -> Vec<u8> {
        let mut line: Vec<u8> = self.digest.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
        line.extend(b"  ");
        let mut escaped = false;
        for byte in &self.name.0 {
            let escape: Option<&[u8]> = match byte {
                b'\\' => Some(b"\\\\"),
                b'\n' => Some(b"\\n"),
                b'\r' => Some(b"\\r"),
                _ => None,
            };
            escaped |= escape.is_some();
            line.extend(escape.unwrap_or(&[*byte]));
        }
        if escaped {
            line.insert(0, b'\\');
        }
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_escaped_as_by_sha256sum() {
        let line = |name: &str| {
            let line = Sum { digest: [0xab; 32], name: FileName::from(PathBuf::from(name)) }.line();
            String::from_utf8(line).expect("text").replace(&"ab".repeat(32), "SUM")
        };
        assert_eq!(line("a  b"), "SUM  a  b\n");
        assert_eq!(line("-\t*"), "SUM  -\t*\n");
        assert_eq!(line("a\\b\nc\rd"), "\\SUM  a\\\\b\\nc\\rd\n");
    }

    #[test]
    fn a_name_that_is_no_text_stays_as_it_is() {
        let name = FileName::from(PathBuf::from(OsStr::from_bytes(b"\xff\x01")));
        assert!(Sum { digest: [0; 32], name }.line().ends_with(b"0  \xff\x01\n"));
    }
}
