//! Real programs: which are run and which are not, what is seen of their ends, and that nothing of them is left.

use std::fs::Permissions;
use std::os::unix::fs::symlink;
use std::sync::LazyLock;
use std::time::Duration;

use anser_core::channel::{
    EXIT_CODE, Exchange, ExecRequest, PROGRAM_STDERR_BYTES_KEPT, PROGRAM_STDOUT_BYTES_MAX,
    RUN_FAILED, RUN_SUCCEEDED, SendErrorKind,
};
use bytes::Bytes;
use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;

use super::*;

/// Far more than any of these runs takes.
const LONG: Duration = Duration::from_secs(60);

/// Written before any program is started: a file that is open for writing in a process that is just forked is busy.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("programs");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    for (name, text) in [
        ("cat", "exec cat"),
        ("fail", "echo a >&2; echo why >&2; exit ${1:-1}"),
        ("environment", "pwd; env"),
        ("arguments", "printf '%s|' \"$@\""),
        ("deaf", "exit 0"),
        ("selfkill", "kill -9 $$"),
        (
            "loud",
            "head -c 3000000 /dev/zero; head -c 100000 /dev/zero >&2",
        ),
        ("flood", "exec yes"),
        (
            "stubborn",
            "trap '' TERM\n(trap '' TERM; while :; do sleep 1; done) &\necho $$ $! > \"$1\"\nwhile :; do sleep 1; done",
        ),
        ("parent", "sleep 1000 &\necho $! > \"$1\""),
        (
            "polite",
            "trap 'echo bye >&2; exit 0' TERM\necho $$ > \"$1\"\nwhile :; do sleep 0.05; done",
        ),
    ] {
        write(&folder, name, text, 0o755);
    }
    write(&folder, "plain", "exit 0", 0o644);
    write(&folder, "open", "exit 0", 0o777);
    write(root.path(), "outside", "exit 0", 0o755);
    std::fs::create_dir(folder.join("folder")).unwrap();
    symlink("../outside", folder.join("escape")).unwrap();
    symlink("/bin/sh", folder.join("shell")).unwrap();
    symlink("cat", folder.join("inside")).unwrap();
    symlink("loop", folder.join("loop")).unwrap();
    root
});

fn write(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
}

fn options() -> ProgramOptions {
    ProgramOptions {
        folder: FOLDER.path().join("programs"),
        running_max: 8,
        variables: vec![VARIABLES_DEFAULT.to_owned(), "TOKEN".to_owned()],
    }
}

fn programs() -> Programs {
    Programs::new(Some(options())).unwrap()
}

fn program(name: &str) -> Program {
    Program {
        name: name.to_owned(),
        args: Vec::new(),
        env: Vec::new(),
        timeout: LONG,
        concurrency: 4,
    }
}

fn request(program: Program, input: impl Into<Bytes>) -> ExecRequest {
    ExecRequest {
        program: Arc::new(program),
        facts: vec![("ANSER_TOPIC", "orders".to_owned())],
        input: input.into(),
    }
}

async fn run(program: Program, input: impl Into<Bytes>) -> Exchange {
    let programs = programs();
    let place = programs.enter(ResourceId(1), &program).await;
    let exchange = programs.run(request(program, input), place).await;
    programs.ended().await;
    exchange
}

/// What it wrote, when it ended by itself with that code.
fn wrote(exchange: Exchange, code: &str) -> String {
    let response = exchange.unwrap();
    assert_eq!(response.headers[EXIT_CODE], code);
    let succeeded = if code == "0" {
        RUN_SUCCEEDED
    } else {
        RUN_FAILED
    };
    assert_eq!(response.status, succeeded);
    String::from_utf8(response.body.to_vec()).unwrap()
}

/// Waits until a program has written its processes' numbers.
async fn numbers(file: &Path) -> Vec<Pid> {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let read = async {
        loop {
            looks.tick().await;
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if text.ends_with('\n') {
                let number = |word: &str| Pid::from_raw(word.parse().unwrap()).unwrap();
                return text.split_whitespace().map(number).collect();
            }
        }
    };
    tokio::time::timeout(LONG, read).await.unwrap()
}

