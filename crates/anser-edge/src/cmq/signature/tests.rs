//! Known answers, the habits of the clients, and made-up signatures.
//! Must not use the code that it tests to sign.

use proptest::prelude::*;
use url::form_urlencoded::Serializer;

use super::*;

const KEY: &str = "secretkey123";

fn check(
    method: &Method,
    host: &str,
    path: &str,
    pairs: &[(&str, &str)],
    key: &str,
    signature: &str,
) -> bool {
    let text = Serializer::new(String::new()).extend_pairs(pairs).finish();
    let params = Params::parse(text.as_bytes()).unwrap();
    let request = Signed {
        method,
        host,
        public_hosts: &["mq.example:8080".to_owned()],
        path,
        params: &params,
    };
    let algorithm = params.text("SignatureMethod").unwrap();
    verify(&request, key, algorithm, signature.as_bytes())
}

fn parameters<'a>(algorithm: &'a str, body: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("msgBody", body),
        ("Action", "SendMessage"),
        ("Nonce", "12345"),
        ("RequestClient", "SDK_Python_1.3"),
        ("SecretId", "AKIDtest"),
        ("Timestamp", "1700000000"),
        ("delaySeconds", "0"),
        ("queueName", "q1"),
        ("SignatureMethod", algorithm),
        ("Signature", "is not signed"),
    ]
}

/// The vectors of the specification, recomputed there from what the real clients do.
#[test]
fn known_answers() {
    let (get, post) = (Method::GET, Method::POST);
    for (method, path, algorithm, body, signature) in [
        (
            &post,
            "/v2/index.php",
            "HmacSHA1",
            "hi",
            "uHnVZVl+LIty7I7LSho11+BsUt0=",
        ),
        (
            &post,
            "/v2/index.php",
            "HmacSHA256",
            "hi",
            "F5w5fzD4x+9vx7lQRe2CLap5Xf/yDcAJF6SIeXAQiac=",
        ),
        (
            &get,
            "/v2/index.php",
            "HmacSHA1",
            "你好 &=+%/",
            "awlNDCVuNZlbGqPav7AnBC4Hpu0=",
        ),
        (
            &post,
            "/v2/index.php",
            "HmacSHA1",
            "@x",
            "sD5t2vy3led8J2yGcj9snfP1rIM=",
        ),
        (
            &post,
            "/",
            "HmacSHA256",
            "hi",
            "i9OA6tfciLUpKBoxMfObfI+Edyfw9m1jQNF6FAhd5Oc=",
        ),
    ] {
        let pairs = parameters(algorithm, body);
        let judge =
            |key: &str, given: &str| check(method, "127.0.0.1:8080", path, &pairs, key, given);
        assert!(judge(KEY, signature), "{path} {algorithm} {body}");
        assert!(
            judge(KEY, &signature.replace('+', " ")),
            "a blank for a plus"
        );
        assert!(!judge("secretkey124", signature));
        assert!(!judge(
            KEY,
            &signature.replacen(['u', 'F', 'a', 's', 'i'], "A", 1)
        ));
        for bad in ["", "!", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
            assert!(!judge(KEY, bad), "{bad}");
        }
    }
}

