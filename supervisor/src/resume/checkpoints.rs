//! Checkpoints of an earlier run, and whether this plan may use them.

use std::collections::BTreeSet;

use crate::config::plan::{MANAGER_STAGE, Plan, StagePlan};
use crate::orders::{self, Order, Orders, Trace};
use crate::state::StateDir;

use super::ResumeError;

/// Whether a checkpoint that was made under the orders `found` may be used under `wanted`, as far as the work is concerned
/// and not among how many it is shared.
///
/// # Errors
/// Why not, in words that continue "its checkpoint, …".
pub fn fits(found: Option<&Order>, wanted: &Order) -> Result<(), String> {
    match found {
        Some(found) if found.is_same_work(wanted) => Ok(()),
        Some(found) => {
            Err(format!("which was made when it was told {} and not {}", found.beside(wanted), wanted.beside(found)))
        }
        None => Err("of which it is not known what it was told then".to_owned()),
    }
}

/// Refuses a plan under which a stage would use a checkpoint that was made under other orders, or would do again what a
/// stage of another name has done. Warns of checkpoints that are left unused.
pub(super) fn refuse_unfit(plan: &Plan, dir: &StateDir, orders: &Orders) -> Result<(), ResumeError> {
    let io = |what, path| move |source| ResumeError::Io { what, path, source };
    let traces = orders::traces(dir).map_err(io("read the pages in", dir.pages()))?;
    let names = |fits: fn(&Trace) -> bool| -> BTreeSet<&String> {
        traces.iter().filter(|trace| fits(trace) && trace.stage != MANAGER_STAGE).map(|trace| &trace.stage).collect()
    };
    let with_checkpoints = names(|trace| trace.has_checkpoint);
    let begun = names(|trace| trace.has_checkpoint || trace.is_complete);
    if begun.is_empty() {
        return Ok(());
    }
    let noted = orders::noted(dir).map_err(io("know what its stages were told from", dir.orders()))?;
    for stage in &begun {
        let (found, has_checkpoint) = (noted.get(*stage), with_checkpoints.contains(stage));
        match orders.get(*stage) {
            Some(wanted) if has_checkpoint => {
                fits(found, wanted).map_err(|why| ResumeError::OtherOrders { stage: (*stage).clone(), why })?;
                let changed = found.map(|found| found.other_env(wanted)).unwrap_or_default();
                if let Some(words) = orders::in_words(stage, &changed) {
                    tracing::warn!("{words}");
                }
            }
            Some(_) => {}
            None => {
                let is_renamed = |now: &&StagePlan| {
                    !begun.contains(&now.name)
                        && found.zip(orders.get(&now.name)).is_some_and(|(then, now)| then.is_same_work(now))
                };
                if let Some(now) = plan.stages.iter().find(is_renamed) {
                    let (before, now) = ((*stage).clone(), now.name.clone());
                    return Err(ResumeError::Renamed {
                        before,
                        now,
                        left: if has_checkpoint { "left a checkpoint" } else { "completed it" },
                    });
                }
                if has_checkpoint {
                    tracing::warn!(
                        "stage {stage} of the earlier run is not in this plan: its checkpoint stays unused until the stage is back under its old name"
                    );
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use brigade_protocol::id::Post;
    use brigade_protocol::page::Page;
    use brigade_protocol::queue::Noted;
    use brigade_protocol::shape::{Shape, TypeNote};

    use super::*;
    use crate::config::{self, Surroundings};
    use crate::resume::resume;

    fn plan(base: &Path, dir: &str) -> Plan {
        let file = base.join("pipeline.toml");
        let text = "name = \"line\"\n[queues.q]\n[stages.walk]\ncommand = [\"/bin/true\", \"DIR\"]\noutputs = [\"q\"]\n\
                    [stages.end]\ncommand = [\"/bin/true\"]\ninputs = [\"q\"]\n";
        std::fs::write(&file, text.replace("DIR", dir)).expect("written");
        config::load(&file, &[], &Surroundings::of_this_process()).expect("no fault")
    }

    #[test]
    fn a_checkpoint_of_other_arguments_is_refused_until_the_old_ones_are_back() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("state"));
        let _folder = dir.take("line").expect("taken");
        let (usr, etc) = (plan(base.path(), "/usr"), plan(base.path(), "/etc"));
        resume(&usr, &dir, 0).expect("nothing was there");
        let page = Page::create(&dir.page("walk", 0), Post(1), 1).expect("a page");
        resume(&etc, &dir, 0).expect("without a checkpoint there is nothing to go on from");
        resume(&usr, &dir, 0).expect("nor now");
        page.lane(0).write_checkpoint(1, b"/usr/bin");
        page.lane(0).commit(1);
        for _ in 0..2 {
            let words = resume(&etc, &dir, 0).expect_err("it would begin behind /usr/bin").to_string();
            assert!(words.contains("when it was told [\"/usr\"] and not [\"/etc\"]"), "{words}");
        }
        assert!(resume(&usr, &dir, 0).expect("as before").goes_on);
    }

    #[test]
    fn a_checkpoint_counts_whichever_replica_has_it() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("state"));
        let _folder = dir.take("line").expect("taken");
        let (usr, etc) = (plan(base.path(), "/usr"), plan(base.path(), "/etc"));
        resume(&usr, &dir, 0).expect("nothing was there");
        let page = Page::create(&dir.page("walk", 7), Post(8), 1).expect("a page");
        page.lane(0).write_checkpoint(1, b"/usr/bin");
        page.lane(0).commit(1);
        resume(&etc, &dir, 0).expect_err("there may be a worker of that number again");
    }

    #[test]
    fn a_checkpoint_of_which_it_is_not_known_what_made_it_is_refused() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("state"));
        let _folder = dir.take("line").expect("taken");
        let usr = plan(base.path(), "/usr");
        resume(&usr, &dir, 0).expect("nothing was there");
        let page = Page::create(&dir.page("walk", 0), Post(1), 1).expect("a page");
        page.lane(0).write_checkpoint(1, b"/usr/bin");
        page.lane(0).commit(1);
        let noted = std::fs::read(dir.orders()).expect("noted");
        std::fs::write(dir.orders(), "no orders").expect("written");
        resume(&usr, &dir, 0).expect_err("they cannot be read");
        std::fs::remove_file(dir.orders()).expect("removed");
        let words = resume(&usr, &dir, 0).expect_err("there are none").to_string();
        assert!(words.contains("it is not known what it was told then"), "{words}");
        std::fs::write(dir.orders(), noted).expect("written");
        resume(&usr, &dir, 0).expect("as before");
    }

    #[test]
    fn the_shape_of_a_queue_goes_when_it_is_empty_and_stays_with_its_items() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("state"));
        let _folder = dir.take("line").expect("taken");
        let plan = plan(base.path(), "/usr");
        let resumed = resume(&plan, &dir, 0).expect("nothing was there");
        let (queue, _) = &resumed.queues[0];
        let _page = Page::create(&dir.page("walk", 0), Post(1), 1).expect("a page");
        let note = TypeNote { name: String::new(), shape: Shape::U64, enums: Vec::new() };
        let canonical = note.canonical().expect("it is known");
        queue.note_shape(&note, &canonical).expect("the first one");
        let resumed = resume(&plan, &dir, 0).expect("the run goes on");
        let (queue, _) = &resumed.queues[0];
        assert!(resumed.goes_on && queue.shape() == Noted::Nothing);
        queue.note_shape(&note, &canonical).expect("the first one again");
        queue.join(Post(1), 0).expect("a place").try_send(&[1, 7]).expect("there is room");
        let resumed = resume(&plan, &dir, 0).expect("the run goes on");
        assert_eq!((resumed.items, resumed.queues[0].0.shape()), (1, Noted::Shape(note)));
    }
}
