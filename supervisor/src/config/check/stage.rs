//! What is believed of a stage: its command, its place between the queues, when it is restarted, how it is stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::names::{find, word};
use super::{check_name, exits, intensity, limits, mend, program, ready, watch};
use crate::config::bounds::{
    BACKOFF, BACKOFF_MAX, BATCH, BATCH_TIME, GIVE_UP_AFTER, MAX_RESTARTS, OUTAGE_TIMEOUT, REPLICAS, RESTART_PERIOD,
    START_TIMEOUT, STOP_TIMEOUT, THREADS,
};
use crate::config::fault::Fault;
use crate::config::nearest::did_you_mean;
use crate::config::plan::{Exits, MANAGER_STAGE, QueueIx, RestartPolicy, Role, StagePlan};
use crate::config::raw::{RawPipeline, RawQueue, RawStage};
use crate::config::signals;
use crate::config::surroundings::Surroundings;
use crate::config::table::NumberOr;
use crate::config::units::show_duration;
use crate::logs::own::STAGE as OWN_LOG;

/// Names of the environment that the supervisor itself gives to workers.
const OUR_ENV: &str = "BRIGADE_";

/// The stage; what it has to do with other stages is filled in when all are known.
pub(super) fn believe(
    raw: &RawStage,
    pipeline: &RawPipeline,
    folder: &Path,
    surroundings: &Surroundings,
    faults: &mut Vec<Fault>,
) -> StagePlan {
    check_stage_name(raw, faults);
    let (program, args) = command(raw, folder, surroundings, faults);
    let replicas = REPLICAS.hold(replicas(raw, surroundings).as_ref(), faults);
    let threads = THREADS.hold(raw.threads.as_ref(), faults);
    let batch = BATCH.hold(raw.batch.as_ref(), faults);
    let ready = ready::believe(raw, faults);
    let stage = StagePlan {
        name: raw.name.get_ref().clone(),
        program,
        args,
        env: env(raw, faults),
        cwd: cwd(raw, folder, surroundings, faults),
        replicas: u16::try_from(replicas).expect("the bounds of replicas are within 16 bits"),
        threads: u16::try_from(threads).expect("the bounds of threads are within 16 bits"),
        batch_time: BATCH_TIME.hold(raw.batch_time.as_ref(), faults),
        batch: u32::try_from(batch).expect("the bounds of batch are within 32 bits"),
        inputs: queues(raw.inputs.as_deref(), "inputs", &pipeline.queues, faults),
        outputs: queues(raw.outputs.as_deref(), "outputs", &pipeline.queues, faults),
        restart: restart(raw, faults),
        max_restarts: max_restarts(raw, faults),
        restart_period: RESTART_PERIOD.hold(raw.restart_period.as_ref(), faults),
        give_up_after: GIVE_UP_AFTER.hold(raw.give_up_after.as_ref(), faults),
        outage_timeout: OUTAGE_TIMEOUT.hold(raw.outage_timeout.as_ref(), faults),
        backoff: BACKOFF.hold(raw.backoff.as_ref(), faults),
        backoff_max: backoff_max(raw, faults),
        ready,
        start_timeout: START_TIMEOUT.hold(raw.start_timeout.as_ref(), faults),
        stop_timeout: STOP_TIMEOUT.hold(raw.stop_timeout.as_ref(), faults),
        stop_signal: stop_signal(raw, faults),
        watch: watch::believe(raw, ready, faults),
        exit_on_panic: exit_on_panic(raw, faults),
        exits: exits::believe(raw, faults),
        significant: raw.significant.as_ref().is_some_and(|significant| *significant.get_ref()),
        depends_on: Vec::new(),
        limits: limits::believe(raw, surroundings, faults),
        starts_after: Vec::new(),
        stops_after: Vec::new(),
        removed: false,
    };
    check_restarts(raw, &stage, faults);
    check_service(raw, &stage, faults);
    check_program(raw, &stage, surroundings, faults);
    stage
}

