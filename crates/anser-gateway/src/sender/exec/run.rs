//! One run of a program: started in a process group of its own, fed, read, and ended as a group: at its time limit, when
//! nobody waits for it any more, and, whatever it leaves behind, when it has ended itself.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anser_core::channel::{
    EXIT_CODE, Exchange, ExecRequest, HttpResponse, PROGRAM_OUTPUT_BYTES_MAX,
    PROGRAM_STDERR_BYTES_KEPT, PROGRAM_STDOUT_BYTES_MAX, RUN_FAILED, RUN_SUCCEEDED, SendError,
    SendErrorKind,
};
use bytes::Bytes;
use http::HeaderMap;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};

use super::{Found, ProgramPlace, Programs, environment};

/// How long a program may go on after SIGTERM; then comes SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long what was written is still read after a program's end, when something outside of its group holds on to it.
const DRAIN: Duration = Duration::from_millis(500);
/// How long the end of all programs is waited for: one that the kernel does not let go must not keep the gateway.
const ENDED_WITHIN: Duration = Duration::from_secs(10);
/// Bytes read at once.
const CHUNK_BYTES: usize = 8 * 1024;

/// Programs that run now.
pub(in super::super) struct Running(watch::Sender<usize>);

impl Default for Running {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Running {
    fn enter(&self) -> Ended {
        self.0.send_modify(|count| *count += 1);
        Ended(self.0.clone())
    }

    /// Resolves when there are none, or the kernel does not let one go.
    pub(super) async fn ended(&self) {
        let mut count = self.0.subscribe();
        let none = count.wait_for(|count| *count == 0);
        if tokio::time::timeout(ENDED_WITHIN, none).await.is_err() {
            tracing::warn!("a program does not end, not even by SIGKILL");
        }
    }
}

/// Counts one less when it is dropped.
struct Ended(watch::Sender<usize>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// How a run ended.
enum End {
    /// By itself.
    Exited(io::Result<ExitStatus>),
    /// It took too long.
    TimedOut,
    /// It wrote too much.
    Flooded,
    /// Nobody waits for it any more.
    Abandoned,
}

/// What a program wrote.
#[derive(Default)]
struct Written {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Programs {
    /// Runs a program, whose time begins now. Dropping the future ends it.
    pub(in super::super) async fn run(
        &self,
        request: ExecRequest,
        place: ProgramPlace,
    ) -> Exchange {
        let found = self.find(&request.program).map_err(|problem| SendError {
            kind: SendErrorKind::Blocked,
            sent: false,
            detail: problem.to_string(),
        })?;
        let child = start(&found, &request).map_err(|error| SendError {
            kind: SendErrorKind::Program,
            sent: false,
            detail: format!("{:?} cannot be started: {error}", request.program.name),
        })?;
        let (answer, answered) = oneshot::channel();
        let ended = self.running.enter();
        let watched = async move {
            watch_over(child, request, answer).await;
            drop((place, ended));
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "ends with the program, which is ended when nobody waits for it; Gateway::shutdown waits for all"
        )]
        tokio::spawn(watched);
        answered.await.unwrap_or_else(|_| {
            Err(lost(
                SendErrorKind::Program,
                "its end was not seen".to_owned(),
            ))
        })
    }
}

fn start(found: &Found<'_>, request: &ExecRequest) -> io::Result<Child> {
    Command::new(&found.path)
        .args(&request.program.args)
        .env_clear()
        .envs(environment(found.allowed, &request.program, &request.facts))
        .current_dir(&found.allowed.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// From the start to the end of all that the program started.
async fn watch_over(mut child: Child, request: ExecRequest, mut answer: oneshot::Sender<Exchange>) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let group = id.and_then(Pid::from_raw);
    let mut written = Written::default();
    let pipes = Pipes {
        stdin: child.stdin.take(),
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
    };
    let mut run = Run {
        child: &mut child,
        pumps: Box::pin(pump(pipes, request.input, &mut written)),
        pumped: false,
    };
    let timeout = request.program.timeout;
    let end = tokio::select! {
        biased;
        end = run.end() => end,
        () = answer.closed() => End::Abandoned,
        () = tokio::time::sleep(timeout) => End::TimedOut,
    };
    run.finish(group, &end).await;
    drop(run);
    // Nobody may be there to take it.
    let _ = answer.send(exchange(end, written, timeout));
}

/// A program and what goes in and out of it.
struct Run<'a, P> {
    child: &'a mut Child,
    pumps: Pin<Box<P>>,
    /// Nothing more goes in or out.
    pumped: bool,
}

impl<P: Future<Output = Result<(), Flood>>> Run<'_, P> {
    /// Resolves when the program has ended, or wrote too much.
    async fn end(&mut self) -> End {
        loop {
            tokio::select! {
                biased;
                status = self.child.wait() => return End::Exited(status),
                flood = &mut self.pumps, if !self.pumped => {
                    self.pumped = true;
                    if flood.is_err() {
                        return End::Flooded;
                    }
                }
            }
        }
    }

    /// Ends what is left: politely what did not end by itself, for good what it started and left behind.
    async fn finish(&mut self, group: Option<Pid>, end: &End) {
        if !matches!(end, End::Exited(_)) {
            signal(group, Signal::TERM);
            // What it writes meanwhile is still read, so that it does not stand still at a full pipe.
            let exited = async { while !matches!(self.end().await, End::Exited(_)) {} };
            // That it did not end in time is seen below.
            let _ = tokio::time::timeout(GRACE, exited).await;
        }
        // Right after its leader was seen to end no other group can have this number: the kernel gives each out in turn.
        signal(group, Signal::KILL);
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "the end of a program cannot be seen");
        }
        if !self.pumped {
            // What holds on to its output left its group, and is not waited for.
            let _ = tokio::time::timeout(DRAIN, &mut self.pumps).await;
        }
    }
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // There may be nobody left in it.
        let _ = kill_process_group(group, signal);
    }
}

