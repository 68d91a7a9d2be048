//! The state folder can be removed under a run. What is mapped and open lives on without it, but nobody can be started any
//! more, and what is left in the queues has no place to stay. Without this look, the end would say that nothing was lost.

use super::Reactor;

impl Reactor {
    /// Whether the state folder is there no more; said once.
    pub(super) fn look_for_folder(&mut self) {
        if !self.folder_is_gone && self.dir.is_gone() {
            self.folder_is_gone = true;
            tracing::error!(
                "the state folder {} was removed: workers that end cannot be started again, and what is left in the queues \
                 at the end will be lost; end the run (SIGTERM) to have it worked off",
                self.dir.root().display()
            );
        }
    }
}
