//! Who is believed: signatures that are right, wrong, missing and stale, and those that others made; and ids that tell a
//! repeat.

use anser_core::Timestamp;
use serde_json::Value;

use super::{Dialect, Fault, NOW, Posted, SECRET, Sample, base64, sample, samples_of};

fn tag(secret: &[u8], signed: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    aws_lc_rs::hmac::sign(&key, signed).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A sample as its sender signs it, `late` seconds ago.
fn signed(mut sample: Sample, late: i64) -> Sample {
    let (seconds, millis) = (NOW.seconds() - late, NOW.millis() - late * 1_000);
    match sample.dialect {
        Dialect::Feishu => {
            let sign = base64(&tag(format!("{seconds}\n{SECRET}").as_bytes(), b""));
            let mut body: Value = serde_json::from_slice(&sample.body).unwrap();
            body["timestamp"] = seconds.to_string().into();
            body["sign"] = sign.into();
            sample.body = body.to_string().into_bytes();
            sample
        }
        Dialect::DingTalk => {
            let sign = base64(&tag(
                SECRET.as_bytes(),
                format!("{millis}\n{SECRET}").as_bytes(),
            ));
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("timestamp", &millis.to_string());
            query.append_pair("sign", &sign);
            sample.query = query.finish();
            sample
        }
        Dialect::GitHub => {
            let signature = format!("sha256={}", hex(&tag(SECRET.as_bytes(), &sample.body)));
            sample.with("x-hub-signature-256", &signature)
        }
        Dialect::Sentry => {
            let signature = hex(&tag(SECRET.as_bytes(), &sample.body));
            sample.with("sentry-hook-signature", &signature)
        }
        Dialect::Grafana => {
            let signed = [seconds.to_string().as_bytes(), b":", &sample.body].concat();
            let signature = hex(&tag(SECRET.as_bytes(), &signed));
            sample
                .with("x-grafana-alerting-signature", &signature)
                .with("x-grafana-alerting-timestamp", &seconds.to_string())
        }
        Dialect::GitLab => sample.with("x-gitlab-token", SECRET),
        _ => sample.with("authorization", &format!("Bearer {SECRET}")),
    }
}

#[test]
fn who_has_the_secret_is_believed_and_nobody_else() {
    for plain in Dialect::ALL
        .into_iter()
        .map(|dialect| samples_of(dialect)[0].clone())
    {
        let name = plain.dialect.name();
        assert_eq!(plain.prove(), Err(Fault::Unsigned), "{name}");
        let proved = signed(plain, 0);
        assert_eq!(proved.prove(), Ok(()), "{name}");
        assert!(proved.read().is_ok(), "{name}");
        let other = proved.dialect.prove(&proved.posted(), "another");
        assert_eq!(other, Err(Fault::Forged), "{name}");
    }
}

#[test]
fn signatures_with_a_time_go_stale() {
    for (dialect, most) in [
        (Dialect::Feishu, 3_600),
        (Dialect::DingTalk, 3_600),
        (Dialect::Grafana, 300),
    ] {
        let plain = samples_of(dialect)[0].clone();
        for (late, verdict) in [
            (most, Ok(())),
            (most + 1, Err(Fault::Stale)),
            (-most, Ok(())),
            (-most - 1, Err(Fault::Stale)),
        ] {
            assert_eq!(
                signed(plain.clone(), late).prove(),
                verdict,
                "{} {late}",
                dialect.name()
            );
        }
    }
}

#[test]
fn signatures_over_the_body_do_not_fit_another_body() {
    for dialect in [Dialect::GitHub, Dialect::Sentry, Dialect::Grafana] {
        let mut sample = signed(samples_of(dialect)[0].clone(), 0);
        sample.body.push(b' ');
        assert_eq!(sample.prove(), Err(Fault::Forged), "{}", dialect.name());
    }
}

/// Signatures that were not made here: by the platforms' documents and other people's programs (platform-vectors.json), and
/// by GitHub's page on validating deliveries.
#[test]
fn signatures_that_others_made_verify() {
    let mut feishu = sample(Dialect::Feishu, "text");
    feishu.body =
        br#"{"timestamp":"1700000000","sign":"UqhI0v4zAkSwI4hNYBuHQvnrAqshA0UaeBGHCUMPX70="}"#
            .to_vec();
    let mut dingtalk = sample(Dialect::DingTalk, "text");
    dingtalk.query =
        "timestamp=1700000000000&sign=N5P09a4%2Bp1AMJIJWnIvQd2Yxw9%2Bfu%2FoEBnPrjCcsLXk%3D"
            .to_owned();
    for sample in [feishu, dingtalk] {
        let posted = Posted {
            now: Timestamp::from_millis(1_700_000_000_000),
            ..sample.posted()
        };
        assert_eq!(sample.dialect.prove(&posted, "SECabc123"), Ok(()));
    }
    let mut github = sample(Dialect::GitHub, "push").with(
        "x-hub-signature-256",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    );
    github.body = b"Hello, World!".to_vec();
    let verdict = Dialect::GitHub.prove(&github.posted(), "It's a Secret to Everybody");
    assert_eq!(verdict, Ok(()));
}

#[test]
fn the_same_delivery_is_known_by_its_id() {
    for (dialect, name, id) in [
        (
            Dialect::GitHub,
            "push",
            Some("72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ),
        (
            Dialect::GitLab,
            "push",
            Some("f5e57f8e-9a24-4f5b-8a6a-a3bcf5c1d8f2"),
        ),
        (
            Dialect::Sentry,
            "event_alert",
            Some("d815bc9d689e4cc5bdb6a5c4bb1c4d6a"),
        ),
        (Dialect::Alertmanager, "firing", None),
    ] {
        let told = sample(dialect, name).read().unwrap();
        assert_eq!(told.item.dedupe_key.as_deref(), id);
        assert_eq!(told.event_id.as_deref(), id);
    }
    // Without a key of its own, GitLab's event is told by its number and its body.
    let mut one = sample(Dialect::GitLab, "build").with("x-gitlab-event-uuid", "u");
    let first = one.read().unwrap().item.dedupe_key;
    one.body = sample(Dialect::GitLab, "push").body;
    assert!(first.is_some() && first != one.read().unwrap().item.dedupe_key);
}
