//! Files from the command line: `anser blob`, and `anser send --attach` through a server and without one. What a stand-in
//! took, and what comes back from the server, is the evidence.

use std::path::{Path, PathBuf};

use anser_sim::{Platform, Sim, SimOptions};
use aws_lc_rs::digest::{self, SHA256};
use serde_json::{Value, json};

use crate::harness::{Ran, Server, ServerOptions, anser};

/// A picture of one pixel.
const PNG: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
];
/// What no message holds inline.
const LARGE: usize = 3 * 1024 * 1024 + 11;
const KEY: &str = "ak_DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDA";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn hash(bytes: &[u8]) -> String {
    let digest = digest::digest(&SHA256, bytes);
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    hex.collect()
}

/// Bytes that differ everywhere.
fn bytes(size: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(size).collect()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn assert_refused(ran: &Ran, code: i32, told: &str) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(ran.stderr.contains(told), "{told}: {ran:?}");
}

/// A stand-in of Telegram, and the URL of its bot and chat for a server or without one.
async fn telegram() -> (Sim, Value, String) {
    let mut options = SimOptions::new(Platform::Telegram);
    options.limits = Vec::new();
    let sim = Sim::start(options).await.unwrap();
    let token = sim.robots()[0].token.clone();
    let settings = json!({"token": token, "chat_id": "1001", "base_url": sim.base()});
    let (number, secret) = token.split_once(':').unwrap();
    let url = format!("telegram://{number}/{secret}/1001?base_url={}", sim.base());
    (sim, settings, url)
}

