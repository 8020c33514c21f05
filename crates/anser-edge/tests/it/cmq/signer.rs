//! Requests as CMQ's own clients make them, signed by each client's habits: which values are left out, what the path and
//! the headers are, where lists begin.

use std::sync::atomic::{AtomicU64, Ordering};

use anser_core::clock::{Clock as _, SystemClock};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::client::{self, Reply};
use crate::harness::Server;

/// A parameter.
pub(super) type Pair<'a> = (&'a str, &'a str);

/// How a client makes its requests.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) get: bool,
    pub(super) path: &'static str,
    pub(super) signed_path: &'static str,
    pub(super) content_type: Option<&'static str>,
    pub(super) sha256: bool,
    /// Leaves values that begin with `@` out of the signed text.
    pub(super) files: bool,
    pub(super) client: &'static str,
    /// The largest nonce is this.
    pub(super) nonce_max: u64,
}

/// `qcloud-cmq-sdk-py3`.
pub(super) const PYTHON: Style = Style {
    get: false,
    path: "/v2/index.php",
    signed_path: "/v2/index.php",
    content_type: None,
    sha256: false,
    files: true,
    client: "SDK_Python_1.3",
    nonce_max: u64::MAX >> 1,
};
/// `tencentyun/cmq-java-sdk`.
pub(super) const JAVA: Style = Style {
    content_type: Some("*/*;charset=utf-8"),
    files: false,
    client: "SDK_JAVA_1.3",
    ..PYTHON
};
/// `tencentyun/cmq-php-sdk`, its endpoint given with a trailing slash.
pub(super) const PHP: Style = Style {
    path: "//v2/index.php",
    signed_path: "//v2/index.php",
    content_type: Some("application/x-www-form-urlencoded"),
    client: "SDK_PHP_1.3",
    nonce_max: 65_535,
    ..PYTHON
};
/// The same with GET.
pub(super) const PHP_GET: Style = Style {
    get: true,
    path: "/v2/index.php/v2/index.php",
    signed_path: "/v2/index.php",
    files: false,
    ..PHP
};
/// `NETkiddy/cmq-go`.
pub(super) const OLD_GO: Style = Style {
    files: false,
    client: "SDK_GO_1.3",
    ..PYTHON
};
/// `TencentCloud/tencentcloud-cmq-sdk-go`, given a bare host.
pub(super) const NEW_GO: Style = Style {
    path: "/",
    signed_path: "/",
    content_type: Some("application/x-www-form-urlencoded"),
    files: false,
    client: "SDK_GO_1.2.0",
    ..PYTHON
};
/// `kainonly/cmq-node-sdk`.
pub(super) const NODE: Style = Style {
    sha256: true,
    files: false,
    client: "",
    ..PYTHON
};

/// A key pair, and the server that knows it.
pub(super) struct Cmq<'s> {
    pub(super) server: &'s Server,
    pub(super) id: String,
    pub(super) key: String,
}

static NONCE: AtomicU64 = AtomicU64::new(1 << 40);

pub(super) fn now() -> i64 {
    SystemClock::new().now().seconds()
}

