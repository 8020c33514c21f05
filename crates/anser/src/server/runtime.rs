//! What the process asks of the operating system before it works: threads and open files.

use std::os::fd::RawFd;

use anser_edge::LIVE_CONNECTIONS_MAX;
use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for all but live clients: the sender's and the listener's connections at their caps, and the store's files.
const DESCRIPTORS_NEEDED: u64 = 2 * 8_192 + 256;
/// The same with live clients at their cap.
const DESCRIPTORS_WANTED: u64 = DESCRIPTORS_NEEDED + LIVE_CONNECTIONS_MAX as u64;

/// The runtime for the network: the calling thread alone, or `workers` beside it. Threads for blocking calls come and
/// go by themselves.
pub(crate) fn build(workers: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = match workers {
        0 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if workers > 0 {
        builder.worker_threads(workers);
    }
    builder
        .enable_all()
        .thread_name("anser")
        .build()
        .context("cannot start the runtime")
}

/// Raises the limit on open files as far as it may go, since every attempt under way holds a connection; tells when
/// that is not enough.
pub(crate) fn raise_descriptor_limit() {
    let now = getrlimit(Resource::Nofile);
    let most = now.maximum.unwrap_or(u64::MAX);
    let wanted = DESCRIPTORS_WANTED.min(most);
    if now.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: now.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit on open files was not raised");
        }
    }
    let got = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    reserve_descriptors(DESCRIPTORS_WANTED.min(got));
    if got < DESCRIPTORS_NEEDED {
        tracing::warn!(
            limit = got,
            wanted = DESCRIPTORS_NEEDED,
            "few files may be open: with many slow endpoints attempts will wait; raise ulimit -n"
        );
    }
}

/// Live connections that fit into the limit on open files. What all else needs at its caps is hardly ever needed at once,
/// so a small limit is shared: two thirds are for live clients, and never so many that the store cannot open its files.
pub(crate) fn live_connections_max() -> usize {
    let got = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let left = got.saturating_sub(DESCRIPTORS_NEEDED).max(got / 3 * 2);
    usize::try_from(left)
        .unwrap_or(usize::MAX)
        .min(LIVE_CONNECTIONS_MAX)
}

/// Makes the kernel's table of open files as large as it will be needed. Growing it later, with threads running, makes
/// whoever opens the file wait for all processors (`synchronize_rcu`): 10 to 20 ms at 512, 1024, 2048 descriptors.
fn reserve_descriptors(count: u64) {
    let highest = RawFd::try_from(count.saturating_sub(1)).unwrap_or(RawFd::MAX);
    if let Err(error) = rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), highest) {
        tracing::debug!(%error, "the table of open files was not made larger in advance");
    }
}