/// The program's ends of its standard streams.
struct Pipes {
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

/// More was written than is read.
struct Flood;

/// Feeds and reads a program until it closes its streams.
async fn pump(pipes: Pipes, input: Bytes, written: &mut Written) -> Result<(), Flood> {
    let count = AtomicU64::new(0);
    let feed = async {
        if let Some(mut stdin) = pipes.stdin {
            // A program may end without reading all of it, or any.
            let _ = stdin.write_all(&input).await;
        }
        Ok(())
    };
    let out = read(pipes.stdout, &count, |bytes| {
        let room = PROGRAM_STDOUT_BYTES_MAX.saturating_sub(written.stdout.len());
        written
            .stdout
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    });
    let err = read(pipes.stderr, &count, |bytes| {
        written.stderr.extend_from_slice(bytes);
        let excess = written
            .stderr
            .len()
            .saturating_sub(PROGRAM_STDERR_BYTES_KEPT);
        written.stderr.drain(..excess);
    });
    tokio::try_join!(feed, out, err).map(drop)
}

/// Reads to the end, and gives every piece to `keep`.
async fn read(
    from: Option<impl AsyncRead + Unpin>,
    count: &AtomicU64,
    mut keep: impl FnMut(&[u8]),
) -> Result<(), Flood> {
    let Some(mut from) = from else {
        return Ok(());
    };
    let mut chunk = vec![0; CHUNK_BYTES];
    // A stream that cannot be read has come to its end.
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        keep(&chunk[..length]);
        let before = count.fetch_add(length as u64, Ordering::Relaxed);
        if before + length as u64 > PROGRAM_OUTPUT_BYTES_MAX {
            return Err(Flood);
        }
    }
    Ok(())
}

fn exchange(end: End, written: Written, timeout: Duration) -> Exchange {
    let why = match end {
        End::Exited(Ok(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => return Ok(response(code, written)),
            (None, Some(signal)) => format!("ended by signal {signal}"),
            (None, None) => "ended without an exit code".to_owned(),
        },
        End::Exited(Err(error)) => format!("its end cannot be seen: {error}"),
        End::TimedOut => {
            let detail = format!("{timeout:?} passed while the program ran");
            return Err(lost(SendErrorKind::TimedOut, said(detail, &written)));
        }
        End::Flooded => {
            format!("ended because it wrote more than {PROGRAM_OUTPUT_BYTES_MAX} bytes")
        }
        End::Abandoned => "ended because nobody waited for it any more".to_owned(),
    };
    Err(lost(SendErrorKind::Program, said(why, &written)))
}

fn response(code: i32, written: Written) -> HttpResponse {
    let mut headers = HeaderMap::new();
    headers.insert(EXIT_CODE, code.into());
    let (status, body) = match code {
        0 => (RUN_SUCCEEDED, written.stdout),
        _ => (RUN_FAILED, written.stderr),
    };
    HttpResponse {
        status,
        headers,
        body: body.into(),
    }
}

/// Why, and the end of what the program said on standard error.
fn said(why: String, written: &Written) -> String {
    match String::from_utf8_lossy(&written.stderr).trim() {
        "" => why,
        text => format!("{why}; it said: {text}"),
    }
}

/// The error of a run that may have done its work.
fn lost(kind: SendErrorKind, detail: String) -> SendError {
    SendError {
        kind,
        sent: true,
        detail,
    }
}
