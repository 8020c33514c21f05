//! Each rule against a bad snippet and a good one, and all of them against the tree we live in.

use super::finding::Finding;
use super::tree::Tree;
use super::{Rule, crates, findings, markers, modules, platforms, purity, size, text};
use crate::cargo::{self, Dependency, Package, Target};

const LIBRARY: &str = "crates/anser-core/src/lib.rs";

/// The rule finds `expected`, each as `PATH:LINE: …remedy`, judged by how it begins and by one word of it.
#[track_caller]
fn check(rule: Rule, files: &[(&str, &str)], expected: &[(&str, &str)]) {
    compare(&rule(&Tree::of(files)), expected);
}

#[track_caller]
fn compare(found: &[Finding], expected: &[(&str, &str)]) {
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), expected.len(), "found {shown:#?}");
    for (line, (beginning, word)) in shown.iter().zip(expected) {
        assert!(
            line.starts_with(beginning) && line.contains(word),
            "found {line}, expected {beginning} with {word}"
        );
    }
}

#[test]
fn the_tree_keeps_the_rules() {
    let tree = Tree::read().expect("the tree is readable");
    let shown: Vec<String> = findings(&tree).iter().map(ToString::to_string).collect();
    assert!(
        shown.is_empty(),
        "{} findings:\n{}",
        shown.len(),
        shown.join("\n")
    );
}

#[test]
fn the_tree_is_formatted() {
    let outcome = cargo::read(&mut cargo::cargo(&["fmt", "--all", "--check"]));
    if let Err(error) = outcome {
        panic!("run `cargo fmt --all` (the component is `rustfmt`): {error:#}");
    }
}

fn package(name: &str, uses: &[(&str, Option<&str>)]) -> Package {
    let mut dependencies = Vec::new();
    for (name, kind) in uses {
        dependencies.push(Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
        });
    }
    let target = Target {
        name: name.to_owned(),
        kind: vec!["lib".to_owned()],
    };
    let manifest_path = format!("/somewhere/crates/{name}/Cargo.toml").into();
    Package {
        name: name.to_owned(),
        manifest_path,
        dependencies,
        targets: vec![target],
        features: Default::default(),
    }
}

fn with_packages(packages: Vec<Package>) -> Tree {
    Tree {
        packages,
        ..Tree::default()
    }
}

#[test]
fn an_edge_outside_the_table_is_found() {
    let good = package(
        "anser-edge",
        &[
            ("anser-core", None),
            ("anser-gateway", None),
            ("serde", None),
        ],
    );
    let tests_of_edge = package("anser-edge", &[("anser-store", Some("dev"))]);
    let bad = package("anser-core", &[("anser-store", None)]);
    let loop_of_tests = package("anser-core", &[("anser-store", Some("dev"))]);
    let unknown = package("anser-extra", &[]);
    compare(
        &crates::dependency_table(&with_packages(vec![good, tests_of_edge])),
        &[],
    );
    compare(
        &crates::dependency_table(&with_packages(vec![bad, loop_of_tests, unknown])),
        &[
            ("crates/anser-core/Cargo.toml: crate-table", "anser-store"),
            ("crates/anser-core/Cargo.toml: crate-table", "anser-store"),
            ("crates/anser-extra/Cargo.toml: crate-table", "no row"),
        ],
    );
}

#[test]
fn io_crates_stay_out_of_crates_without_io() {
    let good = package("anser-core", &[("serde", None), ("tokio", Some("dev"))]);
    let bad = package("anser-channels", &[("tokio", None)]);
    let elsewhere = package("anser-edge", &[("tokio", None)]);
    let found = crates::banned_dependencies(&with_packages(vec![good, bad, elsewhere]));
    compare(
        &found,
        &[("crates/anser-channels/Cargo.toml: no-io-crate", "tokio")],
    );
}

#[test]
fn members_take_the_lints() {
    let good = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n";
    check(
        crates::inherited_lints,
        &[("crates/a/Cargo.toml", good)],
        &[],
    );
    let fuzz = "[package]\n[workspace]\n";
    check(crates::inherited_lints, &[("fuzz/Cargo.toml", fuzz)], &[]);
    check(
        crates::inherited_lints,
        &[("crates/a/Cargo.toml", "[package]\n")],
        &[("crates/a/Cargo.toml: lints", "add")],
    );
}

