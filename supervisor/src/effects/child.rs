//! A new process, from its making to the program that it becomes. Until then it uses our memory, and the thread that makes it
//! waits, as vfork(2) and posix_spawn(3) have it: to copy the map of a memory with a thread and a page for each of a
//! thousand workers takes longer than all the rest of a start.
//!
//! It has a stack of its own. It runs with our signals blocked, and none of our handlers is left when it unblocks them: one
//! that ran there would write to our memory and our sockets. A process that is to be another user's gets a copy of our memory
//! nevertheless: with a change of user the kernel marks the memory, which would be ours, as not to be dumped.
#![expect(unsafe_code, reason = "clone and execve, and what happens between them")]

use std::ffi::{CStr, CString, OsString, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::process::{WaitOptions, chdir, setsid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::confine::{Confine, Step};

/// Room for what the process does before it is another program: a few calls deep.
const STACK: usize = 64 << 10;

/// What the process is to become.
#[derive(Debug)]
pub(super) struct Image {
    program: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
}

impl Image {
    /// The program, with its own name before its arguments.
    ///
    /// # Errors
    /// Something has a NUL in it, which no program can be given.
    pub(super) fn new(
        program: &Path,
        args: &[String],
        env: impl IntoIterator<Item = (OsString, OsString)>,
        cwd: &Path,
    ) -> io::Result<Self> {
        let path = CString::new(program.as_os_str().as_bytes())?;
        let mut all = vec![path.clone()];
        for arg in args {
            all.push(CString::new(arg.as_bytes())?);
        }
        let mut variables = Vec::new();
        for (name, value) in env {
            let both = [name.into_vec(), value.into_vec()].join(&b'=');
            variables.push(CString::new(both)?);
        }
        Ok(Self { program: path, args: all, env: variables, cwd: CString::new(cwd.as_os_str().as_bytes())? })
    }
}

/// No process, or none that became the program.
#[derive(Debug)]
pub(super) struct Failed {
    /// What could not be done, if it is one of those.
    pub step: Option<Step>,
    /// The error.
    pub error: io::Error,
}

/// Starts it: leader of a session and a group of its own, with these standard descriptors, confined. Returns when the program runs.
pub(super) fn start(image: &Image, stdio: [BorrowedFd<'_>; 3], confine: &Confine) -> Result<i32, Failed> {
    let failed = |error| Failed { step: None, error };
    let pointers = |words: &[CString]| -> Vec<*const c_char> {
        words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(&image.args), pointers(&image.env));
    let place = Place::new().map_err(failed)?;
    let task = Task {
        program: &image.program,
        argv: &argv,
        envp: &envp,
        cwd: &image.cwd,
        stdio,
        confine,
        outcome: place.outcome(),
    };
    let memory = if confine.changes_user() { 0 } else { libc::CLONE_VM };
    let flags = memory | libc::CLONE_VFORK | libc::SIGCHLD;
    let ours = Blocked::all().map_err(failed)?;
    // SAFETY: `run` gets a pointer to a task that outlives it, as with CLONE_VFORK this thread goes on only when the process
    // has become another program or is gone. The stack is a mapping that nobody else uses, and the pointer its upper end. The
    // process makes system calls and writes to its stack, to `outcome` and to this thread's errno, and to nothing else.
    let pid = unsafe { libc::clone(run, place.top(), flags, (&raw const task).cast_mut().cast()) };
    let error = io::Error::last_os_error();
    drop(ours);
    if pid < 0 {
        return Err(failed(error));
    }
    let Some(failed) = task.outcome.failed() else { return Ok(pid) };
    // It never was the program: nobody else has heard of it.
    let _ = waitpid(rustix::process::Pid::from_raw(pid), WaitOptions::empty());
    Err(failed)
}

/// What the process needs, all of it made before.
struct Task<'a> {
    program: &'a CStr,
    argv: &'a [*const c_char],
    envp: &'a [*const c_char],
    cwd: &'a CStr,
    stdio: [BorrowedFd<'a>; 3],
    confine: &'a Confine,
    outcome: &'a Outcome,
}

impl Task<'_> {
    /// Becomes the program, or says why not.
    fn become_it(&self) -> (Option<Step>, Errno) {
        match self.prepare() {
            Err(failed) => failed,
            Ok(()) => {
                // SAFETY: both lists end with a null pointer and, like the program's path, stay as they are meanwhile.
                unsafe { libc::execve(self.program.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
                (None, last_error())
            }
        }
    }

    fn prepare(&self) -> Result<(), (Option<Step>, Errno)> {
        let other = |error| (None, error);
        let [stdin, stdout, stderr] = self.stdio;
        dup2_stdin(stdin).map_err(other)?;
        dup2_stdout(stdout).map_err(other)?;
        dup2_stderr(stderr).map_err(other)?;
        chdir(self.cwd).map_err(other)?;
        // With a session the scheduler's autogroups give each worker a share of its own. As one group, a thousand that die at
        // once keep everybody else on the machine waiting for a tenth of a second, threads of the kernel too.
        setsid().map_err(other)?;
        self.confine.apply()?;
        // ipc-channel's accepted sockets are not close-on-exec; here everything becomes so, the standard ones excepted.
        // SAFETY: a system call without pointers.
        if unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as c_int) } != 0 {
            return Err(other(last_error()));
        }
        self.confine.keep_listed().map_err(other)?;
        forget_handlers();
        Blocked::none().map_err(other)
    }
}

/// The process's first and only function.
extern "C" fn run(task: *mut c_void) -> c_int {
    // SAFETY: see the call of clone.
    let task = unsafe { &*task.cast::<Task<'_>>() };
    let (step, error) = task.become_it();
    task.outcome.note(step, error);
    127
}

fn last_error() -> Errno {
    // SAFETY: the place is this thread's, or in the process the waiting thread's.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

/// Gives every signal its default action. What we were told to ignore (by `nohup`, say), a worker would go on ignoring, and a
/// shell could not even trap it; it has a group of its own, which no terminal tells of its end, and what it gets is meant for
/// it.
fn forget_handlers() {
    for signal in 1..=libc::SIGRTMAX() {
        let default = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: it reads one `sigaction`, and one of zeroes is the default action. Numbers that mean no signal, or one
        // whose action nobody can change, are refused by an error, which is no news.
        unsafe { libc::sigaction(signal, default.as_ptr(), ptr::null_mut()) };
    }
}

/// The signals of this thread are blocked until this is dropped.
struct Blocked(libc::sigset_t);

impl Blocked {
    fn all() -> io::Result<Self> {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: the first call writes the whole set, the second reads that and, when it succeeds, writes the other one.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            match libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) {
                0 => Ok(Self(before.assume_init())),
                error => Err(io::Error::from_raw_os_error(error)),
            }
        }
    }

    /// No signal is blocked any more.
    fn none() -> Result<(), Errno> {
        let mut none = MaybeUninit::uninit();
        // SAFETY: the first call writes the whole set, the second reads it.
        let error = unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut())
        };
        if error == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(error)) }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: it reads one set, which was filled when this was made.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}

