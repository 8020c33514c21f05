//! Programs on this machine: which may be run, and how many at the same time. Only files of one folder are, which the
//! configuration names and no request can. Must not know whom a run is for, nor decide what its end means.

mod run;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anser_core::Problem;
use anser_core::channel::Program;
use anser_core::id::ResourceId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use run::Running;

/// The setting that names the folder.
pub const PROGRAMS_SETTING: &str = "exec.dir";
/// The setting that names the variables which channels may set.
const VARIABLES_SETTING: &str = "exec.env";
/// Programs that run at the same time by default.
pub const PROGRAMS_MAX_DEFAULT: usize = 16;
/// Variables that channels may set by default. Others can change what a program does before its first line: `LD_PRELOAD`,
/// `BASH_ENV` and their like would run any file that is on this machine, such as an upload.
pub const VARIABLES_DEFAULT: &str = "EXEC_*";

/// What a program keeps of the gateway's own environment.
const KEPT_VARIABLES: [&str; 3] = ["PATH", "LANG", "TZ"];
/// Permission of everybody to write.
const OTHERS_WRITE: u32 = 0o002;
/// Permissions to execute.
const EXECUTE: u32 = 0o111;

/// Which programs may be run.
#[derive(Debug, Clone)]
pub struct ProgramOptions {
    /// The folder they are in.
    pub folder: PathBuf,
    /// How many may run at the same time.
    pub running_max: usize,
    /// Names of variables that channels may set; one that ends with `*` stands for all that begin so.
    pub variables: Vec<String>,
}

/// Those that may be run, and places for those that run.
pub(super) struct Programs {
    allowed: Option<Allowed>,
    /// For each channel with one that runs.
    by_channel: Mutex<HashMap<ResourceId, Lane>>,
    all: Arc<Semaphore>,
    /// Those that run now, until they have ended for good.
    running: Running,
}

struct Allowed {
    /// Without links on the way.
    folder: PathBuf,
    variables: Vec<String>,
    /// What they keep of our environment.
    kept: Vec<(&'static str, OsString)>,
}

/// The places of one channel.
struct Lane {
    size: usize,
    places: Arc<Semaphore>,
}

/// A place for one run.
#[derive(Debug)]
pub struct ProgramPlace {
    _of_channel: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// A program that was found and may be run.
struct Found<'a> {
    path: PathBuf,
    allowed: &'a Allowed,
}

impl Programs {
    /// # Errors
    /// `invalid_setting` when there is no such folder, or others may write to it.
    pub(super) fn new(options: Option<ProgramOptions>) -> Result<Self, Problem> {
        let most = options
            .as_ref()
            .map_or(PROGRAMS_MAX_DEFAULT, |options| options.running_max);
        let allowed = options.map(allowed).transpose()?;
        Ok(Self {
            allowed,
            by_channel: Mutex::default(),
            all: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))),
            running: Running::default(),
        })
    }

    /// Looks whether a program may be run.
    ///
    /// # Errors
    /// `programs_off`, `unknown_program`, `program_not_allowed`, `variable_not_allowed`.
    pub(super) fn judge(&self, program: &Program) -> Result<(), Problem> {
        self.find(program).map(drop)
    }

    fn find(&self, program: &Program) -> Result<Found<'_>, Problem> {
        let refused = |code, detail: String| Problem::invalid(code, "settings.program", detail);
        let allowed = self.allowed.as_ref().ok_or_else(|| {
            let detail = "this gateway runs no programs: set exec.dir in its configuration file to the folder that holds \
                          those it may run, and restart it";
            refused("programs_off", detail.to_owned())
        })?;
        check_variables(program, &allowed.variables)?;
        let name = Path::new(&program.name);
        let mut parts = name.components();
        let plain =
            matches!(parts.next(), Some(Component::Normal(part)) if part == name.as_os_str());
        if !plain || parts.next().is_some() {
            let detail = format!("{:?} is no plain file name", program.name);
            return Err(refused("program_not_allowed", detail));
        }
        let path = allowed.folder.join(name).canonicalize().map_err(|error| {
            let detail = format!(
                "there is no {:?} in the folder {PROGRAMS_SETTING}: {error}",
                program.name
            );
            refused("unknown_program", detail)
        })?;
        let not_allowed =
            |why: &str| refused("program_not_allowed", format!("{:?} {why}", program.name));
        if !path.starts_with(&allowed.folder) {
            return Err(not_allowed(
                "is a link that leads out of the folder exec.dir",
            ));
        }
        let found = path.metadata();
        let found = found.map_err(|error| not_allowed(&format!("cannot be looked at: {error}")))?;
        if let Some(why) = unfit(&found) {
            return Err(not_allowed(why));
        }
        Ok(Found { path, allowed })
    }

    /// Waits for a place among those that run for a channel, and among all.
    pub(super) async fn enter(&self, channel: ResourceId, program: &Program) -> ProgramPlace {
        let lane = self.lane(channel, program.concurrency);
        ProgramPlace {
            _of_channel: permit(lane).await,
            _of_all: permit(Arc::clone(&self.all)).await,
        }
    }

    /// The places of a channel. With a new size they are new ones: what runs on the old ones is not counted in them.
    fn lane(&self, channel: ResourceId, size: usize) -> Arc<Semaphore> {
        let mut lanes = self
            .by_channel
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|id, lane| {
            let in_use = Arc::strong_count(&lane.places) > 1;
            in_use && (*id != channel || lane.size == size)
        });
        let lane = lanes.entry(channel).or_insert_with(|| Lane {
            size,
            places: Arc::new(Semaphore::new(size.clamp(1, Semaphore::MAX_PERMITS))),
        });
        Arc::clone(&lane.places)
    }

    /// Resolves when nothing runs any more.
    pub(super) async fn ended(&self) {
        self.running.ended().await;
    }
}

