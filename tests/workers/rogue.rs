//! Programs that do not use the SDK, and behave as badly as programs do.
//!
//! `rogue MODE`: `sleep`, `deaf` (ignores SIGTERM), `parent` (a grandchild that ignores SIGTERM), `scatter` (a child in a
//! session of its own, which keeps the log pipe), `exit CODE`, `flood LINES`, `burst LINES` (and a last line
//! without end, then SIGKILL to itself), `unending BYTES` (one line, without end), `garbage` (bytes that are no text, and a
//! last line without end), `protocol` (a knock of another protocol), `gibberish` (a knock that is none), `silent` (never
//! knocks), `fields` (prints its environment's names), `ask SOCKET` (asks a control socket for the status),
//! `leave` (says that it leaves to be started anew, and fails), `notify STEP…` (speaks sd_notify, see `steps`, and then
//! sleeps), `fratricide` (kills the process group of its parent), `open N` (opens so many files, as far as it may).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, ExitStatus};

use brigade_protocol::control::{DOOR_ENV, KNOCK_MAGIC, Knock, Order, PROTOCOL, Report, TOKEN_ENV};
use brigade_tests::note;
use ipc_channel::ipc::{self, IpcSender};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise, sigprocmask};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sleep" | "silent"] => sleep(),
        ["deaf"] => {
            block_term();
            note("deaf", 0);
            sleep()
        }
        ["parent"] => {
            let mut child = again("deaf").spawn().expect("a child");
            note("parent", 0);
            ends_with(child.wait())
        }
        ["scatter"] => {
            let mut setsid = Command::new("setsid");
            setsid.arg(std::env::current_exe().expect("a path")).arg("deaf");
            let mut child = setsid.spawn().expect("a child");
            note("parent", 0);
            ends_with(child.wait())
        }
        ["notify", steps @ ..] => {
            follow(steps);
            sleep()
        }
        ["fratricide"] => {
            let parent = nix::unistd::getpgid(Some(nix::unistd::getppid())).expect("it has a group");
            nix::sys::signal::killpg(parent, Signal::SIGKILL).expect("it may");
            sleep()
        }
        ["open", most] => {
            let open = |_| std::fs::File::open("/dev/null").ok();
            let files: Vec<_> = (0..most.parse::<u64>().expect("a number")).map_while(open).collect();
            println!("{} files are open", files.len());
            note("opened", files.len() as u64);
            sleep()
        }
        ["exit", code] => {
            eprintln!("about to leave with {code}");
            ExitCode::from(code.parse::<u8>().expect("a code"))
        }
        ["flood", lines] => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            for line in 0..lines.parse::<u64>().expect("a number") {
                writeln!(out, "line {line:08} {}", "x".repeat(80)).expect("somebody listens");
            }
            ExitCode::SUCCESS
        }
        ["burst", lines] => {
            let mut err = std::io::BufWriter::new(std::io::stderr().lock());
            for line in 0..lines.parse::<u64>().expect("a number") {
                writeln!(err, "line {line:08}").expect("somebody listens");
            }
            err.write_all(b"the last line has no end").and_then(|()| err.flush()).expect("somebody listens");
            raise(Signal::SIGKILL).expect("a signal");
            ExitCode::FAILURE
        }
        ["unending", bytes] => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            for number in 0..bytes.parse::<u64>().expect("a number") / 8 {
                write!(out, "{number:08}").expect("somebody listens");
            }
            ExitCode::SUCCESS
        }
        ["garbage"] => {
            let mut err = std::io::stderr().lock();
            err.write_all(b"bytes \xff\xfe\x00\x1b[2J and \x07 a bell\n").expect("written");
            err.write_all(b"{\"level\":\"ERROR\",\"worker\":\"forged/9\"\n").expect("written");
            err.write_all(b"the last line has no end").expect("written");
            ExitCode::SUCCESS
        }
        ["protocol"] => knock(999),
        ["gibberish"] => {
            let door = IpcSender::<String>::connect(var(DOOR_ENV)).expect("a door");
            door.send("good day".repeat(40)).expect("said");
            sleep()
        }
        ["ask", socket] => {
            let mut stream = UnixStream::connect(socket).expect("it listens");
            // Who is refused may be so before it has asked.
            let _ = stream.write_all(b"\x08\0\0\0\"status\"");
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            println!("{}", String::from_utf8_lossy(&answer));
            ExitCode::SUCCESS
        }
        ["knock"] => knock(PROTOCOL),
        ["leave"] => leave(),
        _ => ExitCode::from(78),
    }
}

/// Says that it leaves to be started anew, though nobody has told it to, and does.
fn leave() -> ExitCode {
    let door = IpcSender::<Knock>::connect(var(DOOR_ENV)).expect("a door");
    let (orders, heard) = ipc::channel::<Order>().expect("a channel");
    let (says, reports) = ipc::channel::<Report>().expect("a channel");
    let magic = KNOCK_MAGIC;
    let knock = Knock { magic, protocol: PROTOCOL, sdk: "9.9.9".into(), token: var(TOKEN_ENV), orders, reports };
    door.send(knock).expect("said");
    heard.recv().expect("a welcome");
    says.send(Report::Ready).expect("said");
    says.send(Report::Leaving).expect("said");
    ExitCode::FAILURE
}

/// Knocks as somebody of this protocol, and waits for what comes of it.
fn knock(protocol: u32) -> ExitCode {
    let door = IpcSender::<Knock>::connect(var(DOOR_ENV)).expect("a door");
    let (orders, heard) = ipc::channel::<Order>().expect("a channel");
    let (_says, reports) = ipc::channel::<Report>().expect("a channel");
    let knock = Knock { magic: KNOCK_MAGIC, protocol, sdk: "9.9.9".into(), token: var(TOKEN_ENV), orders, reports };
    door.send(knock).expect("said");
    while heard.recv().is_ok() {}
    sleep()
}

fn var(name: &str) -> String {
    std::env::var(name).expect("started by a supervisor")
}

fn again(mode: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a program knows its own path"));
    command.arg(mode).process_group(nix::unistd::getpgrp().as_raw());
    command
}

fn block_term() {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).expect("a mask");
}

fn ends_with(status: std::io::Result<ExitStatus>) -> ExitCode {
    panic!("the child was to stay: {status:?}")
}

fn sleep() -> ExitCode {
    loop {
        std::thread::park();
    }
}

/// `say:TEXT` (a message; `|` for a new line), `until:FILE` (waits until it is there), `flood:N` (so many messages),
/// `exit:CODE`.
fn follow(steps: &[&str]) {
    let socket = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    let way = std::env::var("NOTIFY_SOCKET").expect("somebody listens");
    let say = |text: &str| socket.send_to(text.replace('|', "\n").as_bytes(), &way).expect("it is said");
    for step in steps {
        match step.split_once(':').expect("a step") {
            ("say", text) => _ = say(text),
            ("until", file) => {
                while !std::path::Path::new(file).exists() {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
            ("flood", count) => {
                for n in 0..count.parse::<u64>().expect("a number") {
                    say(&format!("STATUS=message {n}|WATCHDOG=1"));
                }
            }
            ("exit", code) => std::process::exit(code.parse().expect("a code")),
            (other, _) => panic!("no step {other}"),
        }
    }
}
