//! Reloads in which a stage or a queue has another name, in the middle of a storm: what is promised of each.

use brigade_tests::Sandbox;

use crate::storm::plan::Plan;

/// The names of the stages in the middle: how often each was renamed.
#[derive(Debug)]
pub struct Names {
    renamed: Vec<u64>,
    tries: u64,
}

/// What a reload renames.
#[derive(Clone, Copy, Debug)]
enum Renamed {
    /// A stage in the middle, by number. It has no checkpoint: its successor continues with its queues.
    Middle(usize),
    /// The source, which would do everything again.
    Source,
    /// The sink, whose checkpoint belongs to its file.
    Sink,
    /// The queue in front of this taker: a stage sends to it.
    Queue(usize),
}

/// Whether the sink has committed: its file is longer than what goes into one commit.
fn has_checkpoint(sandbox: &Sandbox) -> bool {
    std::fs::metadata(sandbox.path("kept")).is_ok_and(|file| file.len() > 40_000)
}

impl Names {
    pub fn new(plan: &Plan) -> Self {
        Self { renamed: vec![0; plan.middle.len()], tries: 0 }
    }

    /// The pipeline file, under the names of now.
    pub fn text(&self, plan: &Plan, seed: u64) -> String {
        // Poison is part of it: its letters are checked, and sent again.
        let mut text = format!("fail_on_dead_letters = false\n{}", plan.text(seed));
        for (nth, times) in self.renamed.iter().enumerate().filter(|(_, times)| **times > 0) {
            text = text.replace(&format!("[stages.m{nth}]"), &format!("[stages.m{nth}x{times}]"));
        }
        text
    }

    /// Reloads with one name changed. Gives whether a stage has another name now.
    pub fn rename(&mut self, sandbox: &Sandbox, plan: &Plan, seed: u64, choice: u64) -> bool {
        let nth = (choice >> 8) as usize % plan.middle.len();
        let what = match choice % 6 {
            // The stage and its successor are both there for a moment: no order is promised between the two.
            0..3 if !plan.is_straight => Renamed::Middle(nth),
            3 => Renamed::Source,
            4 if has_checkpoint(sandbox) => Renamed::Sink,
            _ => Renamed::Queue(nth),
        };
        self.tries += 1;
        let before = self.text(plan, seed);
        let fresh = self.tries;
        let text = match what {
            Renamed::Middle(nth) => {
                let times = std::mem::replace(&mut self.renamed[nth], fresh);
                let text = self.text(plan, seed);
                self.renamed[nth] = times;
                text
            }
            Renamed::Source => before.replace("[stages.source]", "[stages.spring]"),
            Renamed::Sink => before.replace("[stages.sink]", "[stages.drain]"),
            Renamed::Queue(nth) => {
                let to = |name: &str| before.replace(&format!("\"q{nth}\""), &format!("\"{name}\""));
                let name = format!("z{fresh}");
                to(&name).replace(&format!("[queues.q{nth}]"), &format!("[queues.{name}]"))
            }
        };
        assert_ne!(text, before, "seed {seed}: {what:?} is in the file");
        sandbox.pipeline(&text);
        let said = sandbox.ask(&["reload"]);
        let words = format!("{}{}", said.out, said.err);
        if let (Renamed::Middle(nth), Some(0)) = (what, said.code) {
            self.renamed[nth] = fresh;
            return true;
        }
        sandbox.pipeline(&before);
        eprintln!("seed {seed}: {what:?} was refused: {}", words.trim_end());
        assert_ne!(said.code, Some(0), "seed {seed}: {what:?} is not refused: {words}");
        false
    }
}