async fn permit(places: Arc<Semaphore>) -> OwnedSemaphorePermit {
    places
        .acquire_owned()
        .await
        .expect("places of programs are never closed")
}

fn allowed(options: ProgramOptions) -> Result<Allowed, Problem> {
    let folder = options.folder.display().to_string();
    let invalid = |why: &str| {
        let detail = format!("the folder of programs {folder} {why}");
        Problem::invalid("invalid_setting", PROGRAMS_SETTING, detail)
    };
    let found = options.folder.canonicalize();
    let found = found.map_err(|error| invalid(&format!("cannot be opened: {error}")))?;
    let metadata = found.metadata();
    let metadata = metadata.map_err(|error| invalid(&format!("cannot be looked at: {error}")))?;
    if !metadata.is_dir() {
        return Err(invalid("is no folder"));
    }
    if metadata.permissions().mode() & OTHERS_WRITE != 0 {
        return Err(invalid("can be written by everybody: chmod o-w"));
    }
    let kept = KEPT_VARIABLES.into_iter();
    Ok(Allowed {
        folder: found,
        variables: options.variables,
        kept: kept
            .filter_map(|name| Some((name, std::env::var_os(name)?)))
            .collect(),
    })
}

fn unfit(found: &Metadata) -> Option<&'static str> {
    let mode = found.permissions().mode();
    if !found.is_file() {
        Some("is no file")
    } else if mode & EXECUTE == 0 {
        Some("is not executable: chmod +x")
    } else if mode & OTHERS_WRITE != 0 {
        Some("can be written by everybody: chmod o-w")
    } else {
        None
    }
}

fn check_variables(program: &Program, patterns: &[String]) -> Result<(), Problem> {
    let allowed = |name: &str| patterns.iter().any(|pattern| covers(pattern, name));
    let Some((name, _)) = program.env.iter().find(|(name, _)| !allowed(name)) else {
        return Ok(());
    };
    let detail = format!(
        "is a variable that channels may not set; {VARIABLES_SETTING} in the gateway's configuration file names those that they may"
    );
    Err(Problem::invalid(
        "variable_not_allowed",
        format!("settings.env.{name}"),
        detail,
    )
    .accepted(patterns.join(", ")))
}

fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

/// The variables of a run, the later ones winning.
fn environment<'a>(
    allowed: &'a Allowed,
    program: &'a Program,
    facts: &'a [(&'static str, String)],
) -> impl Iterator<Item = (&'a str, &'a OsStr)> {
    let kept = allowed
        .kept
        .iter()
        .map(|(name, value)| (*name, value.as_os_str()));
    let set = program
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), OsStr::new(value)));
    let facts = facts.iter().map(|(name, value)| (*name, OsStr::new(value)));
    kept.chain(set).chain(facts)
}
