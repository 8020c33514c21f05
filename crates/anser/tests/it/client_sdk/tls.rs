//! The SDK over TLS, at a server whose certificate only the application's own authority vouches for.

use std::time::Duration;

use anser_client::{Credential, Error, LiveBuilder, Outgoing, ProducerBuilder, QueueBuilder};

use super::{KEY, soon};
use crate::harness::{DEADLINE, ServerOptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_trusts_whom_the_application_trusts_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let authority = made.cert.pem();
    let server = ServerOptions::default()
        .with_key(KEY)
        .set("tls__certificate", &file("tls.crt", authority.clone()))
        .set(
            "tls__key",
            &file("tls.key", made.signing_key.serialize_pem()),
        )
        .start();
    let port = server.base().rsplit(':').next().unwrap().to_owned();
    let address = format!("wss://localhost:{port}");
    let live = LiveBuilder::new(&address).credential(Credential::key_for(KEY, "ann").unwrap());
    let known = live
        .clone()
        .authority(authority.clone())
        .connect_within(DEADLINE);
    let mut ann = known.connect().await.unwrap();
    let sender = ProducerBuilder::new(&address).credential(Credential::key(KEY));
    let known = sender.clone().authority(authority.clone()).build().unwrap();
    let confirm = known.send(Outgoing::data(&1).unwrap().to("user:ann"));
    soon("a confirm", confirm).await.unwrap();
    let heard = soon("a message", ann.next_message())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(heard.data::<u64>().unwrap(), 1);
    // Without its authority nothing is said to it, the key least of all.
    let unknown = live.connect_within(Duration::from_secs(1)).connect();
    let unknown = soon("no session", unknown).await.unwrap_err();
    assert!(
        matches!(&unknown, Error::Unreachable { cause, .. } if cause.contains("certificate")),
        "{unknown}"
    );
    let unknown = sender
        .give_up_after(Duration::from_secs(1))
        .build()
        .unwrap();
    let given_up = soon(
        "an outcome",
        unknown.send(Outgoing::text("x").to("user:ann")),
    )
    .await;
    assert!(
        matches!(given_up, Err(Error::GivenUp { .. })),
        "{given_up:?}"
    );
    let queue = QueueBuilder::new(&address, "jobs").credential(Credential::key(KEY));
    let refused = queue.authority(authority).build().unwrap();
    let refused = soon("a refusal", refused.receive(1, None, None))
        .await
        .unwrap_err();
    assert!(refused.refusal().is_some(), "{refused}");
}