#[test]
fn a_second_test_binary_is_found() {
    let mut crowded = package("anser", &[]);
    for name in ["it", "other"] {
        crowded.targets.push(Target {
            name: name.to_owned(),
            kind: vec!["test".to_owned()],
        });
    }
    let found = crates::one_integration_binary(&with_packages(vec![crowded]));
    compare(
        &found,
        &[("crates/anser/Cargo.toml: one-test-binary", "`other`")],
    );
}

#[test]
fn platform_names_are_found_in_identifiers_strings_and_file_names() {
    let bad = "//! x\nfn send_dingtalk() {}\nstruct DingTalkRobot;\nconst KIND: &str = \"feishu-hook\";\n";
    check(
        platforms::platform_names,
        &[(LIBRARY, bad)],
        &[
            (LIBRARY, "dingtalk"),
            ("crates/anser-core/src/lib.rs:3:", "dingtalk"),
            ("crates/anser-core/src/lib.rs:4:", "feishu"),
        ],
    );
    let found = "crates/anser-gateway/src/slack/mod.rs: platform-name";
    check(
        platforms::platform_names,
        &[("crates/anser-gateway/src/slack/mod.rs", "//! x\n")],
        &[(found, "slack")],
    );
    let good = "//! Slack is named in documentation only.\n/// Like telegram.\nfn slackened() { let line = \"one line\"; } // feishu\n";
    check(platforms::platform_names, &[(LIBRARY, good)], &[]);
    check(
        platforms::platform_names,
        &[(LIBRARY, "//! x\nconst K: &str = \"line\";\n")],
        &[(LIBRARY, "`line`")],
    );
}

#[test]
fn a_platform_is_whatever_has_a_folder_and_may_be_named_where_it_is_spoken() {
    let folder = (
        "crates/anser-channels/src/zulip/mod.rs",
        "//! x\nconst KIND: &str = \"zulip\";\n",
    );
    let generic = ("crates/anser-channels/src/webhook/mod.rs", "//! x\n");
    let naming = "//! x\nfn f() { kinds!(webhook, zulip); }\n";
    let door = ("crates/anser-edge/src/robot/mod.rs", naming);
    check(platforms::platform_names, &[folder, generic, door], &[]);
    check(
        platforms::platform_names,
        &[folder, generic, ("crates/anser-edge/src/api.rs", naming)],
        &[("crates/anser-edge/src/api.rs:2: platform-name", "zulip")],
    );
}

#[test]
fn pure_code_names_no_clock_chance_socket_or_task() {
    for bad in [
        "std::time::Instant::now()",
        "SystemTime::now()",
        "jiff::Timestamp::now()",
        "uuid::Uuid::now_v7()",
        "rand::random::<u8>()",
        "aws_lc_rs::rand::SystemRandom::new()",
        "Ed25519KeyPair::generate()",
        "std::net::TcpStream::connect(address)",
        "std::fs::read(path)",
        "std::thread::spawn(work)",
        "tokio::spawn(work)",
        "select! { _ = tokio::time::sleep(d) => {} }",
    ] {
        let code = format!("//! x\nfn f() {{\n    {bad};\n}}\n");
        for path in [
            LIBRARY,
            "crates/anser-channels/src/webhook/mod.rs",
            "crates/anser-gateway/src/dispatch/plan.rs",
        ] {
            check(
                purity::pure_code,
                &[(path, &code)],
                &[(&format!("{path}:3: pure-code"), "`")],
            );
        }
        check(
            purity::pure_code,
            &[("crates/anser-gateway/src/dispatch/shell.rs", &code)],
            &[],
        );
        check(
            purity::pure_code,
            &[("crates/anser-core/src/clock.rs", &code)],
            &[],
        );
        let test = format!("//! x\n#[cfg(test)]\nmod tests {{\n    fn f() {{ {bad}; }}\n}}\n");
        check(purity::pure_code, &[(LIBRARY, &test)], &[]);
    }
    let grouped = "//! x\nuse std::{collections::BTreeMap, fs::File};\n";
    check(
        purity::pure_code,
        &[(LIBRARY, grouped)],
        &[(LIBRARY, "std::fs::File")],
    );
    let good = "//! x\nfn f(clock: &dyn Clock, rand: u8) { clock.now(); self.rand(); std::net::IpAddr::from([0; 4]); }\n";
    check(purity::pure_code, &[(LIBRARY, good)], &[]);
}

