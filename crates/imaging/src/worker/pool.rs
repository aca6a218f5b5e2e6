//! The client: decoding processes that wait for files, and what becomes of one that misbehaves.

use super::protocol::{Ask, Hello, Payload, Reply, Request, VERSION};
use super::protocol::{garbage, read_message, write_message};
use super::watchdog::Watchdog;
use super::{Answered, WorkerOptions};
use crate::error::{Error, Result};
use crate::gate::Promised;
use crate::limits::Limits;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Bytes that pass a pipe at a time.
const PIPE_BYTES: usize = 1 << 16;
/// Last words of a process that are read.
const MAX_LAST_WORDS: u64 = 4096;
/// A process that has not said its first words by then is not ours.
const START_SECONDS: u64 = 30;
/// Address space for everything but the voxels of a volume.
const BASE_BYTES: u64 = 256 << 20;
/// Address space per voxel of a volume: 4 bytes in a vector that doubles, 4 in patient orientation.
const BYTES_PER_VOXEL: u64 = 12;
/// Voxels that the time for one file is meant for, and those that one more second is given for: the slowest codec
/// (JPEG 2000) decodes about twice as many.
const USUAL_VOXELS: u64 = 16 << 20;
const VOXELS_PER_SECOND: u64 = 4 << 20;
/// A process may wait for a busy machine: it is ended after this many times its processor time.
const WALL_FACTOR: u64 = 12;

/// Decoding processes of one program, as many as files are read at once.
#[derive(Debug)]
pub(crate) struct Workers {
    options: WorkerOptions,
    idle: Mutex<Vec<Worker>>,
    watchdog: Watchdog,
    notes: Vec<String>,
}

/// One decoding process.
#[derive(Debug)]
struct Worker {
    child: Arc<Mutex<Child>>,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
    errors: ChildStderr,
    is_fresh: bool,
}

/// Why a process gave no answer.
enum Failure {
    /// The file could not be read here.
    File(std::io::Error),
    /// The pipe broke or brought what no process of ours says.
    Process(std::io::Error),
}

impl Workers {
    /// Starts the first process: a program that cannot be started, or is none of ours, is found out here.
    pub(crate) fn start(options: WorkerOptions) -> Result<Workers> {
        let failed = |source| Error::NoDecodingProcess { program: options.program.clone(), source };
        let watchdog = Watchdog::start().map_err(failed)?;
        let (first, notes) = Worker::start(&options, &watchdog).map_err(failed)?;
        Ok(Workers { idle: Mutex::new(vec![first]), watchdog, notes, options })
    }

