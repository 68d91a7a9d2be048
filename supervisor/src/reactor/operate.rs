//! What the operator wants of single workers. A command names stages and workers, never processes: whom a pid belongs to is
//! known here alone, and so nobody is signalled after its exit.

use brigade_protocol::id::Post;

use super::Reactor;
use super::picture::word;
use crate::config::nearest;
use crate::control::Answer;
use crate::core::event::{Actor, Event};
use crate::core::signal_name;
use crate::effects::signal::{self, To};
use crate::roster::Present;
use crate::who::Who;

impl Reactor {
    /// Sends a signal to the processes of those workers that have one.
    pub(super) fn signal_them(&mut self, who: &Who, number: i32, to: To) -> Answer {
        let posts = match self.posts_of(who) {
            Ok(posts) => posts,
            Err(why) => return Answer::Refused(why),
        };
        let Some(name) = signal_name(number) else { return Answer::Refused(format!("there is no signal {number}")) };
        let mut told = Vec::new();
        for post in posts {
            // Whoever has ended is not reaped before this thread has noted it, so this pid cannot be somebody else's.
            let Some(present) = self.roster.at(post).filter(|present| present.ended.is_none()) else { continue };
            let Present { pid, .. } = *present;
            let (stage, replica) = self.name_of(post);
            match signal::send_to(pid, number, to) {
                Ok(true) => told.push(format!("{stage}/{replica}")),
                Ok(false) => {}
                Err(why) => return Answer::Refused(format!("cannot send {name} to {stage}/{replica}: {why}")),
            }
        }
        if told.is_empty() {
            return Answer::Refused(format!("{} has no process now{}", who, self.state_of(who)));
        }
        let told = told.join(", ");
        tracing::info!("{name} is sent to {told} (by the operator)");
        Answer::Done(format!("{name} is sent to {told}"))
    }

    /// Starts those anew that can be.
    pub(super) fn restart(&mut self, who: &Who) -> Answer {
        let posts = match self.posts_of(who) {
            Ok(posts) => posts,
            Err(why) => return Answer::Refused(why),
        };
        let (mut begun, mut not) = (Vec::new(), Vec::new());
        let can = posts.iter().copied().filter(|post| self.core.why_no_restart(*post).is_none());
        let repeats = self.repeats(&can.collect::<Vec<_>>());
        for post in posts {
            let (stage, replica) = self.name_of(post);
            match self.core.why_no_restart(post) {
                Some(why) => not.push(format!("{stage}/{replica} is not restarted: {why}")),
                None => {
                    begun.push(format!("{stage}/{replica}"));
                    self.events.push_back(Event::Restart { post, actor: Actor::Operator });
                }
            }
        }
        if begun.is_empty() {
            return Answer::Refused(not.join("; "));
        }
        let verb = if begun.len() == 1 { "restarts" } else { "restart" };
        let begun = format!("{} {verb} after the item in hand", begun.join(", "));
        for words in &repeats {
            tracing::warn!("{words}");
        }
        Answer::Done([vec![begun], not, repeats].concat().join("; "))
    }

    /// The posts that a command means.
    pub(super) fn posts_of(&self, who: &Who) -> Result<Vec<Post>, String> {
        let crew: Vec<(u16, Post)> = self
            .core
            .workers()
            .filter(|worker| self.name_of(worker.post).0 == who.stage && !worker.let_go)
            .map(|w| (w.replica, w.post))
            .collect();
        if crew.is_empty() {
            let mut names: Vec<String> = self.core.workers().map(|worker| self.name_of(worker.post).0).collect();
            names.dedup();
            let near = nearest(&who.stage, names.iter().map(String::as_str));
            let hint = near
                .map_or_else(|| format!("there are {}", names.join(", ")), |near| format!("did you mean {near:?}?"));
            return Err(format!("there is no stage {:?}: {hint}", who.stage));
        }
        let chosen: Vec<Post> = crew
            .iter()
            .filter(|(n, _)| who.replica.is_none_or(|replica| replica == *n))
            .map(|(_, post)| *post)
            .collect();
        match (chosen.is_empty(), crew.len()) {
            (false, _) => Ok(chosen),
            (true, 1) => Err(format!("there is no {who}: stage {0} has one worker, {0}/0", who.stage)),
            (true, count) => {
                Err(format!("there is no {who}: stage {0} has {count} workers, {0}/0 to {0}/{1}", who.stage, count - 1))
            }
        }
    }

    /// What a single worker is doing instead, as the end of a sentence.
    fn state_of(&self, who: &Who) -> String {
        let worker = self.core.workers().find(|worker| Some(&worker.name) == who.worker().as_ref());
        worker.map_or_else(String::new, |worker| format!(": it is {}", word(worker.state)))
    }
}
