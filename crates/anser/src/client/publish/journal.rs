//! What has been confirmed of a file, in `FILE.progress` beside it, so that the same command goes on where it stopped.
//! Must not be trusted for a file whose content has changed: line numbers would mean other lines.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::exit::Failure;

/// Hexadecimal digits of the content's hash in dedupe keys: 96 bits.
const CONTENT_DIGITS: usize = 24;
/// Bytes hashed at a time.
const HASH_BLOCK: usize = 64 * 1024;

/// The progress of one file.
pub(crate) struct Journal {
    path: PathBuf,
    state: State,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    content: String,
    lines_done: u64,
}

impl Journal {
    /// Reads what is known of `file`. `from_line` overrules it.
    pub(crate) fn open(file: &Path, from_line: Option<u64>) -> Result<Self, Failure> {
        let content = content(file)?;
        let mut path = file.as_os_str().to_owned();
        path.push(".progress");
        let path = PathBuf::from(path);
        let lines_done = match from_line {
            Some(line) => line.saturating_sub(1),
            None => match read(&path)? {
                Some(state) if state.content == content => state.lines_done,
                Some(state) => {
                    return Err(Failure::Usage(format!(
                        "{} has changed since its first {} lines were published; give --from-line {} to go on behind \
                         them, or remove {} to begin anew",
                        file.display(),
                        state.lines_done,
                        state.lines_done + 1,
                        path.display()
                    )));
                }
                None => 0,
            },
        };
        let state = State {
            content,
            lines_done,
        };
        Ok(Self { path, state })
    }

    /// What tells the file's content from others.
    pub(crate) fn content(&self) -> &str {
        &self.state.content
    }

    /// Lines confirmed, from the first on.
    pub(crate) fn lines_done(&self) -> u64 {
        self.state.lines_done
    }

    /// Remembers that every line up to this one is confirmed.
    pub(crate) fn confirm(&mut self, line: u64) -> Result<(), Failure> {
        self.state.lines_done = line;
        let text = serde_json::to_string(&self.state).context("cannot write the progress")?;
        std::fs::write(&self.path, text)
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(())
    }

    /// The whole file is confirmed: nothing is left to remember.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let what = format!("cannot remove {}", self.path.display());
                Err(Failure::Here(anyhow::Error::new(error).context(what)))
            }
            _ => Ok(()),
        }
    }

    /// The failure with how to go on.
    pub(crate) fn interrupted(&self, failure: Failure) -> Failure {
        let how = format!(
            "stopped behind line {}; the same command goes on there",
            self.state.lines_done
        );
        match failure {
            Failure::Unreachable { why } => Failure::Unreachable {
                why: format!("{why}\n{how}"),
            },
            Failure::Here(error) => Failure::Here(error.context(how)),
            Failure::Refused(_) | Failure::Usage(_) => {
                eprintln!("{how}");
                failure
            }
        }
    }
}

fn read(path: &Path) -> Result<Option<State>, Failure> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let what = format!("{} is damaged ({error}): remove it", path.display());
            Failure::Usage(what)
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let what = format!("cannot read {}", path.display());
            Err(Failure::Here(anyhow::Error::new(error).context(what)))
        }
    }
}

fn content(file: &Path) -> Result<String, Failure> {
    let what = || format!("cannot read {}", file.display());
    let mut reader = File::open(file).with_context(what)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; HASH_BLOCK];
    loop {
        let read = reader.read(&mut block).with_context(what)?;
        if read == 0 {
            break;
        }
        hash.update(&block[..read]);
    }
    let mut digits = String::new();
    for byte in hash.finalize() {
        digits.push_str(&format!("{byte:02x}"));
    }
    digits.truncate(CONTENT_DIGITS);
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_kept_for_the_same_content_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.jsonl");
        std::fs::write(&file, "{}\n{}\n").unwrap();
        let mut journal = Journal::open(&file, None).unwrap();
        assert_eq!(journal.lines_done(), 0);
        journal.confirm(2).unwrap();
        assert_eq!(Journal::open(&file, None).unwrap().lines_done(), 2);
        assert_eq!(Journal::open(&file, Some(1)).unwrap().lines_done(), 0);
        std::fs::write(&file, "{}\n{}\n{}\n").unwrap();
        assert!(matches!(
            Journal::open(&file, None),
            Err(Failure::Usage(text)) if text.contains("--from-line 3")
        ));
        Journal::open(&file, Some(3)).unwrap().finish().unwrap();
        assert_eq!(Journal::open(&file, None).unwrap().lines_done(), 0);
    }
}
