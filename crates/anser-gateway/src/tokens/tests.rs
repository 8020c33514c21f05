//! Tokens good and hostile. Signatures of the hostile ones are made here from the RFCs' words, not by the library that is
//! to refuse them.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// 2026-11-23T01:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_795_395_600_000);
const SECONDS: i64 = 1_795_395_600;

fn hs256() -> IssuerSpec {
    IssuerSpec {
        secret: Some(SECRET.to_owned()),
        ..IssuerSpec::default()
    }
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn eddsa() -> IssuerSpec {
    IssuerSpec {
        algorithm: SigningAlgorithm::EdDsa,
        public_key: Some(URL_SAFE_NO_PAD.encode(pair().public_key())),
        ..IssuerSpec::default()
    }
}

fn claims() -> Value {
    json!({"iss": "app", "sub": "ann", "exp": SECONDS + 60, "iat": SECONDS})
}

/// RFC 7515 §5.1.
fn signed(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(input.as_bytes()));
    format!("{input}.{signature}")
}

fn mac(secret: &[u8]) -> impl Fn(&[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    move |input| hmac::sign(&key, input).as_ref().to_vec()
}

fn token(claims: &Value) -> String {
    signed(
        &json!({"alg": "HS256", "typ": "JWT"}),
        claims,
        mac(SECRET.as_bytes()),
    )
}

fn check(spec: &IssuerSpec, token: &str) -> Result<Claims, &'static str> {
    let verifier = Verifier::new(spec).unwrap();
    verify(&verifier, spec, token, NOW).map_err(|problem| {
        assert_eq!(problem.kind, ProblemKind::Unauthenticated, "{problem}");
        assert!(
            problem.detail.starts_with("the token is refused"),
            "{problem}"
        );
        problem.code
    })
}

fn changed(changes: Value) -> Value {
    let mut changed = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(changed.as_object_mut().unwrap().remove(name)),
            value => changed[name] = value.clone(),
        }
    }
    changed
}

#[test]
fn a_good_token_says_who_until_when_and_what() {
    let good = changed(json!({
        "name": "Ann", "aud": ["x", "anser"], "nbf": SECONDS, "exp": SECONDS as f64 + 60.5,
        "rights": {"read": ["orders.*"], "rooms": []}, "role": "admin",
    }));
    let spec = IssuerSpec {
        audience: Some("anser".to_owned()),
        ..hs256()
    };
    let read = check(&spec, &token(&good)).unwrap();
    assert_eq!(
        (read.user.as_str(), read.name.as_deref()),
        ("ann", Some("Ann"))
    );
    assert_eq!(read.expires_at, NOW.plus(Duration::from_millis(60_500)));
    assert_eq!(read.rights.read, Some(vec!["orders.*".to_owned()]));
    assert_eq!((read.rights.rooms, read.rights.send), (Some(vec![]), None));
    assert_eq!(issuer_of(&token(&good)).unwrap(), "app");

    let pair = pair();
    let ed = signed(&json!({"alg": "EdDSA"}), &claims(), |input| {
        pair.sign(input).as_ref().to_vec()
    });
    assert_eq!(check(&eddsa(), &ed).unwrap().user.as_str(), "ann");
    // The same key as PEM: the DER of RFC 8410 §4 around it.
    let der = [
        &[
            0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
        ][..],
        pair.public_key().as_ref(),
    ]
    .concat();
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let pem = IssuerSpec {
        public_key: Some(format!(
            "-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"
        )),
        ..eddsa()
    };
    check(&pem, &ed).unwrap();
}

#[test]
fn what_the_gateway_mints_it_takes() {
    let user = UserId::parse("user", "ann@example.com").unwrap();
    let draft = Draft {
        issuer: "app",
        user: &user,
        name: None,
        now: NOW,
        expires_at: NOW.plus(Duration::from_secs(60)),
        rights: None,
    };
    let minted = mint(&hs256(), SECRET, draft).unwrap();
    let read = check(&hs256(), &minted).unwrap();
    assert_eq!((&read.user, read.rights), (&user, RightsClaim::default()));
    assert_eq!(issuer_of(&minted).unwrap(), "app");
}