fn check_stage_name(raw: &RawStage, faults: &mut Vec<Fault>) {
    check_name("stage", &raw.name, faults);
    if raw.name.get_ref() == MANAGER_STAGE {
        let message = format!("stage {MANAGER_STAGE:?} has the name of the part that holds shared lists and maps");
        faults.push(Fault::at(raw.name.span(), message).help("give the stage another name"));
    }
    if raw.name.get_ref() == OWN_LOG {
        let message = format!("stage {OWN_LOG:?} has the name of the supervisor, whose log it would share");
        faults.push(Fault::at(raw.name.span(), message).help("give the stage another name"));
    }
}

fn command(
    raw: &RawStage,
    folder: &Path,
    surroundings: &Surroundings,
    faults: &mut Vec<Fault>,
) -> (PathBuf, Vec<String>) {
    let Some(command) = &raw.command else { return Default::default() };
    for word in command.get_ref() {
        check_nul("command", word, faults);
    }
    let args = command.get_ref().iter().skip(1).map(|arg| arg.get_ref().clone()).collect();
    let program = match command.get_ref().first() {
        Some(name) if name.get_ref().contains('\0') => return (PathBuf::new(), args),
        Some(name) if !name.get_ref().is_empty() => program::find(name, folder, surroundings),
        Some(name) => Err(Fault::at(name.span(), "the program of command is empty")),
        None => Err(Fault::at(command.span(), "command is empty")),
    };
    let program = program.map_err(|mut fault| {
        fault.help.get_or_insert_with(|| "write command = [\"program\", \"argument\"]".to_owned());
        faults.push(fault);
    });
    (program.unwrap_or_default(), args)
}

pub(super) fn check_nul(key: &str, text: &Spanned<String>, faults: &mut Vec<Fault>) {
    if text.get_ref().contains('\0') {
        let fault = Fault::at(text.span(), format!("{key} holds a NUL, which cannot be handed to a process"));
        faults.push(fault.help("remove \\u0000"));
    }
}

fn env(raw: &RawStage, faults: &mut Vec<Fault>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for (name, value) in &raw.env {
        let typed = name.get_ref();
        if typed.is_empty() || typed.contains(['=', '\0']) {
            let message = format!("{typed:?} cannot be the name of an environment variable");
            faults.push(Fault::at(name.span(), message).help("a name is not empty and holds no = and no NUL"));
        } else if typed.starts_with(OUR_ENV) {
            let message = format!("environment variable {typed:?} belongs to the supervisor");
            faults.push(Fault::at(name.span(), message).help(format!("use a name without {OUR_ENV} in front")));
        }
        check_nul("env", value, faults);
        env.insert(typed.clone(), value.get_ref().clone());
    }
    env
}

fn cwd(raw: &RawStage, folder: &Path, surroundings: &Surroundings, faults: &mut Vec<Fault>) -> PathBuf {
    let Some(typed) = &raw.cwd else { return surroundings.cwd.clone() };
    let joined = folder.join(typed.get_ref());
    let path = std::path::absolute(&joined).unwrap_or(joined);
    if !path.is_dir() {
        let what = if path.exists() { "is not a folder" } else { "does not exist" };
        let fault = Fault::at(typed.span(), format!("cwd {} {what}", path.display()));
        faults.push(fault.help("name a folder; a relative path starts at the folder of the pipeline file"));
    }
    path
}

fn replicas(raw: &RawStage, surroundings: &Surroundings) -> Option<Spanned<i64>> {
    let given = raw.replicas.as_ref()?;
    let number = match given.get_ref() {
        NumberOr::Number(number) => *number,
        NumberOr::Word => i64::from(surroundings.cpus.clamp(1, 4_096)),
    };
    Some(Spanned::new(given.span(), number))
}

fn max_restarts(raw: &RawStage, faults: &mut Vec<Fault>) -> Option<u32> {
    let number = match raw.max_restarts.as_ref().map(|given| (given.get_ref(), given.span())) {
        None => None,
        Some((NumberOr::Word, _)) => return None,
        Some((NumberOr::Number(number), span)) => Some(Spanned::new(span, *number)),
    };
    let held = MAX_RESTARTS.hold(number.as_ref(), faults);
    Some(u32::try_from(held).expect("the bounds of max_restarts are within 32 bits"))
}

/// A first wait that is longer than the default of the longest one is the longest one as well.
fn backoff_max(raw: &RawStage, faults: &mut Vec<Fault>) -> Duration {
    let held = BACKOFF_MAX.hold(raw.backoff_max.as_ref(), faults);
    match (&raw.backoff, &raw.backoff_max) {
        (Some(backoff), None) => held.max(*backoff.get_ref()),
        (Some(_) | None, _) => held,
    }
}