/// Why the process did not become the program: nothing, or an error and, above it, the step.
struct Outcome(AtomicI32);

impl Outcome {
    fn note(&self, step: Option<Step>, error: Errno) {
        let step = step.map_or(0, |step| i32::from(step as u8));
        self.0.store(step << 16 | error.raw_os_error(), Ordering::Relaxed);
    }

    fn failed(&self) -> Option<Failed> {
        let noted = self.0.load(Ordering::Relaxed);
        let step = u8::try_from(noted >> 16).ok().and_then(Step::of);
        (noted != 0).then(|| Failed { step, error: io::Error::from_raw_os_error(noted & 0xffff) })
    }
}

/// A mapping for the stack, and below it for the outcome. Shared, so that a process with a copy of our memory can tell as well.
struct Place(*mut c_void);

impl Place {
    fn new() -> io::Result<Self> {
        let (read_write, shared) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::NORESERVE);
        // SAFETY: a mapping of its own, wherever there is room.
        Ok(Self(unsafe { mmap_anonymous(ptr::null_mut(), STACK, read_write, shared) }?))
    }

    fn outcome(&self) -> &Outcome {
        // SAFETY: the mapping begins at a page, is larger than this, and is all zeroes at first, which is a valid number.
        unsafe { &*self.0.cast::<Outcome>() }
    }

    /// Where a stack begins that grows downwards.
    fn top(&self) -> *mut c_void {
        self.0.wrapping_byte_add(STACK)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, with this size; the borrows of it are over.
        let _ = unsafe { munmap(self.0, STACK) };
    }
}