const ROOT: (&str, &str) = (
    LIBRARY,
    "//! x\nmod a;\nmod b;\nmod c;\npub use c::Shared;\n",
);

fn module(name: &str) -> String {
    format!("crates/anser-core/src/{name}.rs")
}

#[test]
fn modules_that_import_each_other_are_found() {
    let (a, b, c) = (module("a"), module("b"), module("c"));
    let found = &[("crates/anser-core/src/a.rs:2: module-loop", "b imports c")];
    check(
        modules::no_loops,
        &[
            ROOT,
            (&a, "//! x\nuse crate::{b::{self, B}, other};\n"),
            (&b, "//! x\nfn f() { super::c::call() }\n"),
            (
                &c,
                "//! x\nuse crate::a::A as Renamed;\npub struct Shared;\n",
            ),
        ],
        found,
    );
    let through_the_root = "//! x\nuse crate::Shared;\n";
    let back = "//! x\nuse crate::b::B;\npub struct Shared;\n";
    let found = &[("crates/anser-core/src/b.rs:2: module-loop", "c imports b")];
    check(
        modules::no_loops,
        &[ROOT, (&a, "//! x\n"), (&b, through_the_root), (&c, back)],
        found,
    );
}

#[test]
fn imports_one_way_and_imports_of_tests_are_no_loop() {
    let (a, b, c) = (module("a"), module("b"), module("c"));
    let tests = "//! x\npub struct B;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n";
    check(
        modules::no_loops,
        &[
            ROOT,
            (&a, "//! x\nuse crate::b::B;\nuse super::c;\n"),
            (&b, tests),
            (&c, "//! x\npub struct Shared;\n"),
        ],
        &[],
    );
    let folder = "//! x\nmod x;\nmod y;\npub struct Parent;\npub use x::X;\n";
    let files = [
        ("crates/anser-core/src/a/mod.rs", folder),
        (
            "crates/anser-core/src/a/x.rs",
            "//! x\nuse super::Parent;\npub struct X;\n",
        ),
        (
            "crates/anser-core/src/a/y.rs",
            "//! x\nuse super::{Parent, X};\n",
        ),
    ];
    check(modules::no_loops, &files, &[]);
}

#[test]
fn siblings_inside_a_folder_are_compared_too() {
    let files = [
        (
            "crates/anser-core/src/a/mod.rs",
            "//! x\nmod x;\nmod y;\npub use x::X;\n",
        ),
        ("crates/anser-core/src/a/x.rs", "//! x\nuse super::y::Y;\n"),
        ("crates/anser-core/src/a/y.rs", "//! x\nuse super::X;\n"),
    ];
    check(
        modules::no_loops,
        &files,
        &[(
            "crates/anser-core/src/a/x.rs:2: module-loop",
            "a::y imports a::x",
        )],
    );
}

fn long_function(lines: usize) -> String {
    format!(
        "//! x\n\n/// Documentation.\n#[must_use]\npub fn long(\n) {{\n{}}}\n",
        "    work();\n".repeat(lines - 3)
    )
}

#[test]
fn long_functions_and_files_are_found() {
    check(size::within_limits, &[(LIBRARY, &long_function(70))], &[]);
    let found =
        "crates/anser-core/src/lib.rs:5: size: fn crates/anser-core/src/lib.rs::long has 71 lines";
    check(
        size::within_limits,
        &[(LIBRARY, &long_function(71))],
        &[(found, "at most 70")],
    );
    let inside_a_macro = format!(
        "//! x\nproptest! {{\n{}\n}}\n",
        long_function(71).replace("//! x", "")
    );
    check(
        size::within_limits,
        &[(LIBRARY, &inside_a_macro)],
        &[(LIBRARY, "71 lines")],
    );
    check(
        size::within_limits,
        &[(LIBRARY, &"//! x\n".repeat(800))],
        &[],
    );
    check(
        size::within_limits,
        &[(LIBRARY, &"//! x\n".repeat(801))],
        &[(LIBRARY, "801 lines, at most 800")],
    );
    let entry = "crates/anser/src/main.rs";
    check(
        size::within_limits,
        &[(entry, &"//! x\n".repeat(150))],
        &[(entry, "150 lines, at most 149")],
    );
}