/// Tencent's own published example; the second is the same text (its parameter still names SHA-1) with HMAC-SHA256.
#[test]
fn tencents_example() {
    let pairs = [
        ("Action", "SendMessage"),
        ("Nonce", "2889712707386595659"),
        ("Timestamp", "1534154812"),
        ("clientRequestId", "1231231231"),
        ("SecretId", "AKIDPcYDclDJCn8D0Xypa4f3pKYUCVYLn3zT"),
        ("RequestClient", "SDK_Python_1.3"),
        ("SignatureMethod", "HmacSHA1"),
        ("delaySeconds", "0"),
        ("msgBody", "msg"),
        ("queueName", "test1"),
    ];
    let text = Serializer::new(String::new()).extend_pairs(pairs).finish();
    let params = Params::parse(text.as_bytes()).unwrap();
    let request = Signed {
        method: &Method::POST,
        host: "cmq-queue-gz.api.tencentyun.com",
        public_hosts: &[],
        path: "/v2/index.php",
        params: &params,
    };
    let key = "pPgfLipfEXZ7VcRzhAMIyPaU7UbQyFFx";
    for (algorithm, signature) in [
        ("HmacSHA1", "C16WEtEXsD5v5tnaUMLAbZewXhI="),
        ("HmacSHA256", "XPh4vnKmqz+7dMB5OVM7vodL3MunEEKMrHdwS9J2shk="),
    ] {
        let verified = verify(&request, key, Some(algorithm), signature.as_bytes());
        assert!(verified, "{algorithm}");
    }
}

/// What `sign` signs for one host and path is accepted where the request differs in the ways clients do.
#[test]
fn other_hosts_and_paths_are_tried() {
    let signature = "uHnVZVl+LIty7I7LSho11+BsUt0=";
    let pairs = parameters("HmacSHA1", "hi");
    let judge = |method, host, path| check(method, host, path, &pairs, KEY, signature);
    let post = Method::POST;
    assert!(judge(&post, "127.0.0.1:8080", "/"));
    assert!(judge(&post, "127.0.0.1:8080", "//v2/index.php"));
    assert!(!judge(&Method::GET, "127.0.0.1:8080", "/v2/index.php"));
    assert!(!judge(&post, "127.0.0.1:8081", "/v2/index.php"));

    let by_name = |host: &str| {
        let text = format!(
            "POST{host}/v2/index.php?Action=SendMessage&Nonce=12345&RequestClient=SDK_Python_1.3&SecretId=AKIDtest\
             &SignatureMethod=HmacSHA1&Timestamp=1700000000&delaySeconds=0&msgBody=hi&queueName=q1"
        );
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, KEY.as_bytes());
        BASE64.encode(hmac::sign(&key, text.as_bytes()))
    };
    for (signed, received, accepted) in [
        ("mq.example:8080", "10.0.0.1:8620", true),
        ("localhost", "localhost:8620", true),
        ("[::1]", "[::1]:8620", true),
        ("localhost:8620", "localhost", false),
        ("mq.example", "10.0.0.1:8620", false),
    ] {
        let judged = check(
            &post,
            received,
            "/v2/index.php",
            &pairs,
            KEY,
            &by_name(signed),
        );
        assert_eq!(judged, accepted, "{signed} {received}");
    }
}

/// The full form of a value that begins with `@` is accepted too (Java, Go), with GET it is the only one.
#[test]
fn values_like_files_are_signed_or_left_out() {
    let sign = |method: &str, text: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, KEY.as_bytes());
        BASE64.encode(hmac::sign(&key, format!("{method}h/?{text}").as_bytes()))
    };
    let pairs = [("a", "@x"), ("b", "1")];
    let judge = |method: &Method, signature: &str| check(method, "h", "/", &pairs, KEY, signature);
    assert!(judge(&Method::POST, &sign("POST", "a=@x&b=1")));
    assert!(judge(&Method::POST, &sign("POST", "b=1")));
    assert!(judge(&Method::GET, &sign("GET", "a=@x&b=1")));
    assert!(!judge(&Method::GET, &sign("GET", "b=1")));
}

proptest! {
    /// Whatever is sent, verifying ends without a panic and says no.
    #[test]
    fn nothing_made_up_is_accepted(
        text in prop::collection::vec(any::<u8>(), 0..200),
        host in ".{0,30}",
        path in ".{0,30}",
        signature in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        if let Ok(params) = Params::parse(&text) {
            let request = Signed { method: &Method::POST, host: &host, public_hosts: &[], path: &path, params: &params };
            prop_assert!(!verify(&request, KEY, None, &signature));
        }
    }
}