impl<'s> Cmq<'s> {
    /// With a key of these scopes and further fields.
    pub(super) async fn with_key(server: &'s Server, mut spec: Value) -> Cmq<'s> {
        spec["cmq"] = true.into();
        let made = server.call("POST", "/v1/keys", spec).await.expect(201);
        let text = |name: &str| made["cmq"][name].as_str().unwrap().to_owned();
        Cmq {
            server,
            id: text("secret_id"),
            key: text("secret_key"),
        }
    }

    pub(super) async fn admin(server: &'s Server) -> Cmq<'s> {
        Self::with_key(server, json!({"name": "cmq", "scopes": ["admin"]})).await
    }

    /// The common parameters and `pairs`, unsigned.
    pub(super) fn pairs<'p>(&'p self, style: Style, pairs: &[Pair<'p>]) -> Vec<(String, String)> {
        let nonce = NONCE.fetch_add(1, Ordering::Relaxed) % style.nonce_max + 1;
        let mut all: Vec<(String, String)> = Vec::new();
        let common = [
            ("Nonce", nonce.to_string()),
            ("Timestamp", now().to_string()),
            ("SecretId", self.id.clone()),
            ("RequestClient", style.client.to_owned()),
        ];
        all.extend(common.map(|(name, value)| (name.to_owned(), value)));
        let method = if style.sha256 {
            "HmacSHA256"
        } else {
            "HmacSHA1"
        };
        all.push(("SignatureMethod".to_owned(), method.to_owned()));
        all.extend(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        all
    }

    /// Signs, encodes and sends.
    pub(super) async fn send(&self, style: Style, pairs: &[Pair<'_>]) -> Value {
        let mut all = self.pairs(style, pairs);
        let signature = sign(style, &self.host(), &self.key, &all);
        all.push(("Signature".to_owned(), signature));
        read(&self.post(style, &all).await)
    }

    pub(super) fn host(&self) -> String {
        self.server.address.to_string()
    }

    /// Sends what is given, signed or not.
    pub(super) async fn post(&self, style: Style, pairs: &[(String, String)]) -> Reply {
        let text = encode(pairs);
        let host = self.host();
        let mut headers = vec![("host", host.as_str())];
        headers.extend(style.content_type.map(|value| ("content-type", value)));
        let address = self.server.address;
        if style.get {
            let target = format!("{}?{text}", style.path);
            return client::send(address, "GET", &target, &headers, b"").await;
        }
        client::send(address, "POST", style.path, &headers, text.as_bytes()).await
    }

    /// A call in the Python client's style.
    pub(super) async fn call(&self, action: &str, pairs: &[Pair<'_>]) -> Value {
        let mut all = vec![("Action", action)];
        all.extend(pairs);
        self.send(PYTHON, &all).await
    }

    /// The same, that must succeed.
    pub(super) async fn done(&self, action: &str, pairs: &[Pair<'_>]) -> Value {
        let answer = self.call(action, pairs).await;
        assert_eq!(answer["code"], 0, "{action} {pairs:?}: {answer}");
        answer
    }

    /// The same, that must be refused: `CODE MESSAGE`.
    pub(super) async fn refused(&self, action: &str, pairs: &[Pair<'_>]) -> String {
        refusal(&self.call(action, pairs).await)
    }
}

/// `CODE MESSAGE` of an answer.
pub(super) fn refusal(answer: &Value) -> String {
    format!("{} {}", answer["code"], answer["message"].as_str().unwrap())
}

/// The answer, having checked what every answer has.
pub(super) fn read(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(
        reply.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    let answer = reply.json();
    let id = answer["requestId"].as_str().unwrap();
    assert!(id.parse::<i64>().is_ok(), "{id}");
    assert!(
        answer["code"].is_u64() && answer["clientRequestId"].is_u64(),
        "{answer}"
    );
    let message = answer["message"].as_str().unwrap();
    if answer["code"] == 0 {
        assert_eq!(message, "");
    } else {
        let (module, text) = message.split_once(')').unwrap();
        assert!(module[1..].parse::<u32>().is_ok(), "{message}");
        assert!(!text.starts_with(' ') && !text.contains("%s"), "{message}");
    }
    answer
}

pub(super) fn encode(pairs: &[(String, String)]) -> String {
    let pieces: Vec<String> = pairs
        .iter()
        .map(|(name, value)| {
            let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            format!("{}={}", encode(name), encode(value))
        })
        .collect();
    pieces.join("&")
}

pub(super) fn sign(style: Style, host: &str, key: &str, pairs: &[(String, String)]) -> String {
    let mut sorted: Vec<&(String, String)> = pairs
        .iter()
        .filter(|(_, value)| !(style.files && value.starts_with('@')))
        .collect();
    sorted.sort();
    let joined: Vec<String> = sorted
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let method = if style.get { "GET" } else { "POST" };
    let text = format!("{method}{host}{}?{}", style.signed_path, joined.join("&"));
    let algorithm = if style.sha256 {
        hmac::HMAC_SHA256
    } else {
        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY
    };
    let key = hmac::Key::new(algorithm, key.as_bytes());
    BASE64.encode(hmac::sign(&key, text.as_bytes()))
}
