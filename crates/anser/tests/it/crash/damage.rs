//! Data that was damaged is told, never read as if it were whole. The store's own tests damage every part; this one sees
//! what the operator sees.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{Receiver, ServerOptions};

/// The database, the largest file of the data folder.
fn database(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap()
}

#[tokio::test]
async fn a_damaged_database_is_told_and_not_served() {
    let receiver = Receiver::start().await;
    let options = ServerOptions::default();
    let server = options.start();
    let api = server.api();
    api.route("shop", "hook", &receiver.url("/hook"), json!({}), json!({}))
        .await;
    let items: Vec<_> = (0..200)
        .map(|n| json!({"body": {"data": format!("{n} {}", "x".repeat(2_000))}}))
        .collect();
    api.make("/v1/topics/shop/messages", &json!(items)).await;
    receiver.count("/hook", 200).await;
    let (status, options) = server.stop().await;
    assert!(status.success(), "{status}");
    let path = database(&options.data());
    let whole = std::fs::read(&path).unwrap();
    // The first page; a page in the middle; the end cut off.
    let mut header = whole.clone();
    header[..64].fill(0xA5);
    let mut middle = whole.clone();
    let at = whole.len() / 2 / 4096 * 4096;
    middle[at..at + 4096].fill(0xA5);
    let short = whole[..whole.len() / 2].to_vec();
    for (what, bytes) in [("header", header), ("middle", middle), ("short", short)] {
        std::fs::write(&path, bytes).unwrap();
        let ran = options.run();
        assert_ne!(ran.code, 0, "{what}");
        assert_eq!(ran.stdout, "", "{what}: it never says that it listens");
        assert!(
            ran.stderr.contains("damaged") && ran.stderr.contains("backup"),
            "{what}: {}",
            ran.stderr
        );
        assert!(
            ran.stderr
                .contains(path.file_name().unwrap().to_str().unwrap()),
            "{what}: {}",
            ran.stderr
        );
    }
    std::fs::write(&path, whole).unwrap();
    let server = options.start();
    let (status, page) = server.api().get("/v1/messages?topic=shop&limit=500").await;
    assert_eq!(
        (status, page["items"].as_array().unwrap().len()),
        (200, 200),
        "nothing was changed meanwhile"
    );
}
