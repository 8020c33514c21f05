//! What the kernel says about a process: its time on the processors and its memory. Linux only, like the targets.

use anyhow::Context;
use std::time::Duration;

/// User and system time of all threads, ended ones included, to a tick (10 ms).
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = cpu_ticks(&text).with_context(|| format!("cannot understand {path}"))?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// Resident memory in bytes.
pub(crate) fn resident(pid: u32) -> anyhow::Result<u64> {
    Ok(status(pid, "VmRSS:")? * 1024)
}

/// Resident memory in bytes without the pages of files, which the kernel has once for all, maps ahead, and takes back at will.
pub(crate) fn anonymous(pid: u32) -> anyhow::Result<u64> {
    Ok(status(pid, "RssAnon:")? * 1024)
}

/// Threads there are.
pub(crate) fn threads(pid: u32) -> anyhow::Result<u64> {
    status(pid, "Threads:")
}

fn status(pid: u32, name: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    field(&text, name).with_context(|| format!("no {name} in {path}"))
}

/// `utime` and `stime` of proc_pid_stat(5), the 14th and 15th field. The second, the program's name in parentheses, may
/// itself hold blanks and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, field};

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 100 0 0 0 321 45 0 0 20 0 3 0 9 1 2";
        assert_eq!(cpu_ticks(stat), Some(366));
        assert_eq!(cpu_ticks("12 (a"), None);
    }

    #[test]
    fn memory_is_found_by_its_name() {
        let status = "Name:\tanser\nVmHWM:\t   9000 kB\nVmRSS:\t    6652 kB\nThreads:\t2\n";
        assert_eq!(field(status, "VmRSS:"), Some(6_652));
        assert_eq!(field(status, "Threads:"), Some(2));
        assert_eq!(field("Name:\tkthreadd\n", "VmRSS:"), None);
    }
}