#[test]
fn the_ratchet_holds_what_was_long_and_only_shrinks() {
    let list = "xtask/tidy-ratchet.txt";
    let entry = |lines: usize| format!("# why\nfn {LIBRARY}::long {lines}\n");
    let file = |lines: usize| (LIBRARY, long_function(lines));
    for (lines, allowed, found) in [
        (90, 90, None),
        (91, 90, Some((LIBRARY, "91 lines, at most 90"))),
        (80, 90, Some((list, "shrunk to 80"))),
        (70, 90, Some((list, "within its limit"))),
    ] {
        let (path, text) = file(lines);
        let expected: Vec<(&str, &str)> = found.into_iter().collect();
        check(
            size::within_limits,
            &[(path, &text), (list, &entry(allowed))],
            &expected,
        );
    }
    let tightened =
        |lines: usize| size::tightened(&Tree::of(&[(LIBRARY, &long_function(lines))]), &entry(90));
    assert_eq!(tightened(80), entry(80));
    assert_eq!(tightened(95), entry(90));
    assert_eq!(tightened(60), "# why\n");
    check(
        size::within_limits,
        &[(list, "fn somewhere\n")],
        &[("xtask/tidy-ratchet.txt:1: size", "is no")],
    );
}

#[test]
fn silenced_lints_and_ignored_tests_are_found() {
    for bad in [
        "#[allow(dead_code)]",
        "#![allow(dead_code)]",
        "#[cfg_attr(test, allow(dead_code))]",
    ] {
        check(
            markers::attributes,
            &[(LIBRARY, &format!("{bad}\nfn f() {{}}\n"))],
            &[(LIBRARY, "no-allow")],
        );
    }
    check(
        markers::attributes,
        &[(LIBRARY, "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n")],
        &[(LIBRARY, "no-ignored-test")],
    );
    let good = "#[expect(dead_code, reason = \"allow\")]\nfn allow() { ignore(\"#[allow(x)]\"); } // #[allow(x)]\n";
    check(markers::attributes, &[(LIBRARY, good)], &[]);
}

#[test]
fn unfinished_work_is_found() {
    for bad in ["todo!()", "unimplemented!(\"later\")", "dbg!(x)"] {
        check(
            markers::unfinished_code,
            &[(LIBRARY, &format!("fn f() {{ {bad} }}\n"))],
            &[(LIBRARY, "finish it")],
        );
    }
    check(
        markers::unfinished_code,
        &[(LIBRARY, "fn f() { todo(\"todo!()\") } // dbg!\n")],
        &[],
    );
    for word in [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ] {
        let code = format!("//! x\n// {word}: later\n");
        check(
            text::unfinished_comments,
            &[(LIBRARY, &code)],
            &[("crates/anser-core/src/lib.rs:2:", word)],
        );
        check(text::unfinished_comments, &[("docs/plan.md", &code)], &[]);
    }
    check(
        text::unfinished_comments,
        &[(LIBRARY, "//! X and TODOS and XXXX\n")],
        &[],
    );
}