    /// Protections that this system does not offer.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Asks about the first `promised.file_bytes` bytes of a file.
    ///
    /// A process that fails is ended. If it had decoded other files before, a fresh one tries again, so that no answer
    /// depends on what was decoded before.
    pub(crate) fn ask(&self, path: &Path, ask: Ask, promised: Promised, limits: &Limits) -> Result<Answered> {
        let request = self.request(ask, promised, limits);
        loop {
            let waiting = self.idle().pop();
            let mut worker = match waiting {
                Some(worker) => worker,
                None => {
                    let started = Worker::start(&self.options, &self.watchdog);
                    let program = || self.options.program.clone();
                    started.map_err(|source| Error::NoDecodingProcess { program: program(), source })?.0
                }
            };
            let time = Duration::from_secs(request.cpu_seconds.saturating_mul(WALL_FACTOR));
            let watch = self.watchdog.watch(worker.child.clone(), time);
            let exchanged = worker.exchange(path, &request);
            let is_late = watch.has_fired();
            drop(watch);
            match exchanged {
                Ok(answered) => {
                    worker.is_fresh = false;
                    self.idle().push(worker);
                    return Ok(answered);
                }
                Err(Failure::File(source)) => {
                    worker.end();
                    return Err(Error::io(path, source));
                }
                Err(Failure::Process(error)) => {
                    let is_fresh = worker.is_fresh;
                    let reason = worker.autopsy(&error, &request);
                    if is_late {
                        let reason = format!("no answer came within {} s", time.as_secs());
                        return Err(stopped(path, reason));
                    }
                    if is_fresh {
                        return Err(stopped(path, reason));
                    }
                }
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Memory and time grow with what the gate let pass, never with what a decoder asks for.
    fn request(&self, ask: Ask, promised: Promised, limits: &Limits) -> Request {
        let volume = match promised.voxels {
            0 => 0,
            voxels => (BASE_BYTES + voxels.saturating_mul(BYTES_PER_VOXEL)).saturating_add(2 * promised.file_bytes),
        };
        let more_seconds = promised.voxels.saturating_sub(USUAL_VOXELS) / VOXELS_PER_SECOND;
        Request {
            ask,
            limits: *limits,
            memory_bytes: self.options.memory_bytes.max(volume),
            cpu_seconds: self.options.cpu_seconds.saturating_add(more_seconds),
            file_bytes: promised.file_bytes,
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in self.idle().drain(..) {
            worker.end();
        }
    }
}

fn stopped(path: &Path, reason: String) -> Error {
    Error::DecodingStopped { path: path.into(), reason }
}

impl Worker {
    fn start(options: &WorkerOptions, watchdog: &Watchdog) -> std::io::Result<(Worker, Vec<String>)> {
        let mut child = Command::new(&options.program)
            .args(&options.arguments)
            .env_clear()
            // Each thread of a decoder would otherwise reserve 64 MiB of address space for its small blocks (glibc).
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        let ((input, output), errors) = pipes.expect("all three streams were asked to be pipes");
        let mut worker = Worker {
            child: Arc::new(Mutex::new(child)),
            input: BufWriter::with_capacity(PIPE_BYTES, input),
            output: BufReader::with_capacity(PIPE_BYTES, output),
            errors,
            is_fresh: true,
        };
        let watch = watchdog.watch(worker.child.clone(), Duration::from_secs(START_SECONDS));
        let hello = read_message::<Hello>(&mut worker.output);
        drop(watch);
        match hello {
            Ok(Some(Hello { version: VERSION, notes })) => Ok((worker, notes)),
            Ok(_) => {
                worker.end();
                Err(garbage("the program is not a decoding process of this version"))
            }
            Err(error) => {
                let words = worker.end().last_words;
                Err(std::io::Error::new(error.kind(), format!("{error} {words}").trim().to_string()))
            }
        }
    }

    fn exchange(&mut self, path: &Path, request: &Request) -> std::result::Result<Answered, Failure> {
        let file = File::open(path).map_err(Failure::File)?;
        write_message(&mut self.input, request).map_err(Failure::Process)?;
        self.send(file, request.file_bytes)?;
        let reply = read_message::<Reply>(&mut self.output).map_err(Failure::Process)?;
        let reply = reply.ok_or_else(|| Failure::Process(std::io::ErrorKind::UnexpectedEof.into()))?;
        let payload = Payload::read(&mut self.output, &reply, &request.limits).map_err(Failure::Process)?;
        Ok(Answered { answer: reply.answer, payload })
    }

    /// Sends exactly as many bytes as were announced; a file that has become shorter since is an error.
    fn send(&mut self, file: File, length: u64) -> std::result::Result<(), Failure> {
        let mut file = file.take(length);
        let mut buffer = vec![0; PIPE_BYTES.min(length as usize)];
        let mut sent = 0;
        loop {
            match file.read(&mut buffer).map_err(Failure::File)? {
                0 => break,
                count => {
                    self.input.write_all(&buffer[..count]).map_err(Failure::Process)?;
                    sent += count as u64;
                }
            }
        }
        if sent < length {
            return Err(Failure::File(std::io::ErrorKind::UnexpectedEof.into()));
        }
        self.input.flush().map_err(Failure::Process)
    }

    /// What went wrong, from how the process ended.
    fn autopsy(self, error: &std::io::Error, request: &Request) -> String {
        let Ended { status, last_words } = self.end();
        let memory = format!("it needs more than {} MiB of memory", request.memory_bytes >> 20);
        if error.kind() == std::io::ErrorKind::InvalidData {
            return format!("the decoding process answered {error}");
        }
        if last_words.contains("memory allocation of") {
            return memory;
        }
        match status.and_then(|status| signal(&status)) {
            Some(Signal::ProcessorTime) => {
                format!("it takes more than {} s of processor time", request.cpu_seconds)
            }
            Some(Signal::Other(number)) => format!("the decoder crashed (signal {number})"),
            None => format!("the decoding process ended: {error}"),
        }
    }

    /// Ends the process and hears its last words.
    fn end(self) -> Ended {
        let Worker { child, input, output, errors, .. } = self;
        // Dropping the writer would send what is left in its buffer, to one that no longer listens.
        let (input, _) = input.into_parts();
        drop((input, output));
        let mut child = child.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // A process that has died by itself keeps its own status: a signal to it is lost.
        let died = (0..20).find_map(|_| {
            let ended = child.try_wait().ok().flatten();
            if ended.is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            ended
        });
        let status = died.or_else(|| {
            let _ = child.kill();
            child.wait().ok()
        });
        let mut last_words = Vec::new();
        // Nothing depends on them but the wording of an error.
        let _ = errors.take(MAX_LAST_WORDS).read_to_end(&mut last_words);
        Ended { status, last_words: String::from_utf8_lossy(&last_words).into_owned() }
    }
}

/// How a process ended.
struct Ended {
    status: Option<ExitStatus>,
    last_words: String,
}

enum Signal {
    ProcessorTime,
    Other(i32),
}

#[cfg(unix)]
fn signal(status: &ExitStatus) -> Option<Signal> {
    use std::os::unix::process::ExitStatusExt;
    let number = status.signal()?;
    let is_time = number == rustix::process::Signal::XCPU.as_raw();
    Some(if is_time { Signal::ProcessorTime } else { Signal::Other(number) })
}

#[cfg(not(unix))]
fn signal(_: &ExitStatus) -> Option<Signal> {
    None
}
