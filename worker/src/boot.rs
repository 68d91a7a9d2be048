//! How a process becomes a worker: it knocks at the supervisor's door, is welcomed, and from then on hears signals. Without
//! it every worker would have to speak the protocol itself.

use std::sync::Arc;

use brigade_protocol::control::{DOOR_ENV, KNOCK_MAGIC, Knock, Order, PROTOCOL, Report, TOKEN_ENV, Welcome};
use brigade_protocol::descriptors::{self, Use};
use ipc_channel::IpcError;
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};

use crate::context::Context;
use crate::copies::is_copy;
use crate::exit::Exit;
use crate::station::{Station, StationError};
use crate::{logs, panics, signals};

/// Why the process did not become a worker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    #[error("this is a Brigade worker: start it with `brigade run pipeline.toml`")]
    NotUnderSupervisor,
    #[error("cannot reach the supervisor that started this worker: {0}")]
    Unreachable(std::io::Error),
    #[error("the supervisor did not answer: {0}")]
    Silent(IpcError),
    #[error(
        "the supervisor closed the door without a welcome: its log says why; perhaps it speaks another protocol than this worker (version {PROTOCOL}), then build both from the same Brigade"
    )]
    NotWelcome,
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
    #[error("a forked copy of a worker cannot become a worker: let it execute this program, as a stage of its own")]
    Copy,
    #[error(transparent)]
    Station(#[from] StationError),
}

impl BootError {
    fn is_permanent(&self) -> bool {
        match self {
            Self::NotUnderSupervisor | Self::Copy => true,
            Self::Unreachable(_) | Self::Silent(_) | Self::NotWelcome | Self::Signals(_) | Self::Station(_) => false,
        }
    }
}

/// Makes a worker of this process. An error has already been told to whoever can hear it.
pub(crate) fn boot() -> Result<Context, Exit> {
    attempt().map_err(|error| {
        if matches!(error, BootError::NotUnderSupervisor) {
            eprintln!("{error}"); // For a person who has started the program by hand: a sentence, no JSON.
        } else {
            tracing::error!("{error}");
        }
        if error.is_permanent() { Exit::MISCONFIGURED } else { Exit::FAILED }
    })
}

fn attempt() -> Result<Context, BootError> {
    if is_copy() {
        return Err(BootError::Copy);
    }
    let (Ok(door), Ok(token)) = (std::env::var(DOOR_ENV), std::env::var(TOKEN_ENV)) else {
        return Err(BootError::NotUnderSupervisor);
    };
    // Who runs as another user cannot walk to the door, and was given it in hand.
    let door = descriptors::number(&Use::Door).map_or(door, |number| format!("/proc/self/fd/{number}"));
    let knocked = knock(door, token);
    // While the supervisor makes up its answer.
    logs::begin();
    panics::begin();
    let entry = knocked?.let_in()?;
    let reports = entry.reports.clone();
    let station = Arc::new(Station::new(entry.welcome, entry.orders, entry.reports).inspect_err(|error| {
        // Told before the process ends, so that the reason stands where people look first.
        let _ = reports.send(Report::Failed { words: error.to_string(), permanent: false, outage: false });
    })?);
    let told = Arc::clone(&station);
    panics::report_by(move |words| told.report(Report::Failed { words, permanent: false, outage: false }));
    signals::listen(&station).map_err(BootError::Signals)?;
    Ok(Context::new(station, 0))
}

/// What the supervisor let us in with.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) welcome: Welcome,
    pub(crate) orders: IpcReceiver<Order>,
    pub(crate) reports: IpcSender<Report>,
}

/// At the door, before the welcome.
#[derive(Debug)]
pub(crate) struct Knocked {
    orders: IpcReceiver<Order>,
    reports: IpcSender<Report>,
}

/// Knocks.
pub(crate) fn knock(door: String, token: String) -> Result<Knocked, BootError> {
    let door = IpcSender::connect(door).map_err(BootError::Unreachable)?;
    let (orders_in, orders) = ipc::channel().map_err(BootError::Unreachable)?;
    let (reports, reports_out) = ipc::channel().map_err(BootError::Unreachable)?;
    let knock = Knock {
        magic: KNOCK_MAGIC,
        protocol: PROTOCOL,
        sdk: env!("CARGO_PKG_VERSION").to_owned(),
        token,
        orders: orders_in,
        reports: reports_out,
    };
    door.send(knock).map_err(BootError::Silent)?;
    Ok(Knocked { orders, reports })
}

impl Knocked {
    /// Waits for the welcome. How long that may take is the supervisor's to judge (`start_timeout`).
    pub(crate) fn let_in(self) -> Result<Entry, BootError> {
        let Self { orders, reports } = self;
        loop {
            match orders.recv() {
                Ok(Order::Welcome(welcome)) => return Ok(Entry { welcome: *welcome, orders, reports }),
                // A wish to stop stands in the page, which we read once we have it; and whoever needs the manager asks for it.
                Ok(Order::Stop | Order::Manager(_)) => {}
                Err(IpcError::Io(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(IpcError::Disconnected | IpcError::SerializationError(_)) => return Err(BootError::NotWelcome),
                Err(error @ IpcError::Io(_)) => return Err(BootError::Silent(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use brigade_protocol::id::{Incarnation, Post};
    use ipc_channel::ipc::IpcOneShotServer;

    use super::*;

    /// A supervisor that answers one knock by `answer`.
    fn knock_at(answer: impl FnOnce(Knock) + Send) -> Result<Entry, BootError> {
        let (server, door) = IpcOneShotServer::<Knock>::new().expect("a server");
        std::thread::scope(|scope| {
            scope.spawn(|| answer(server.accept().expect("a knock").1));
            knock(door, "secret".into())?.let_in()
        })
    }

    #[test]
    fn a_knock_says_who_it_is_and_the_welcome_is_believed() {
        let welcome = Welcome {
            pipeline: "sums".into(),
            stage: "double".into(),
            replica: 0,
            replicas: 1,
            post: Post(1),
            incarnation: Incarnation(4),
            threads: 1,
            batch: 1,
            batch_time: std::time::Duration::from_millis(20),
            exit_on_panic: false,
            max_items: None,
            page: "1.page".into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        let entry = knock_at(|knock| {
            assert_eq!((knock.magic, knock.protocol, knock.token.as_str()), (KNOCK_MAGIC, PROTOCOL, "secret"));
            knock.orders.send(Order::Welcome(Box::new(welcome))).expect("somebody listens");
        })
        .expect("we are welcome");
        assert_eq!((entry.welcome.stage.as_str(), entry.welcome.incarnation), ("double", Incarnation(4)));
    }

    #[test]
    fn whether_to_try_once_more_at_a_door_that_was_closed_again_is_for_the_supervisor_to_say() {
        let error = knock_at(drop).expect_err("we are not welcome");
        assert!(!error.is_permanent(), "{error}");
    }
}