#[test]
fn sleeping_tests_are_found() {
    for sleep in [
        "std::thread::sleep(d)",
        "thread::sleep(d)",
        "tokio::time::sleep(d).await",
        "time::sleep_until(t)",
    ] {
        let test = format!(
            "//! x\n#[tokio::test(start_paused = true)]\nasync fn t() {{\n    {sleep};\n}}\n"
        );
        check(
            markers::sleeping_tests,
            &[(LIBRARY, &test)],
            &[("crates/anser-core/src/lib.rs:4: no-sleep", "paused")],
        );
        let code = format!("//! x\nasync fn shell() {{ {sleep}; }}\n");
        check(markers::sleeping_tests, &[(LIBRARY, &code)], &[]);
        check(
            markers::sleeping_tests,
            &[("crates/anser/tests/it/main.rs", &code)],
            &[("crates/anser", "paused")],
        );
    }
    let imported = "//! x\n#[cfg(test)]\nmod tests {\n    use tokio::time::{advance, sleep};\n}\n";
    check(
        markers::sleeping_tests,
        &[(LIBRARY, imported)],
        &[("crates/anser-core/src/lib.rs:4:", "tokio::time::sleep")],
    );
    let not_for_tests = "//! x\n#[cfg(not(test))]\nfn f() { std::thread::sleep(d) }\n";
    check(markers::sleeping_tests, &[(LIBRARY, not_for_tests)], &[]);
}

#[test]
fn a_module_declared_for_tests_only_is_test_code_in_its_own_file() {
    let files = [
        (
            "crates/anser-core/src/a/mod.rs",
            "//! x\n#[cfg(test)]\nmod model;\nmod real;\n",
        ),
        (
            "crates/anser-core/src/a/model.rs",
            "//! x\nfn f() { std::fs::read(p); }\n",
        ),
        (
            "crates/anser-core/src/a/model/deep.rs",
            "//! x\nfn f() { std::fs::read(p); }\n",
        ),
        (
            "crates/anser-core/src/a/real.rs",
            "//! x\nfn f() { std::fs::read(p); }\n",
        ),
    ];
    check(
        purity::pure_code,
        &files,
        &[("crates/anser-core/src/a/real.rs:2:", "std::fs::read")],
    );
}

#[test]
fn headers_and_names_of_files() {
    check(
        text::file_headers,
        &[(LIBRARY, "//! What it is for.\n")],
        &[],
    );
    check(
        text::file_headers,
        &[(LIBRARY, "use std::fmt;\n")],
        &[("crates/anser-core/src/lib.rs:1: header", "begin")],
    );
    for bad in ["types", "utils", "common", "helpers"] {
        check(
            text::file_names,
            &[(&module(bad), "//! x\n")],
            &[("crates/anser-core/src", "vague-name")],
        );
        check(
            text::file_names,
            &[(&module(&format!("{bad}/deep")), "//! x\n")],
            &[("crates/anser-core/src", "vague-name")],
        );
    }
    check(
        text::file_names,
        &[(&module("event_types"), "//! x\n")],
        &[],
    );
}

#[test]
fn addresses_of_one_machine_are_found() {
    for folder in [
        concat!("/wo", "rk/main"),
        concat!("/ro", "ot/x"),
        concat!("/tmp/bash", "_jobs.0/1"),
    ] {
        check(
            text::machine_paths,
            &[("docs/a.md", &format!("see `{folder}`\n"))],
            &[("docs/a.md:1: machine-path", "one machine")],
        );
        check(
            text::machine_paths,
            &[("docs/a.md", &format!("see https://host{folder}\n"))],
            &[],
        );
    }
    for host in [
        concat!("https://py", "pi.org/simple"),
        concat!("sparse+https://index.cra", "tes.io/"),
    ] {
        check(
            text::registry_hosts,
            &[("docs/a.md", host)],
            &[("docs/a.md:1: registry-host", "package manager")],
        );
    }
    check(
        text::registry_hosts,
        &[("docs/a.md", "published on crates.io and PyPI\n")],
        &[],
    );
    let lock = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
    check(text::registry_hosts, &[("Cargo.lock", lock)], &[]);
    check(
        text::registry_hosts,
        &[("Cargo.lock", "source = \"git+https://host/x\"\n")],
        &[("Cargo.lock:1:", "git+https")],
    );
    let mirror = concat!("--index", "-url http://mirror/simple\n");
    check(
        text::registry_hosts,
        &[("a/requirements.txt", mirror)],
        &[("a/requirements.txt:1:", "registry")],
    );
}

#[test]
fn what_the_lexer_refuses_is_a_finding() {
    let found = findings(&Tree::of(&[(LIBRARY, "//! x\nfn f( {\n")]));
    compare(&found, &[("crates/anser-core/src/lib.rs:", "no Rust")]);
}
