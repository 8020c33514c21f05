//! Unchanged Tencent CMQ SDKs on a tour through the real binary: both Python 3 packages, each with both signature methods,
//! by POST and by GET. What is right is in `tests/external/cmq_*.py`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{KEY, python, script, shown};
use crate::harness::{Server, ServerOptions};

/// The APPID of the key, which pushes carry as `TopicOwner`.
const APP_ID: u64 = 1_250_000_042;
const TOUR: &str = "cmq_tour.py";
/// How the four tours of one SDK differ.
const WAYS: [(&str, &str); 4] = [
    ("sha1", "POST"),
    ("sha256", "POST"),
    ("sha1", "GET"),
    ("sha256", "GET"),
];

#[tokio::test]
async fn qcloud_cmq_sdk_py3_runs_the_whole_tour() {
    tours("ANSER_EXTERNAL_CMQ_QCLOUD").await;
}

#[tokio::test]
async fn abmn_qcloud_cmq_sdk_py3_runs_the_whole_tour() {
    tours("ANSER_EXTERNAL_CMQ_ABMN").await;
}

/// All four at once on one server, under names of their own: most of their time they wait.
async fn tours(variable: &str) {
    let packages = std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask ci`"));
    let server = ServerOptions::default().with_key(KEY).start();
    let credentials = credentials(&server).await;
    let folders = WAYS.map(|_| copied());
    let mut children = Vec::new();
    for ((sign, method), folder) in WAYS.into_iter().zip(&folders) {
        let input = json!({
            "endpoint": server.base(),
            "secret_id": credentials["secret_id"],
            "secret_key": credentials["secret_key"],
            "app_id": APP_ID,
            "sign": sign,
            "method": method,
            "prefix": format!("{sign}-{method}"),
        });
        children.push((
            sign,
            method,
            start(folder.path(), packages.as_ref(), &input),
        ));
    }
    let mut failures = Vec::new();
    for (sign, method, child) in children {
        let output = child.wait_with_output().unwrap();
        if !output.status.success() || output.stdout != b"done\n" {
            failures.push(format!("{sign} {method}: {}", shown(&output)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(server.api().get("/readyz").await.0, 200);
}

/// The key pair of a new key that may do everything.
async fn credentials(server: &Server) -> Value {
    let spec = json!({"name": "cmq", "scopes": ["admin", "publish", "consume", "read"], "cmq": true, "app_id": APP_ID});
    let made = server.api().make("/v1/keys", &spec).await;
    assert_eq!(made["cmq"]["app_id"], APP_ID);
    made["cmq"].clone()
}

/// The scripts in a folder of their own: one SDK writes its log beside the script that was started, and fails where another makes
/// the place for it at the same time.
fn copied() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(script("")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if name.starts_with("cmq_") && name.ends_with(".py") {
            std::fs::copy(file.path(), folder.path().join(name)).unwrap();
        }
    }
    folder
}

fn start(folder: &Path, packages: &Path, input: &Value) -> Child {
    let mut child = Command::new(python())
        .arg(folder.join(TOUR))
        .current_dir(folder)
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Python says that `mailcap` is going; that is the SDK's affair.
        .env("PYTHONWARNINGS", "ignore::DeprecationWarning")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = input.to_string();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    child
}
