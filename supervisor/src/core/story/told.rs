//! How a pipeline is told.

use super::*;

/// A pipeline without stages, to be told by [`Told`].
pub(super) fn pipeline() -> Plan {
    Plan {
        name: "story".into(),
        file: PathBuf::from("/story.toml"),
        drain_timeout: Duration::from_secs(30),
        fail_on_dead_letters: true,
        max_dead_letters: None,
        on_standstill: OnStandstill::Report,
        logs: LogPlan::default(),
        queues: Vec::new(),
        stages: Vec::new(),
        groups: Vec::new(),
        loops: Vec::new(),
    }
}

/// How a plan is told.
pub(super) trait Told: Sized {
    /// One more stage, of one worker. Queues come into being when they are named first.
    fn stage(self, name: &str, inputs: &[&str], outputs: &[&str]) -> Self;
    /// A change of the last stage.
    fn with(self, change: impl FnOnce(&mut StagePlan)) -> Self;
    /// Replicas of the last stage.
    fn times(self, replicas: u16) -> Self;
    /// The last stage depends on these, which were told before.
    fn needs(self, stages: &[&str]) -> Self;
    /// These stages are a group.
    fn group(self, strategy: Strategy, stages: &[&str]) -> Self;
    /// The stages of this name form a loop, with all queues between them.
    fn circle(self, stages: &[&str]) -> Self;
    fn queue(&mut self, name: &str) -> usize;
}

impl Told for Plan {
    fn stage(mut self, name: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let ix = self.stages.len();
        let inputs: Vec<usize> = inputs.iter().map(|queue| self.queue(queue)).collect();
        let outputs: Vec<usize> = outputs.iter().map(|queue| self.queue(queue)).collect();
        inputs.iter().for_each(|queue| self.queues[*queue].consumers.push(ix));
        outputs.iter().for_each(|queue| self.queues[*queue].producers.push(ix));
        self.stages.push(StagePlan {
            name: name.into(),
            program: PathBuf::from("/bin/true"),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: PathBuf::from("/"),
            replicas: 1,
            threads: 1,
            batch: 1,
            batch_time: Duration::from_millis(20),
            ready: if inputs.is_empty() && outputs.is_empty() { Readiness::Alive } else { Readiness::Sdk },
            inputs,
            outputs,
            restart: RestartPolicy::Transient,
            max_restarts: Some(5),
            restart_period: Duration::from_secs(60),
            give_up_after: Duration::ZERO,
            outage_timeout: Duration::from_secs(600),
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            start_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(10),
            stop_signal: 15,
            watch: Watch::default(),
            exit_on_panic: false,
            exits: Exits::default(),
            significant: false,
            depends_on: Vec::new(),
            needs_completed: Vec::new(),
            limits: Limits::default(),
            starts_after: Vec::new(),
            stops_after: Vec::new(),
            removed: false,
        });
        self
    }

    fn with(mut self, change: impl FnOnce(&mut StagePlan)) -> Self {
        change(self.stages.last_mut().expect("a stage was told before its change"));
        self
    }

    fn times(self, replicas: u16) -> Self {
        self.with(|stage| stage.replicas = replicas)
    }

    fn needs(mut self, names: &[&str]) -> Self {
        let needed = stages_named(&self, names);
        self.stages.last_mut().expect("a stage was told before what it needs").depends_on = needed;
        self
    }

    fn group(mut self, strategy: Strategy, names: &[&str]) -> Self {
        let stages = stages_named(&self, names);
        let (name, restart_period) = (format!("group {}", self.groups.len()), Duration::from_secs(60));
        self.groups.push(Group { name, stages, strategy, max_restarts: None, restart_period });
        self
    }

    fn circle(mut self, names: &[&str]) -> Self {
        let within = |stage: &usize| names.contains(&self.stages[*stage].name.as_str());
        let stages = (0..self.stages.len()).filter(within).collect();
        let both = |queue: &usize| {
            let QueuePlan { producers, consumers, .. } = &self.queues[*queue];
            producers.iter().any(within) && consumers.iter().any(within)
        };
        let queues = (0..self.queues.len()).filter(both).collect();
        self.loops.push(Loop { stages, queues });
        self
    }

    fn queue(&mut self, name: &str) -> usize {
        if let Some(ix) = self.queues.iter().position(|queue| queue.name == name) {
            return ix;
        }
        self.queues.push(QueuePlan {
            name: name.into(),
            capacity: 1024,
            item_bytes: 1024,
            max_item_bytes: 65536,
            max_deliveries: Some(5),
            retry_delay: Duration::ZERO,
            retry_delay_max: Duration::from_secs(300),
            producers: Vec::new(),
            consumers: Vec::new(),
            removed: false,
        });
        self.queues.len() - 1
    }
}

fn stages_named(plan: &Plan, names: &[&str]) -> Vec<usize> {
    let find = |name: &&str| plan.stages.iter().position(|stage| stage.name == *name);
    names.iter().map(|name| find(name).expect("this stage was told")).collect()
}

/// Fills in who starts after whom (a stage after those that it feeds, but for its own loop, after those that it depends
/// on, and after all services that depend on services alone) and who stops after whom.
pub(super) fn in_order(mut plan: Plan) -> Plan {
    fn is_base(ix: usize, plan: &Plan) -> bool {
        plan.stages[ix].role() == Role::Service
            && plan.stages[ix].depends_on.iter().all(|needed| is_base(*needed, plan))
    }
    let mut needs = Vec::new();
    for ix in 0..plan.stages.len() {
        let is_service = plan.stages[ix].role() == Role::Service;
        let services = (0..plan.stages.len()).filter(|other| !is_service && is_base(*other, &plan));
        let needed: BTreeSet<usize> = services.chain(plan.stages[ix].depends_on.iter().copied()).collect();
        let fed = plan.stages[ix].outputs.iter().flat_map(|queue| plan.queues[*queue].consumers.clone());
        let same_loop = |other: &usize| {
            *other == ix || plan.loops.iter().any(|l| l.stages.contains(&ix) && l.stages.contains(other))
        };
        let after: BTreeSet<usize> = fed.filter(|other| !same_loop(other)).chain(needed.iter().copied()).collect();
        plan.stages[ix].starts_after = after.into_iter().collect();
        needs.push(needed);
    }
    for ix in 0..plan.stages.len() {
        plan.stages[ix].stops_after = (0..needs.len()).filter(|other| needs[*other].contains(&ix)).collect();
    }
    plan
}
