//! `STAGE` or `STAGE/N`: whom a command is about. Without it every command would read it in its own way.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stage, or one worker of it. Whether there is one is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The stage.
    pub stage: String,
    /// The number of a worker in it; `None`: all of them.
    pub replica: Option<u16>,
}

impl Who {
    /// The worker, such as `hash/0`, if it is one.
    pub fn worker(&self) -> Option<String> {
        self.replica.map(|replica| format!("{}/{replica}", self.stage))
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.worker().unwrap_or_else(|| self.stage.clone()))
    }
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((stage, number)) = text.split_once('/') else {
            return Ok(Self { stage: text.to_owned(), replica: None });
        };
        match number.parse() {
            Ok(number) => Ok(Self { stage: stage.to_owned(), replica: Some(number) }),
            Err(_) => {
                Err(format!("`{number}` is not the number of a worker; write a stage, or a worker like {stage}/0"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_or_one_of_its_workers_is_named() {
        let read = |text: &str| text.parse::<Who>().map(|who| (who.to_string(), who.worker()));
        assert_eq!(read("hash"), Ok(("hash".to_owned(), None)));
        assert_eq!(read("hash/03"), Ok(("hash/3".to_owned(), Some("hash/3".to_owned()))));
        for wrong in ["hash/x", "hash/", "hash/-1", "hash/70000", "hash/1/2"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
