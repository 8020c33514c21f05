//! What the rules look at: the files that would be committed, the Rust ones lexed, and the packages.
//!
//! It follows `.gitignore` by itself, so an unpacked archive without git is checked as well.

use super::finding::Finding;
use super::lexed::Lexed;
use crate::cargo::{self, Package};
use anyhow::Context;
use ignore::WalkBuilder;
use std::path::Path;

/// Larger files are fixtures or vendored assets, not something a person wrote.
const TEXT_BYTES_MAX: usize = 2 << 20;

/// A text file.
pub(crate) struct TextFile {
    /// From the root of the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A Rust file.
pub(crate) struct RustFile {
    /// From the root of the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) lexed: Lexed,
    /// Of the file.
    pub(crate) line_count: usize,
    /// Whether all of it is test code.
    for_tests: bool,
}

impl RustFile {
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.for_tests || self.lexed.is_test(line)
    }

    /// The folder name of its crate, when it is one of the product's.
    pub(crate) fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Its path below the crate's `src/`, when it is one of the product's.
    pub(crate) fn source_path(&self) -> Option<&str> {
        self.path
            .strip_prefix("crates/")?
            .split_once('/')?
            .1
            .strip_prefix("src/")
    }
}

/// See the top of this file.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) texts: Vec<TextFile>,
    pub(crate) rust: Vec<RustFile>,
    pub(crate) packages: Vec<Package>,
    /// Rust files that no lexer takes.
    pub(crate) unreadable: Vec<Finding>,
}

impl Tree {
    /// The tree we live in.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let root = cargo::root();
        let mut tree = Self {
            packages: cargo::packages()?,
            ..Self::default()
        };
        // Hidden files count (`.ci/run`, `.cargo`); git's own folder is no part of the tree.
        let mut walk = WalkBuilder::new(&root);
        walk.hidden(false)
            .require_git(false)
            .parents(false)
            .git_global(false);
        walk.filter_entry(|entry| entry.file_name() != ".git")
            .sort_by_file_path(Ord::cmp);
        for entry in walk.build() {
            let entry = entry.context("cannot walk the tree")?;
            if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                continue;
            }
            let bytes = match std::fs::read(entry.path()) {
                Ok(bytes) => bytes,
                // An editor or another build step took it away since the folder was listed.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot read {}", entry.path().display()));
                }
            };
            if let Some(text) = text(bytes) {
                tree.add(&relative(&root, entry.path()), text);
            }
        }
        tree.mark_test_modules();
        Ok(tree)
    }

    /// A tree of snippets, for the tests of the rules.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add(path, (*text).to_owned());
        }
        tree.mark_test_modules();
        tree
    }

    fn add(&mut self, path: &str, text: String) {
        if path.ends_with(".rs") {
            match Lexed::read(&text) {
                Ok(lexed) => self.rust.push(RustFile {
                    path: path.to_owned(),
                    lexed,
                    line_count: text.lines().count(),
                    for_tests: is_test_path(path),
                }),
                Err(error) => self.unreadable.push(Finding::new(
                    "readable",
                    path,
                    error.span().start().line,
                    "is no Rust: the lexer stops here",
                )),
            }
        }
        self.texts.push(TextFile {
            path: path.to_owned(),
            text,
        });
    }

    /// Carries `#[cfg(test)] mod name;` over to the files of that module.
    fn mark_test_modules(&mut self) {
        let mut folders = Vec::new();
        for file in &self.rust {
            for name in &file.lexed.test_modules {
                folders.push(format!("{}/{name}", module_folder(&file.path)));
            }
        }
        for file in &mut self.rust {
            let stem = file.path.strip_suffix(".rs").unwrap_or(&file.path);
            file.for_tests |= folders
                .iter()
                .any(|folder| stem == folder || stem.starts_with(&format!("{folder}/")));
        }
    }
}

/// Where the modules that this file declares have their files.
fn module_folder(path: &str) -> &str {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    for root in ["/mod", "/lib", "/main"] {
        if let Some(folder) = stem.strip_suffix(root) {
            return folder;
        }
    }
    stem
}

/// `tests.rs`, and everything below a `tests` or `benches` folder.
fn is_test_path(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path
            .split('/')
            .any(|part| part == "tests" || part == "benches")
}

fn text(bytes: Vec<u8>) -> Option<String> {
    if bytes.len() > TEXT_BYTES_MAX || bytes.contains(&0) {
        return None;
    }
    String::from_utf8(bytes).ok()
}

fn relative(root: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path).components();
    let parts: Vec<String> = parts
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}
