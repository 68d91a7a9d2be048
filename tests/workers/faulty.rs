//! Runs a program for which one system call fails, as it does when a table is full or a disk is: by ptrace, so that it does
//! not matter who makes the call, or how. Its children are not traced.
//!
//! `faulty COUNTS KIND NTH ERRNO PROGRAM [ARGUMENT…]`: the call of that kind with that number (from 1) fails with that
//! error; with `NTH+` all that follow as well. Calls are counted from the opening of the first file named `….toml` on; before that, the program is being loaded.
//! With the kind `clock`, it does not fail: from the NTH time on that the program asks for the time of day, ERRNO seconds are
//! added to it, and from twice as often on they are taken away instead.
//!
//! At the end, COUNTS is a line for each kind: how many there were. Ends as the program does.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "asks to be traced between fork and exec"))]

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    panic!("the registers of this processor are not known here");
}

#[cfg(target_arch = "x86_64")]
fn main() -> std::process::ExitCode {
    tracer::main()
}

#[cfg(target_arch = "x86_64")]
mod tracer {
    use std::collections::{BTreeMap, HashMap};
    use std::os::unix::fs::FileExt;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Command, ExitCode};

    use libc::user_regs_struct;
    use nix::sys::ptrace::{self, Options};
    use nix::sys::signal::{Signal, raise};
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::Pid;

    /// What is to fail.
    struct Fault {
        kind: String,
        nth: u64,
        and_on: bool,
        errno: i64,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum After {
        Nothing,
        Fail,
        /// So many seconds are added to the time that it has written there.
        Shift(i64, u64),
    }

    struct Tracer {
        root: Pid,
        fault: Fault,
        counts: BTreeMap<&'static str, u64>,
        is_loaded: bool,
        /// Threads that are in a call, and what is to be done when it returns.
        inside: HashMap<Pid, After>,
    }

    pub fn main() -> ExitCode {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let [counts, kind, nth, errno, program, rest @ ..] = args.as_slice() else {
            panic!("see the head of faulty.rs")
        };
        let number = |text: &str| text.trim_end_matches('+').parse().unwrap_or_else(|_| panic!("{text} is no number"));
        let mut command = Command::new(program);
        command.args(rest);
        // SAFETY: one system call.
        unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
        #[expect(clippy::zombie_processes, reason = "it is waited for by its number, as are its threads")]
        let child = command.spawn().expect("the program starts");
        let root = Pid::from_raw(child.id() as i32);
        let fault =
            Fault { kind: kind.clone(), nth: number(nth) as u64, and_on: nth.ends_with('+'), errno: number(errno) };
        let mut tracer = Tracer { root, fault, counts: BTreeMap::new(), is_loaded: false, inside: HashMap::new() };
        let end = tracer.follow();
        let lines: String = tracer.counts.iter().map(|(kind, count)| format!("{kind} {count}\n")).collect();
        std::fs::write(counts, lines).expect("the counts can be written");
        match end {
            WaitStatus::Exited(_, code) => ExitCode::from(code as u8),
            WaitStatus::Signaled(_, signal, _) => {
                raise(signal).expect("a signal");
                ExitCode::FAILURE
            }
            other => panic!("{other:?} is no end"),
        }
    }

    impl Tracer {
        fn follow(&mut self) -> WaitStatus {
            waitpid(self.root, None).expect("it stops when it is loaded");
            if self.fault.kind == "clock" {
                self.hide_clock();
            }
            let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
            ptrace::setoptions(self.root, options).expect("it can be traced");
            let mut threads = vec![self.root];
            self.go_on(self.root, None);
            loop {
                match waitpid(None, Some(WaitPidFlag::__WALL)).expect("somebody lives") {
                    end @ (WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) if pid == self.root => {
                        return end;
                    }
                    WaitStatus::PtraceSyscall(pid) => {
                        self.call(pid);
                        self.go_on(pid, None);
                    }
                    WaitStatus::PtraceEvent(pid, ..) => self.go_on(pid, None),
                    // A new thread begins with a stop.
                    WaitStatus::Stopped(pid, Signal::SIGSTOP) if !threads.contains(&pid) => {
                        threads.push(pid);
                        self.go_on(pid, None);
                    }
                    WaitStatus::Stopped(pid, signal) => self.go_on(pid, Some(signal)),
                    _ => {}
                }
            }
        }

        fn go_on(&self, pid: Pid, signal: Option<Signal>) {
            // It may have been killed in between.
            let _ = ptrace::syscall(pid, signal);
        }

        fn call(&mut self, pid: Pid) {
            let Ok(mut regs) = ptrace::getregs(pid) else { return };
            match self.inside.remove(&pid) {
                None => {}
                Some(After::Nothing) => return,
                Some(After::Fail) => {
                    regs.rax = (-self.fault.errno) as u64;
                    let _ = ptrace::setregs(pid, regs);
                    return;
                }
                Some(After::Shift(seconds, at)) => {
                    let shifted = (self.word(at) as i64 + seconds).to_le_bytes();
                    let _ = self.memory().and_then(|memory| memory.write_all_at(&shifted, at));
                    return;
                }
            }
            let kind = self.kind_of(&regs).filter(|_| self.is_loaded);
            let fails = kind.is_some_and(|kind| {
                let count = self.counts.entry(kind).or_default();
                *count += 1;
                let Fault { nth, and_on, .. } = self.fault;
                kind == self.fault.kind && kind != "clock" && (*count == nth || and_on && *count > nth)
            });
            let after = match kind {
                Some("clock") if self.fault.kind == "clock" => {
                    let Fault { nth, errno, .. } = self.fault;
                    let count = self.counts["clock"];
                    let seconds = if count >= 2 * nth { -errno } else { errno };
                    if count < nth { After::Nothing } else { After::Shift(seconds, regs.rsi) }
                }
                _ if fails => {
                    regs.orig_rax = u64::MAX; // No such call: the kernel does nothing.
                    let _ = ptrace::setregs(pid, regs);
                    After::Fail
                }
                _ => After::Nothing,
            };
            self.inside.insert(pid, after);
        }

        fn kind_of(&mut self, regs: &user_regs_struct) -> Option<&'static str> {
            const THREAD: u64 = libc::CLONE_THREAD as u64;
            let who_begins = |flags: u64| if flags & THREAD == 0 { "process" } else { "thread" };
            Some(match regs.orig_rax as i64 {
                libc::SYS_open | libc::SYS_openat => {
                    let path = self.text(if regs.orig_rax as i64 == libc::SYS_open { regs.rdi } else { regs.rsi });
                    self.is_loaded |= path.ends_with(".toml");
                    "open"
                }
                libc::SYS_mmap if regs.r10 & libc::MAP_SHARED as u64 != 0 => "map",
                libc::SYS_write | libc::SYS_writev | libc::SYS_pwrite64 if self.is_file(regs.rdi) => "write",
                libc::SYS_ftruncate | libc::SYS_fallocate => "room",
                libc::SYS_clock_gettime if regs.rdi == libc::CLOCK_REALTIME as u64 => "clock",
                libc::SYS_rename | libc::SYS_renameat | libc::SYS_renameat2 => "rename",
                libc::SYS_mkdir | libc::SYS_mkdirat => "mkdir",
                libc::SYS_fork | libc::SYS_vfork => "process",
                libc::SYS_clone => who_begins(regs.rdi),
                libc::SYS_clone3 => who_begins(self.word(regs.rdi)),
                libc::SYS_socket | libc::SYS_socketpair => "socket",
                libc::SYS_accept | libc::SYS_accept4 => "accept",
                libc::SYS_pipe | libc::SYS_pipe2 => "pipe",
                libc::SYS_epoll_create1 | libc::SYS_eventfd2 | libc::SYS_pidfd_open | libc::SYS_memfd_create => {
                    "handle"
                }
                _ => return None,
            })
        }

        /// The time of day is read without a call if the kernel has said where: so it is not to have said it. What it has
        /// said stands behind the arguments and the environment.
        fn hide_clock(&self) {
            let regs = ptrace::getregs(self.root).expect("it has stopped");
            let mut at = regs.rsp + 8;
            for _ in 0..2 {
                while self.word(at) != 0 {
                    at += 8;
                }
                at += 8;
            }
            while self.word(at) != 0 {
                if self.word(at) == libc::AT_SYSINFO_EHDR {
                    let nothing = libc::AT_IGNORE.to_le_bytes();
                    self.memory().and_then(|memory| memory.write_all_at(&nothing, at)).expect("it can be written to");
                }
                at += 16;
            }
        }

        fn memory(&self) -> std::io::Result<std::fs::File> {
            std::fs::File::options().read(true).write(true).open(format!("/proc/{}/mem", self.root))
        }

        fn is_file(&self, fd: u64) -> bool {
            let link = std::fs::read_link(format!("/proc/{}/fd/{fd}", self.root));
            link.is_ok_and(|path| path.is_absolute() && !path.starts_with("/dev") && Path::new(&path).is_file())
        }

        fn bytes(&self, at: u64, buffer: &mut [u8]) -> usize {
            self.memory().and_then(|memory| memory.read_at(buffer, at)).unwrap_or(0)
        }

        fn word(&self, at: u64) -> u64 {
            let mut word = [0; 8];
            self.bytes(at, &mut word);
            u64::from_le_bytes(word)
        }

        fn text(&self, at: u64) -> String {
            let mut buffer = [0; 4096];
            // Up to the end of the page, as nothing may stand behind it.
            let most = 4096 - (at as usize % 4096);
            let read = self.bytes(at, &mut buffer[..most]);
            let end = buffer[..read].iter().position(|byte| *byte == 0).unwrap_or(read);
            String::from_utf8_lossy(&buffer[..end]).into_owned()
        }
    }
}