/// Whether there is such a process, and not only what is left of it until somebody asks.
fn lives(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_pid()));
    let zombie = stat.is_ok_and(|stat| stat.contains(") Z "));
    test_kill_process(process).is_ok() && !zombie
}

async fn gone(processes: &[Pid]) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let none = async {
        while processes.iter().any(|process| lives(*process)) {
            looks.tick().await;
        }
    };
    assert!(
        tokio::time::timeout(LONG, none).await.is_ok(),
        "they live on"
    );
}

#[test]
fn only_files_of_the_folder_are_programs() {
    let programs = programs();
    for good in ["cat", "inside"] {
        assert_eq!(programs.judge(&program(good)), Ok(()));
    }
    for (bad, code) in [
        ("missing", "unknown_program"),
        ("loop", "unknown_program"),
        ("", "program_not_allowed"),
        (".", "program_not_allowed"),
        ("..", "program_not_allowed"),
        ("../outside", "program_not_allowed"),
        ("/bin/sh", "program_not_allowed"),
        ("./cat", "program_not_allowed"),
        ("cat/", "program_not_allowed"),
        ("folder/../cat", "program_not_allowed"),
        ("escape", "program_not_allowed"),
        ("shell", "program_not_allowed"),
        ("folder", "program_not_allowed"),
        ("plain", "program_not_allowed"),
        ("open", "program_not_allowed"),
        ("cat\0", "unknown_program"),
    ] {
        let problem = programs.judge(&program(bad)).unwrap_err();
        assert_eq!(problem.code, code, "{bad:?}: {problem}");
        assert_eq!(problem.field.as_deref(), Some("settings.program"));
    }
}

#[test]
fn without_a_folder_there_are_none_and_one_that_others_write_to_is_no_folder() {
    let problem = Programs::new(None).unwrap().judge(&program("cat"));
    let problem = problem.unwrap_err();
    assert_eq!(problem.code, "programs_off");
    assert!(problem.detail.contains(PROGRAMS_SETTING));
    let open = tempfile::tempdir().unwrap();
    std::fs::set_permissions(open.path(), Permissions::from_mode(0o777)).unwrap();
    for bad in [
        open.path().to_owned(),
        open.path().join("missing"),
        options().folder.join("cat"),
    ] {
        let folder = ProgramOptions {
            folder: bad,
            ..options()
        };
        let problem = Programs::new(Some(folder)).err().unwrap();
        assert_eq!(problem.field.as_deref(), Some(PROGRAMS_SETTING));
    }
}

#[tokio::test]
async fn a_variable_is_set_only_where_the_configuration_allows_it() {
    let with = |name: &str| Program {
        env: vec![(name.to_owned(), "s3cret".to_owned())],
        ..program("environment")
    };
    for bad in ["LD_PRELOAD", "BASH_ENV", "PATH", "exec_a", "TOKENS", "EXEC"] {
        let problem = programs().judge(&with(bad)).unwrap_err();
        assert_eq!(problem.code, "variable_not_allowed");
        assert_eq!(problem.field, Some(format!("settings.env.{bad}")));
        assert!(!problem.to_string().contains("s3cret"));
    }
    for good in ["EXEC_A", "TOKEN"] {
        let shown = wrote(run(with(good), "").await, "0");
        assert!(shown.contains(&format!("\n{good}=s3cret\n")), "{shown}");
    }
}

#[tokio::test]
async fn a_program_gets_its_input_and_hardly_anything_else() {
    let long = "x".repeat(300_000);
    assert_eq!(wrote(run(program("cat"), long.clone()).await, "0"), long);
    let folder = options().folder.canonicalize().unwrap();
    let shown = wrote(run(program("environment"), "").await, "0");
    let mut lines: Vec<&str> = shown.lines().collect();
    assert_eq!(Path::new(lines.remove(0)), folder);
    for line in lines {
        let (name, _) = line.split_once('=').unwrap();
        // The last three are the shell's own.
        let known = ["PATH", "LANG", "TZ", "ANSER_TOPIC", "PWD", "SHLVL", "_"];
        assert!(known.contains(&name), "{line}");
    }
    let hostile = ["$(id)", "a b", "; exit 9", "*", ""];
    let given = Program {
        args: hostile.map(str::to_owned).to_vec(),
        ..program("arguments")
    };
    assert_eq!(wrote(run(given, "").await, "0"), "$(id)|a b|; exit 9|*||");
}

