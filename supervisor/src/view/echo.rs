//! Keeps `^C` off the picture. Without it, a terminal would print these two characters into the last line of the view,
//! wrap, and leave a line of the old picture behind at every Ctrl-C.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcgetpgrp, tcsetattr};

/// For as long as this lives, control characters are not echoed in letters. If the process is killed, it stays so until
/// the shell, or somebody else, sets the terminal anew: nothing but the sight of `^C` is missing.
#[derive(Debug)]
pub struct Echo {
    was_on: bool,
}

impl Echo {
    /// Switches it off, if stdin is a terminal and we are in its foreground.
    pub fn off() -> Self {
        Self { was_on: set(false) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        if self.was_on {
            set(true);
        }
    }
}

/// Whether it was changed.
fn set(on: bool) -> bool {
    let stdin = io::stdin();
    // Who sets the terminal from the background is stopped by it.
    // (Our group is 0 if it lies outside of our PID namespace; of that rustix makes what cannot be.)
    if tcgetpgrp(&stdin).map(|group| group.as_raw_pid()).ok() != Some(nix::unistd::getpgrp().as_raw()) {
        return false;
    }
    let Ok(mut modes) = tcgetattr(&stdin) else { return false };
    if modes.local_modes.contains(LocalModes::ECHOCTL) == on {
        return false;
    }
    modes.local_modes.set(LocalModes::ECHOCTL, on);
    tcsetattr(&stdin, OptionalActions::Now, &modes).is_ok()
}