/// The issuer's key decides the algorithm, whatever the header says.
#[test]
fn no_other_algorithm_is_taken() {
    let secret = SECRET.as_bytes();
    for (alg, code) in [
        ("none", "malformed_token"),
        ("None", "malformed_token"),
        ("", "malformed_token"),
        ("hs256", "malformed_token"),
        ("HS384", "wrong_algorithm"),
        ("HS512", "wrong_algorithm"),
        ("EdDSA", "wrong_algorithm"),
        ("RS256", "wrong_algorithm"),
        ("ES256", "wrong_algorithm"),
    ] {
        let header = json!({"alg": alg});
        assert_eq!(
            check(&hs256(), &signed(&header, &claims(), mac(secret))),
            Err(code),
            "{alg}"
        );
        let unsigned = signed(&header, &claims(), |_| Vec::new());
        assert_eq!(check(&hs256(), &unsigned), Err(code), "{alg}");
    }
    // The classic: the public key of an EdDSA issuer taken for the secret of an HMAC.
    let public = pair().public_key().as_ref().to_vec();
    let text = eddsa().public_key.unwrap();
    for secret in [&public[..], text.as_bytes()] {
        let forged = signed(&json!({"alg": "HS256"}), &claims(), mac(secret));
        assert_eq!(check(&eddsa(), &forged), Err("wrong_algorithm"));
    }
    // A key that the token brings along is not used.
    let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
    let jwk =
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(other.public_key())});
    let forged = signed(&json!({"alg": "EdDSA", "jwk": jwk}), &claims(), |input| {
        other.sign(input).as_ref().to_vec()
    });
    assert_eq!(check(&eddsa(), &forged), Err("invalid_signature"));
}

#[test]
fn forged_and_broken_tokens_are_refused() {
    let good = token(&claims());
    let (input, signature) = good.rsplit_once('.').unwrap();
    let forged = signed(&json!({"alg": "HS256"}), &claims(), mac(b"another secret"));
    let other_claims = token(&changed(json!({"sub": "bob"})));
    let (other_input, _) = other_claims.rsplit_once('.').unwrap();
    let critical = json!({"alg": "HS256", "crit": ["b64"], "b64": false});
    for (bad, code) in [
        (forged, "invalid_signature"),
        (format!("{other_input}.{signature}"), "invalid_signature"),
        (format!("{input}."), "invalid_signature"),
        (format!("{good}=="), "malformed_token"),
        (format!("{good}.x"), "malformed_token"),
        (format!(" {good}"), "malformed_token"),
        (good[..good.len() - 2].to_owned(), "malformed_token"),
        ("..".to_owned(), "malformed_token"),
        (String::new(), "malformed_token"),
        ("a.b.c".to_owned(), "malformed_token"),
        ("é.é.é".to_owned(), "malformed_token"),
        ("x".repeat(10_000_000), "malformed_token"),
        (
            token(&changed(json!({"pad": "x".repeat(TOKEN_BYTES_MAX)}))),
            "malformed_token",
        ),
        (
            signed(&critical, &claims(), mac(SECRET.as_bytes())),
            "malformed_token",
        ),
        (
            signed(&json!("HS256"), &claims(), mac(SECRET.as_bytes())),
            "malformed_token",
        ),
        (token(&json!([1])), "invalid_claim"),
        (
            token(&json!({"sub": "a", "exp": SECONDS + 1})),
            "invalid_claim",
        ),
    ] {
        assert_eq!(check(&hs256(), &bad), Err(code), "{bad:.200}");
    }
    // A claim given twice is not one of the two.
    let twice = format!(
        r#"{{"iss":"app","sub":"ann","sub":"bob","exp":{}}}"#,
        SECONDS + 60
    );
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#),
        URL_SAFE_NO_PAD.encode(twice)
    );
    let signature = URL_SAFE_NO_PAD.encode(mac(SECRET.as_bytes())(input.as_bytes()));
    let twice = format!("{input}.{signature}");
    assert_eq!(check(&hs256(), &twice), Err("invalid_claim"));
    for nobody in ["", "a.b.c", "..", &"x".repeat(9_000)] {
        assert_eq!(issuer_of(nobody).unwrap_err().code, "malformed_token");
    }
}