/// The queues of a list.
fn queues(list: Option<&[Spanned<String>]>, key: &str, known: &[RawQueue], faults: &mut Vec<Fault>) -> Vec<QueueIx> {
    let names: Vec<&str> = known.iter().map(|queue| queue.name.get_ref().as_str()).collect();
    find(list, key, "queue", &names, faults)
}

fn restart(raw: &RawStage, faults: &mut Vec<Fault>) -> RestartPolicy {
    let words = [
        ("transient", RestartPolicy::Transient),
        ("permanent", RestartPolicy::Permanent),
        ("temporary", RestartPolicy::Temporary),
    ];
    word(raw.restart.as_ref(), "restart", &words, faults)
}

fn exit_on_panic(raw: &RawStage, faults: &mut Vec<Fault>) -> bool {
    word(raw.on_panic.as_ref(), "on_panic", &[("nack", false), ("exit", true)], faults)
}

fn stop_signal(raw: &RawStage, faults: &mut Vec<Fault>) -> i32 {
    let Some(given) = &raw.stop_signal else { return libc::SIGTERM };
    signals::number(given.get_ref()).unwrap_or_else(|| {
        let bare = given.get_ref().trim_start_matches("SIG");
        let names = signals::names();
        let help = did_you_mean(bare, &names, || format!("it is one of {}", names.join(", ")));
        faults.push(Fault::at(given.span(), format!("stop_signal cannot be {:?}", given.get_ref())).help(help));
        libc::SIGTERM
    })
}

/// What root runs must not be another's to write; a stage with a user of its own may run what is that user's.
fn check_program(raw: &RawStage, stage: &StagePlan, surroundings: &Surroundings, faults: &mut Vec<Fault>) {
    let place = raw.command.as_ref().and_then(|command| Some(command.get_ref().first()?.span()));
    if let Some(doubt) = surroundings.doubt(&stage.program, stage.limits.uid())
        && let Some(place) = place
    {
        let message = format!("others could change the program of stage {:?}: {}", stage.name, doubt.what);
        faults.push(Fault::at(place, message).help(mend(&doubt)));
    }
}

/// The four keys of restarts must make sense together.
fn check_restarts(raw: &RawStage, stage: &StagePlan, faults: &mut Vec<Fault>) {
    let given = |value: &Option<Spanned<Duration>>| value.as_ref().map(Spanned::span);
    if stage.restart == RestartPolicy::Temporary {
        return;
    }
    if stage.backoff > stage.backoff_max {
        let (first, most) = (show_duration(stage.backoff), show_duration(stage.backoff_max));
        let place = given(&raw.backoff).or(given(&raw.backoff_max)).unwrap_or(raw.name.span());
        let message = format!("backoff is {first}, more than backoff_max, which is {most}");
        faults.push(Fault::at(place, message).help("lower backoff or raise backoff_max"));
    } else if let Some((message, help)) = intensity::never_gives_up(stage) {
        let place = given(&raw.restart_period)
            .or(raw.max_restarts.as_ref().map(Spanned::span))
            .or(given(&raw.backoff))
            .or(given(&raw.backoff_max));
        faults.push(Fault::at(place.unwrap_or(raw.name.span()), message).help(help));
    }
}

/// What a service cannot have, because it never ends by itself.
fn check_service(raw: &RawStage, stage: &StagePlan, faults: &mut Vec<Fault>) {
    // With a list that could not be read, it may be none.
    if stage.role() != Role::Service || raw.inputs.is_none() || raw.outputs.is_none() {
        return;
    }
    let help = "write restart = \"transient\", or remove it";
    if let Some(given) = raw.significant.as_ref().filter(|given| *given.get_ref()) {
        let message = "a service cannot be significant: it is started again after every exit and never ends by itself";
        faults.push(Fault::at(given.span(), message).help(help));
    }
    if let Some(given) = raw.success_codes.as_ref().filter(|_| stage.exits.success != Exits::default().success) {
        let message = "success_codes mean nothing for a service: it is started again after every exit";
        faults.push(Fault::at(given.span(), message).help(help));
    }
}
