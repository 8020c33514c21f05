//! Which places are taken, and what is told of the others.

use super::*;

fn place(url: &str, options: &[(&str, &str)]) -> BlobOptions {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    BlobOptions::new(BlobPlace::Url {
        url: url.parse().unwrap(),
        options: options.iter().map(owned).collect(),
    })
}

fn opened(options: BlobOptions) -> Result<Blobs, Problem> {
    let handles = BlobHandles {
        store: Arc::new(MemoryStore::new()),
        clock: Arc::new(ManualClock::at(START)),
        random: Arc::new(SeededRandom::new(3)),
        metrics: Arc::new(Metrics::new()),
    };
    Blobs::new(options, handles)
}

#[test]
fn object_stores_are_opened_without_being_asked() {
    let keys = [
        ("aws_region", "eu-central-1"),
        ("aws_access_key_id", "x"),
        ("aws_secret_access_key", "y"),
        ("aws_endpoint", "https://minio.internal:9000"),
    ];
    let s3 = opened(place("s3://bucket/some/prefix", &keys)).unwrap();
    let name = s3.place.of_blob(hash_of(b"")).to_string();
    assert!(name.starts_with("some/prefix/e3/b0/e3b0c442"), "{name}");
    let azure = [
        ("azure_storage_account_name", "a"),
        ("azure_storage_account_key", "eA=="),
    ];
    opened(place("az://container/prefix", &azure)).unwrap();
}

#[test]
fn mistakes_are_named() {
    for (url, options, code, field) in [
        ("s3://bucket/?x=1", &[][..], "invalid_url", "blobs.url"),
        ("ftp://host/x", &[], "invalid_url", "blobs.url"),
        ("https://nobody.example/x", &[], "invalid_url", "blobs.url"),
        (
            "s3://b",
            &[("aws_regoin", "x")],
            "unknown_option",
            "blobs.options.aws_regoin",
        ),
        (
            "file:///tmp",
            &[("a", "b")],
            "unknown_option",
            "blobs.options.a",
        ),
    ] {
        let problem = opened(place(url, options)).unwrap_err();
        assert_eq!(problem.code, code, "{url}: {problem}");
        assert_eq!(problem.field.as_deref(), Some(field), "{url}");
    }
}

#[test]
fn the_environment_brings_what_the_place_takes() {
    let variables = || {
        [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_PAGER", "less"),
            ("AWS_ENDPOINT", ""),
            ("AZURE_STORAGE_ACCOUNT_NAME", "a"),
            ("REGION", "x"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let of = |url: &str| BlobPlace::options_of(&url.parse().unwrap(), variables());
    let names = |url: &str| of(url).into_keys().collect::<Vec<_>>();
    assert_eq!(names("s3://bucket"), ["aws_region"]);
    assert_eq!(names("az://container"), ["azure_storage_account_name"]);
    assert_eq!(names("file:///tmp"), [""; 0]);
}