#[test]
fn a_file_is_put_and_comes_back_as_it_was() {
    let server = Server::start();
    let folder = Folder::new();
    let (content, copy) = (bytes(LARGE), folder.path("copy"));
    let file = folder.file("Q3 report.pdf", &content);
    let put = server.anser(&["blob", "put", text(&file), "--output", "json"]);
    let put = put.json();
    assert_eq!(put["hash"], hash(&content), "{put}");
    assert_eq!(put["size"], LARGE);
    assert_eq!(
        put["attachment"],
        json!({"id": "f1", "name": "Q3 report.pdf", "media_type": "application/pdf", "size": LARGE,
            "sha256": hash(&content), "source": {"blob": hash(&content)}})
    );
    let again = server.anser(&["blob", "put", text(&file), "--media-type", "a/b"]);
    let again = again.ok();
    assert!(again.starts_with(&hash(&content)), "{again}");
    assert!(again.contains(r#""media_type":"a/b""#), "{again}");
    let got = server.anser(&["blob", "get", &hash(&content), "-o", text(&copy)]);
    assert!(got.ok().contains(&LARGE.to_string()));
    assert!(std::fs::read(&copy).unwrap() == content, "the copy differs");
    // To whatever reads the output.
    let small = folder.file("a.txt", b"a,b\n");
    server.anser(&["blob", "put", text(&small)]).ok();
    let got = server.anser(&["blob", "get", &hash(b"a,b\n").to_uppercase()]);
    assert_eq!(got.ok(), "a,b\n");
}

#[test]
fn what_cannot_be_put_or_got_is_told() {
    let server = ServerOptions::default().with_key(KEY).start();
    let folder = Folder::new();
    let nowhere = folder.path("none.bin");
    let ran = server.anser(&["blob", "put", text(&nowhere)]);
    assert_refused(&ran, 1, "none.bin");
    let ran = server.anser(&["blob", "put", text(folder.0.path())]);
    assert_refused(&ran, 2, "is no file");
    let huge = folder.path("huge.bin");
    let file = std::fs::File::create(&huge).unwrap();
    file.set_len(512 * 1024 * 1024 + 1).unwrap();
    let ran = server.anser(&["blob", "put", text(&huge)]);
    assert_refused(&ran, 2, "at most 536870912");

    let ran = server.anser(&["blob", "get", "abc"]);
    assert_refused(&ran, 2, "64 hexadecimal digits");
    let unknown = "a".repeat(64);
    let out = folder.path("out");
    let ran = server.anser(&["blob", "get", &unknown, "-o", text(&out)]);
    assert_refused(&ran, 3, "blob_not_found");
    assert!(!out.exists(), "nothing is left of what did not come");
    let ran = server.anser(&["blob", "get", &unknown, "-o", text(folder.0.path())]);
    assert_refused(&ran, 2, "is no file");

    // The server answers before it has all of it.
    let large = folder.file("large.bin", &bytes(16 * 1024 * 1024));
    let mut command = server.client(&["blob", "put", text(&large)]);
    let output = command.env("ANSER_KEY", "ak_of-nobody").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("HTTP 401"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_along_with_a_message() {
    let server = Server::start();
    let (sim, settings, _) = telegram().await;
    let channel = json!({"name": "chat", "kind": "telegram-bot", "settings": settings,
        "rate": {"per_second": 1000, "burst": 1000}});
    server.api().make("/v1/channels", &channel).await;
    let folder = Folder::new();
    let (picture, video) = (folder.file("p.png", PNG), bytes(LARGE));
    let clip = folder.file("clip.mp4", &video);
    let sent = server.anser(&[
        "send",
        "--to",
        "chat",
        "--attach",
        text(&picture),
        "--attach",
        text(&clip),
        "look",
    ]);
    let sent = sent.ok();
    let id = sent.split(' ').next().unwrap();
    server.api().delivery_in(id, "delivered").await;
    let kinds: Vec<String> = sim
        .messages()
        .into_iter()
        .map(|message| message.kind)
        .collect();
    assert_eq!(kinds, ["sendMessage", "sendPhoto", "sendVideo"]);
    let hashes: Vec<String> = sim
        .uploads()
        .into_iter()
        .map(|upload| upload.sha256)
        .collect();
    assert_eq!(hashes, [hash(PNG), hash(&video)]);
    let message = server.anser(&["message", "get", id]).ok();
    assert!(
        message.contains(&format!(r#""blob": "{}""#, hash(&video))),
        "{message}"
    );

    // By topic, without a text, and beside data.
    server.anser(&["topic", "create", "files"]).ok();
    let (small, data) = (
        folder.file("a.csv", b"a,b\n"),
        folder.file("d.json", b"{\"n\": 1.0}"),
    );
    for (what, body) in [
        (vec!["--attach"], r#""att": "f1""#),
        (vec!["--json", text(&data), "--attach"], r#""n": 1.0"#),
    ] {
        let mut arguments = vec!["send", "--topic", "files"];
        arguments.extend(what);
        arguments.push(text(&small));
        let sent = server.anser(&arguments).ok();
        let message = server
            .anser(&["message", "get", sent.split(' ').next().unwrap()])
            .ok();
        for part in [
            body,
            r#""inline": "YSxiCg==""#,
            r#""media_type": "text/csv""#,
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_when_a_file_cannot_be() {
    let server = Server::start();
    server.anser(&["topic", "create", "files"]).ok();
    let folder = Folder::new();
    let large = folder.file("large.bin", &bytes(LARGE));
    let nowhere = folder.path("none.bin");
    let ran = server.anser(&[
        "send",
        "--topic",
        "files",
        "--attach",
        text(&large),
        "--attach",
        text(&nowhere),
        "x",
    ]);
    assert_refused(&ran, 1, "none.bin");
    let ran = server.anser(&["blob", "get", &hash(&bytes(LARGE)), "-o", text(&nowhere)]);
    assert_refused(&ran, 3, "blob_not_found");
    let ran = server.anser(&["send", "--topic", "files"]);
    assert_refused(&ran, 2, "--attach");
    let listed = server.anser(&["message", "list", "--topic", "files", "--output", "json"]);
    assert_eq!(listed.json()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_along_with_no_server() {
    let (sim, _, url) = telegram().await;
    let folder = Folder::new();
    let content = bytes(LARGE);
    let (large, small) = (
        folder.file("data.zip", &content),
        folder.file("a.csv", b"a,b\n"),
    );
    let ran = anser(&[
        "send",
        "--to",
        &url,
        "--attach",
        text(&large),
        "--attach",
        text(&small),
        "here",
    ]);
    assert_eq!(ran.ok(), "telegram-bot: delivered\n");
    let hashes: Vec<String> = sim
        .uploads()
        .into_iter()
        .map(|upload| upload.sha256)
        .collect();
    assert_eq!(hashes, [hash(&content), hash(b"a,b\n")]);
    // Too large for the platform: with no server there is no link that could lead to it.
    let video = folder.path("v.mp4");
    let file = std::fs::File::create(&video).unwrap();
    file.set_len(51_000_000).unwrap();
    let before = sim.messages().len();
    let ran = anser(&["send", "--to", &url, "--attach", text(&video), "here"]);
    assert_refused(&ran, 2, "no link can lead to them");
    assert_eq!(sim.messages().len(), before, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_takes_no_files_is_not_sent_half_a_message() {
    let sim = Sim::start(SimOptions::new(Platform::Feishu)).await.unwrap();
    let robot = &sim.robots()[0];
    let mut url = format!("feishu://{}?base_url={}", robot.token, sim.base());
    if let Some(secret) = &robot.secret {
        url.push_str(&format!("&secret={secret}"));
    }
    let folder = Folder::new();
    let picture = folder.file("p.png", PNG);
    let ran = anser(&["send", "--to", &url, "--attach", text(&picture), "look"]);
    assert_refused(&ran, 2, "no link can lead to them");
    assert!(sim.messages().is_empty());
}

/// MiB of the large video; the target is 200.
const VIDEO_MIB: &str = "ANSER_TEST_VIDEO_MIB";
/// What the gateway may have in memory at most.
const MEMORY_MAX_KIB: u64 = 100 * 1024;

/// Writes a file of so many MiB, no two of which are alike, and tells its hash. Never holds more than one of them.
fn video(path: &Path, mib: u32) -> String {
    use std::io::Write as _;

    let mut block = bytes(1024 * 1024);
    let mut context = digest::Context::new(&SHA256);
    let mut file = std::fs::File::create(path).unwrap();
    for number in 0..mib {
        block[..4].copy_from_slice(&number.to_be_bytes());
        context.update(&block);
        file.write_all(&block).unwrap();
    }
    let hex = context.finish();
    hex.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The most memory that a process had, in KiB.
pub(crate) fn memory_peak(server: &Server) -> u64 {
    let path = format!("/proc/{}/status", server.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(path).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.split_whitespace().next());
    peak.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_video_goes_from_disk_through_a_blob_to_a_platform_with_little_memory() {
    let mib = std::env::var(VIDEO_MIB).map_or(200, |mib| mib.parse().expect(VIDEO_MIB));
    let server = Server::start();
    let mut options = SimOptions::new(Platform::Slack);
    options.limits = Vec::new();
    let sim = Sim::start(options).await.unwrap();
    let app = Platform::Slack.app(1).expect("it has apps");
    let chat = Platform::Slack.chat_id(&Platform::Slack.chats()[0]);
    let settings =
        json!({"token": app.token, "channel": chat, "base_url": format!("{}/api", sim.base())});
    let channel = json!({"name": "chat", "kind": "slack-app", "settings": settings});
    let api = server.api();
    api.make("/v1/channels", &channel).await;
    let folder = Folder::new();
    let path = folder.path("film.mp4");
    let hash = video(&path, mib);

    let sent = server.anser(&["send", "--to", "chat", "--attach", text(&path), "the film"]);
    let sent = sent.ok();
    let id = sent.split(' ').next().unwrap();
    api.delivery_in(id, "delivered").await;
    let taken = sim.uploads();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(
        (&taken[0].sha256, taken[0].size),
        (&hash, u64::from(mib) << 20)
    );
    let peak = memory_peak(&server);
    assert!(peak < MEMORY_MAX_KIB, "the gateway had {peak} KiB");

    let wrong = json!({"header": {"to": ["chat"]}, "body": {"segments": [{"type": "video", "att": "v"}]},
        "attachments": [{"id": "v", "sha256": "a".repeat(64), "source": {"blob": hash}}]});
    let (status, problem) = api.post("/v1/messages", &wrong).await;
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("integrity")),
        "{problem}"
    );
}
