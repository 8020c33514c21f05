//! A disk that fills up, on a small file system of its own where this process may mount one: publishes are refused,
//! deliveries go on, and all is well once there is room.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Answer, Api, Receiver, ServerOptions, eventually};

/// Size of the file system.
const SIZE: &str = "48m";
/// Below so much free space publishes are refused.
const RESERVE: u64 = 12 * 1024 * 1024;

/// A file system in memory; unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    /// On an existing folder; the reason when it cannot be.
    fn on(folder: &Path) -> Result<Self, String> {
        let options = format!("size={SIZE},mode=700");
        let ran = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "anser-test"])
            .arg(folder)
            .output();
        match ran {
            Ok(output) if output.status.success() => Ok(Self(folder.to_owned())),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let ran = Command::new("umount").arg("--lazy").arg(&self.0).status();
        if !ran.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.0.display());
        }
    }
}

/// A file that takes space until it is removed.
struct Ballast(PathBuf);

impl Ballast {
    fn new(folder: &Path) -> Self {
        Self(folder.join("ballast"))
    }

    /// Leaves so many bytes free.
    fn leave(&self, folder: &Path, bytes: u64) {
        let free = || {
            let space = rustix::fs::statvfs(folder).unwrap();
            space.f_bavail * space.f_frsize
        };
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&self.0)
            .unwrap();
        let mut chunk = vec![0_u8; 64 * 1024];
        while free() > bytes {
            let part = usize::try_from(free() - bytes)
                .unwrap_or(usize::MAX)
                .min(chunk.len());
            chunk.truncate(part);
            if file.write_all(&chunk).is_err() {
                return;
            }
        }
    }

    fn remove(&self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// From the topic `shop` to the receiver, which takes nothing yet.
async fn failing_route(api: &Api, receiver: &Receiver) {
    let retry = json!({"first": 0.1, "factor": 1, "jitter": 0});
    let subscription = json!({"retry": retry, "ordering": "none"});
    let url = receiver.url("/hook");
    api.route("shop", "hook", &url, json!({}), subscription)
        .await;
    receiver.answer("/hook", Answer::Status(500));
}

async fn publish(api: &Api, data: &Value) -> (u16, Value) {
    api.post("/v1/topics/shop/messages", &json!({"body": {"data": data}}))
        .await
}

async fn publish_until(api: &Api, status: u16) -> Value {
    let what = format!("a publish is answered {status}");
    eventually(&what, || async {
        let (answered, answer) = publish(api, &json!("more")).await;
        assert!(
            answered < 500 || [503, 507].contains(&answered),
            "{answered} {answer}"
        );
        (answered == status).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn a_full_disk_refuses_publishes_while_deliveries_go_on() {
    let options = ServerOptions::default().set("disk__reserve_bytes", &RESERVE.to_string());
    let data = options.data();
    std::fs::create_dir_all(&data).unwrap();
    let _mount = match Mount::on(&data) {
        Ok(mount) => mount,
        Err(why) => {
            return println!(
                "skipped, the store's own tests cover it: no file system could be mounted: {why}"
            );
        }
    };
    let (receiver, ballast) = (Receiver::start().await, Ballast::new(&data));
    let server = options.start();
    let api = server.api();
    failing_route(&api, &receiver).await;
    let mut accepted = Vec::new();
    for n in 0..50 {
        let (status, answer) = publish(&api, &json!(format!("{n} {}", "x".repeat(1_000)))).await;
        assert_eq!(status, 202, "{answer}");
        accepted.push(answer["id"].as_str().unwrap().to_owned());
    }

    // Below the reserve: refused, and what was accepted goes on, its states stored.
    ballast.leave(&data, RESERVE / 2);
    let problem = publish_until(&api, 507).await;
    assert_eq!(problem["code"], "storage_full", "{problem}");
    receiver.answer("/hook", Answer::Status(200));
    for id in &accepted {
        api.delivery_in(id, "delivered").await;
    }
    assert_eq!(
        api.get("/readyz").await.0,
        200,
        "it is not stalled: it delivers"
    );

    // Space again: as before.
    ballast.remove();
    publish_until(&api, 202).await;

    // Not a byte left, so that commits fail, and a crash in that state.
    receiver.answer("/hook", Answer::Status(500));
    let (status, answer) = publish(&api, &json!("through it all")).await;
    assert_eq!(status, 202, "{answer}");
    ballast.leave(&data, 0);
    publish_until(&api, 507).await;
    let options = server.kill().await;
    ballast.remove();
    receiver.answer("/hook", Answer::Status(200));
    let server = options.start();
    let api = server.api();
    api.delivery_in(answer["id"].as_str().unwrap(), "delivered")
        .await;
    publish_until(&api, 202).await;
    for id in &accepted {
        assert_eq!(
            api.deliveries(id).await[0]["state"],
            "delivered",
            "what was settled stays settled"
        );
    }
}

#[tokio::test]
async fn when_commits_fail_dispatch_waits_and_resumes() {
    let options = ServerOptions::default().set("disk__reserve_bytes", "0");
    let data = options.data();
    std::fs::create_dir_all(&data).unwrap();
    let _mount = match Mount::on(&data) {
        Ok(mount) => mount,
        Err(why) => {
            return println!(
                "skipped, the store's own tests cover it: no file system could be mounted: {why}"
            );
        }
    };
    let (receiver, ballast) = (Receiver::start().await, Ballast::new(&data));
    let server = options.start();
    let api = server.api();
    failing_route(&api, &receiver).await;
    let (status, answer) = publish(&api, &json!("waits")).await;
    assert_eq!(status, 202, "{answer}");
    ballast.leave(&data, 0);
    let stalled = || async {
        let (status, answer) = publish(&api, &json!("x".repeat(200_000))).await;
        assert!([202, 503, 507].contains(&status), "{status} {answer}");
        (api.get("/readyz").await.0 == 503).then_some(())
    };
    eventually("readiness turns false", stalled).await;
    receiver.answer("/hook", Answer::Status(200));
    ballast.remove();
    let ready = || async { (api.get("/readyz").await.0 == 200).then_some(()) };
    eventually("readiness turns true", ready).await;
    api.delivery_in(answer["id"].as_str().unwrap(), "delivered")
        .await;
    publish_until(&api, 202).await;
}