#[tokio::test]
async fn how_it_ended_is_told() {
    assert_eq!(wrote(run(program("fail"), "").await, "1"), "a\nwhy\n");
    let coded = Program {
        args: vec!["75".to_owned()],
        ..program("fail")
    };
    wrote(run(coded, "").await, "75");
    // It does not read what it is given, which is more than a pipe holds.
    wrote(run(program("deaf"), "x".repeat(300_000)).await, "0");
    let killed = run(program("selfkill"), "").await.unwrap_err();
    assert_eq!((killed.kind, killed.sent), (SendErrorKind::Program, true));
    assert!(killed.detail.contains("signal 9"), "{killed}");
    let missing = run(program("missing"), "").await.unwrap_err();
    assert_eq!(
        (missing.kind, missing.sent),
        (SendErrorKind::Blocked, false)
    );
}

#[tokio::test]
async fn what_it_writes_is_bounded() {
    let response = run(program("loud"), "").await.unwrap();
    assert_eq!(response.body.len(), PROGRAM_STDOUT_BYTES_MAX);
    let flood = run(program("flood"), "").await.unwrap_err();
    assert_eq!((flood.kind, flood.sent), (SendErrorKind::Program, true));
    assert!(flood.detail.contains("wrote more than"), "{flood}");
    let tail = Program {
        args: vec!["1".to_owned()],
        ..program("fail")
    };
    let said = run(tail, "").await.unwrap().body;
    assert!(said.len() < PROGRAM_STDERR_BYTES_KEPT);
}

#[tokio::test]
async fn at_its_time_limit_it_ends_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("numbers");
    let stubborn = Program {
        args: vec![file.display().to_string()],
        timeout: Duration::from_millis(300),
        ..program("stubborn")
    };
    let error = run(stubborn, "").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (SendErrorKind::TimedOut, true));
    let processes = numbers(&file).await;
    assert_eq!(processes.len(), 2);
    gone(&processes).await;
}

#[tokio::test]
async fn what_it_leaves_behind_ends_with_it_and_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("numbers");
    let parent = Program {
        args: vec![file.display().to_string()],
        ..program("parent")
    };
    wrote(run(parent, "").await, "0");
    gone(&numbers(&file).await).await;
}

#[tokio::test]
async fn what_nobody_waits_for_is_ended_politely() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("numbers");
    let polite = Program {
        args: vec![file.display().to_string()],
        ..program("polite")
    };
    let programs = programs();
    let place = programs.enter(ResourceId(1), &polite).await;
    let run = programs.run(request(polite, ""), place);
    let processes = tokio::select! {
        _ = run => panic!("it does not end by itself"),
        processes = numbers(&file) => processes,
    };
    programs.ended().await;
    assert!(!lives(processes[0]));
}

#[tokio::test]
async fn so_many_run_for_a_channel_and_in_all() {
    let programs = Programs::new(Some(ProgramOptions {
        running_max: 3,
        ..options()
    }));
    let programs = programs.unwrap();
    let two = Program {
        concurrency: 2,
        ..program("cat")
    };
    let (one, other) = (ResourceId(1), ResourceId(2));
    let first = programs.enter(one, &two).await;
    let second = programs.enter(one, &two).await;
    let full = async |channel| {
        let entered = programs.enter(channel, &two);
        let soon = tokio::time::timeout(Duration::from_millis(50), entered);
        soon.await.is_err()
    };
    assert!(full(one).await, "the channel has two places");
    let third = programs.enter(other, &two).await;
    assert!(full(other).await, "there are three in all");
    drop(first);
    assert!(!full(one).await);
    drop((second, third));
    let wider = Program {
        concurrency: 3,
        ..two.clone()
    };
    let places = [
        programs.enter(one, &wider).await,
        programs.enter(one, &wider).await,
        programs.enter(one, &wider).await,
    ];
    assert_eq!(places.len(), 3, "a new size holds at once");
}