#[test]
fn times_are_held_to_the_second_with_a_leeway_for_what_lies_ahead() {
    let most = i64::try_from(hs256().lifetime_max).unwrap();
    let leeway = i64::try_from(TOKEN_CLOCK_LEEWAY.as_secs()).unwrap();
    for (changes, expected) in [
        (json!({"exp": SECONDS + 1}), None),
        (json!({"exp": SECONDS}), Some("expired_token")),
        (json!({"exp": SECONDS - 1}), Some("expired_token")),
        (json!({"exp": 0}), Some("expired_token")),
        (json!({"exp": null}), Some("invalid_claim")),
        (json!({"exp": "1795395660"}), Some("invalid_claim")),
        (json!({"exp": -1}), Some("invalid_claim")),
        (json!({"exp": 1e300}), Some("invalid_claim")),
        (json!({"exp": SECONDS * 1000}), Some("invalid_claim")),
        (json!({"exp": SECONDS + most + leeway}), None),
        (
            json!({"exp": SECONDS + most + leeway + 1}),
            Some("long_token"),
        ),
        // Made long ago to be good for long: its issuer would not allow that today.
        (
            json!({"iat": SECONDS - most, "exp": SECONDS + leeway + 1}),
            Some("long_token"),
        ),
        // A clock ahead of ours earns no longer life.
        (
            json!({"iat": SECONDS + leeway, "exp": SECONDS + most + leeway + 1}),
            Some("long_token"),
        ),
        (json!({"iat": null, "exp": SECONDS + most}), None),
        (json!({"nbf": SECONDS + leeway}), None),
        (json!({"nbf": SECONDS + leeway + 1}), Some("early_token")),
        (json!({"iat": SECONDS + leeway + 1}), Some("early_token")),
        (json!({"iat": SECONDS - 30}), None),
    ] {
        let found = check(&hs256(), &token(&changed(changes.clone()))).err();
        assert_eq!(found, expected, "{changes}");
    }
}

#[test]
fn claims_of_a_wrong_form_are_refused_by_name() {
    let spec = IssuerSpec {
        audience: Some("anser".to_owned()),
        ..hs256()
    };
    for (changes, code) in [
        (json!({"aud": null}), "wrong_audience"),
        (json!({"aud": "other"}), "wrong_audience"),
        (json!({"aud": []}), "wrong_audience"),
        (json!({"aud": ["anser2", "Anser"]}), "wrong_audience"),
        (json!({"aud": {"anser": 1}}), "invalid_claim"),
        (json!({"sub": null}), "invalid_claim"),
        (json!({"sub": ""}), "invalid_claim"),
        (json!({"sub": 7}), "invalid_claim"),
        (json!({"sub": "a/phone"}), "invalid_claim"),
        (json!({"sub": "a b"}), "invalid_claim"),
        (json!({"sub": "a\u{0}b"}), "invalid_claim"),
        (json!({"sub": "a\u{202e}\n"}), "invalid_claim"),
        (json!({"sub": "x".repeat(129)}), "invalid_claim"),
        (json!({"name": "x".repeat(257)}), "invalid_claim"),
        (json!({"name": ["x"]}), "invalid_claim"),
        (json!({"rights": {"rooom": []}}), "invalid_claim"),
        (json!({"rights": {"rooms": "*"}}), "invalid_claim"),
        (json!({"rights": {"rooms": [""]}}), "invalid_claim"),
        (json!({"rights": {"see": vec!["a"; 101]}}), "invalid_claim"),
    ] {
        let mut claims = changed(json!({"aud": "anser"}));
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        assert_eq!(check(&spec, &token(&claims)), Err(code), "{changes}");
    }
    for sub in [
        "日本",
        "ann@example.com",
        "a:b",
        "urn:user:1",
        "a|b",
        "..",
        "%2F",
    ] {
        let read = check(&hs256(), &token(&changed(json!({"sub": sub})))).unwrap();
        assert_eq!(read.user.as_str(), sub);
    }
}

#[test]
fn a_public_key_that_is_none_is_not_stored() {
    for bad in [
        "",
        "x",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAAAAA\n-----END PUBLIC KEY-----",
        &URL_SAFE_NO_PAD.encode([7; 31]),
        &URL_SAFE_NO_PAD.encode([7; 33]),
    ] {
        let spec = IssuerSpec {
            public_key: Some(bad.to_owned()),
            ..eddsa()
        };
        let problem = Verifier::new(&spec).err().expect(bad);
        assert_eq!(problem.code, "invalid_public_key", "{bad}");
    }
}

proptest! {
    /// Whatever is changed in a good token, it is not taken any more.
    #[test]
    fn a_token_with_one_byte_changed_is_refused(at in 0_usize..400, to in 0x20_u8..0x7f) {
        let good = token(&claims());
        let at = at % good.len();
        prop_assume!(good.as_bytes()[at] != to);
        let mut bytes = good.into_bytes();
        bytes[at] = to;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert!(check(&hs256(), &changed).is_err(), "{changed}");
    }

    /// Whatever is presented, it is answered and not trusted.
    #[test]
    fn noise_is_refused(text in "[\\PC.]{0,80}") {
        prop_assert!(check(&hs256(), &text).is_err());
        let _ = issuer_of(&text);
    }
}
