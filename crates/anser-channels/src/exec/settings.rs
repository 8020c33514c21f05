//! What a user sets on a program: as written, checked, ready. Whether there is such a program is the gateway's to see.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anser_core::Problem;
use anser_core::channel::{PROGRAM_TIMEOUT_MAX, Program};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::kit::settings::{read, schema as schema_of};

/// Bytes of the program's name.
const NAME_BYTES_MAX: usize = 128;
/// Arguments.
const ARGS_MAX: usize = 64;
/// Variables of the environment.
const VARIABLES_MAX: usize = 32;
/// Bytes of one argument, name or value.
const TEXT_BYTES_MAX: usize = 4_096;
/// Runs at the same time.
const CONCURRENCY_MAX: usize = 64;

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The name of an executable file in the folder `exec.dir` of the gateway's configuration: letters, digits, `.`, `_` and
    /// `-`, at most 128; no path.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"))]
    program: String,
    /// Arguments, as they are: no shell and no template looks at them. At most 64, of at most 4096 bytes.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    args: Vec<String>,
    /// Variables of its environment, at most 32. Their names must be allowed by `exec.env` of the gateway's configuration
    /// (unless set: those that begin with `EXEC_`). Values can hold secrets and are write-only.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = json!({"type": "string", "maxLength": 4096, "writeOnly": true})))]
    env: BTreeMap<String, String>,
    /// Seconds that a run may take, 1 to 600; then the program and all that it started are ended.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 600))]
    timeout: u64,
    /// Runs for this channel at the same time, 1 to 64.
    #[serde(default = "default_concurrency")]
    #[schemars(range(min = 1, max = 64))]
    concurrency: usize,
    /// What becomes of messages that it writes to standard output.
    #[serde(default)]
    replies: Replies,
}

const fn default_timeout() -> u64 {
    30
}

const fn default_concurrency() -> usize {
    4
}

/// What becomes of messages that the program writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Replies {
    /// They are sent to the conversation of the message that they answer, and nowhere else.
    #[default]
    Conversation,
    /// They are sent to the addresses that they name, else to that conversation.
    Anywhere,
    /// Nothing: what it writes is not looked at.
    None,
}

/// The settings checked.
pub(super) struct Checked {
    /// The program and how it is run.
    pub(super) program: Arc<Program>,
    /// What becomes of messages that it writes.
    pub(super) replies: Replies,
}

/// The JSON Schema (2020-12) of the settings, with an example.
pub(super) fn schema() -> Value {
    let example = json!({
        "program": "bot.py",
        "args": ["--polite"],
        "env": {"EXEC_TOKEN": "s3cret"},
        "timeout": 10,
        "concurrency": 2
    });
    let mut schema = schema_of::<Settings>("Program settings", example);
    schema["description"] = "Which program to run, and how.".into();
    schema
}

/// Reads and checks what was written.
///
/// # Errors
/// A problem whose field begins with `settings`: `invalid_field`, `invalid_program`, `invalid_text`, `too_many`,
/// `out_of_range`.
pub(super) fn open(settings: &Value) -> Result<Checked, Problem> {
    let settings: Settings = read(settings)?;
    check_name(&settings.program)?;
    in_range(
        "settings.timeout",
        settings.timeout,
        PROGRAM_TIMEOUT_MAX.as_secs(),
    )?;
    let concurrency = settings.concurrency as u64;
    in_range("settings.concurrency", concurrency, CONCURRENCY_MAX as u64)?;
    at_most("settings.args", settings.args.len(), ARGS_MAX)?;
    for (i, arg) in settings.args.iter().enumerate() {
        check_text(&format!("settings.args[{i}]"), arg)?;
    }
    at_most("settings.env", settings.env.len(), VARIABLES_MAX)?;
    for (name, value) in &settings.env {
        check_variable(name)?;
        check_text(&format!("settings.env.{name}"), value)?;
    }
    Ok(Checked {
        program: Arc::new(Program {
            name: settings.program,
            args: settings.args,
            env: settings.env.into_iter().collect(),
            timeout: Duration::from_secs(settings.timeout),
            concurrency: settings.concurrency,
        }),
        replies: settings.replies,
    })
}

/// A plain file name: nothing that leads to another folder, or that a program could take for an option.
fn check_name(name: &str) -> Result<(), Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let good = (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name.bytes().all(plain);
    if good {
        return Ok(());
    }
    let detail = "must be the plain name of a file in the folder exec.dir: no path, nothing hidden";
    Err(
        Problem::invalid("invalid_program", "settings.program", detail).accepted(format!(
            "1 to {NAME_BYTES_MAX} letters, digits, '.', '_' and '-', not beginning with '.' or '-'"
        )),
    )
}

fn check_variable(name: &str) -> Result<(), Problem> {
    let good = name.len() <= TEXT_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if good && !name.starts_with("ANSER_") {
        return Ok(());
    }
    let detail =
        "has a name that is no variable's, or one that begins with ANSER_: those are the gateway's";
    Err(
        Problem::invalid("invalid_field", format!("settings.env.{name}"), detail)
            .accepted("letters, digits and '_', such as EXEC_TOKEN"),
    )
}

fn check_text(field: &str, text: &str) -> Result<(), Problem> {
    if text.len() <= TEXT_BYTES_MAX && !text.contains('\0') {
        return Ok(());
    }
    let detail = format!("must have at most {TEXT_BYTES_MAX} bytes and no NUL");
    Err(Problem::invalid("invalid_text", field, detail))
}

fn at_most(field: &str, count: usize, most: usize) -> Result<(), Problem> {
    if count <= most {
        return Ok(());
    }
    let detail = format!("may have at most {most} members, has {count}");
    Err(Problem::invalid("too_many", field, detail))
}

fn in_range(field: &str, value: u64, most: u64) -> Result<(), Problem> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    let detail = format!("must be between 1 and {most}, is {value}");
    Err(Problem::invalid("out_of_range", field, detail))
}
