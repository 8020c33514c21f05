//! Signed links: they lead to what they were made for, until they expire, and to nothing else.

use std::time::Duration;

use anser_core::channel::Links as _;
use anser_core::message::{Attachment, Source};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn links(clock: &Arc<ManualClock>, master_key: u8) -> SignedLinks {
    let public = PublicUrl::new("https://a.example/in/front".parse().unwrap()).unwrap();
    SignedLinks::new(&public, &[master_key; 32], 7 * DAY, clock.clone())
}

fn attachment(source: Source, name: Option<&str>) -> Attachment {
    Attachment {
        id: "a".to_owned(),
        name: name.map(str::to_owned),
        media_type: Some("image/svg+xml; a=b".to_owned()),
        size: None,
        sha256: None,
        source,
        width: None,
        height: None,
        duration_ms: None,
    }
}

/// The pieces of a link as a door takes it apart.
fn pieces(link: &str) -> BTreeMap<String, String> {
    let url: Url = link.parse().unwrap();
    let path = url.path().strip_prefix("/in/front/b/").unwrap();
    let (hash, name) = path.split_once('/').unwrap();
    let name = percent_encoding::percent_decode_str(name);
    let mut pieces: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    pieces.insert("hash".to_owned(), hash.to_owned());
    pieces.insert("name".to_owned(), name.decode_utf8().unwrap().into_owned());
    pieces
}

fn verify(links: &SignedLinks, pieces: &BTreeMap<String, String>) -> Result<LinkedBlob, Problem> {
    links.verify(&BlobLink {
        hash: &pieces["hash"],
        name: &pieces["name"],
        media_type: pieces.get("type").map(String::as_str),
        expires: &pieces["expires"],
        signature: &pieces["signature"],
    })
}

#[test]
fn a_link_leads_to_its_blob_until_it_expires() {
    let clock = Arc::new(ManualClock::at(START));
    let links = links(&clock, 1);
    let hash = hash_of(b"x");
    let of = attachment(Source::Blob(hash.to_string()), Some("../Bericht ü #1.svg"));
    let link = links.link(&of).unwrap();
    let found = verify(&links, &pieces(&link)).unwrap();
    assert_eq!(found.hash, hash);
    assert_eq!(found.name, "_Bericht_ü__1.svg");
    assert_eq!(found.media_type.as_deref(), Some("image/svg+xml; a=b"));
    assert!(found.valid_for >= 7 * DAY && found.valid_for < 8 * DAY);
    // A retry hours later renders the same link.
    clock.advance(Duration::from_secs(3600));
    assert_eq!(links.link(&of).unwrap(), link);
    clock.advance(found.valid_for);
    let expired = verify(&links, &pieces(&link)).unwrap_err();
    assert_eq!((expired.code, expired.kind.status()), ("expired_link", 403));
}

#[test]
fn a_changed_link_leads_nowhere() {
    let clock = Arc::new(ManualClock::at(START));
    let ours = links(&clock, 1);
    let of = attachment(Source::Blob(hash_of(b"x").to_string()), None);
    let good = pieces(&ours.link(&of).unwrap());
    assert_eq!(good["name"], "file");
    let other = hash_of(b"y").to_string();
    for (piece, value) in [
        ("hash", &*other),
        ("hash", "../secret"),
        ("name", "file.html"),
        ("type", "text/html"),
        ("expires", "99999999999"),
        ("signature", ""),
        ("signature", "AAAA"),
    ] {
        let mut changed = good.clone();
        changed.insert(piece.to_owned(), value.to_owned());
        let problem = verify(&ours, &changed).unwrap_err();
        assert_eq!(problem.code, "invalid_link", "{piece}={value}");
    }
    let mut without = good.clone();
    without.remove("type");
    assert_eq!(verify(&ours, &without).unwrap_err().code, "invalid_link");
    let problem = verify(&links(&clock, 2), &good).unwrap_err();
    assert_eq!(problem.code, "invalid_link", "another master key");
}

#[test]
fn only_blobs_have_links() {
    let links = links(&Arc::new(ManualClock::at(START)), 1);
    for source in [
        Source::Inline("aGk=".to_owned()),
        Source::Url("https://b.example/c".to_owned()),
    ] {
        assert_eq!(links.link(&attachment(source, None)), None);
    }
}

#[test]
fn a_public_url_is_plain() {
    for (url, good) in [
        ("https://a.example", true),
        ("http://10.0.0.1:8620/anser/", true),
        ("ftp://a.example", false),
        ("https://me@a.example", false),
        ("https://a.example/?x=1", false),
        ("https://a.example/#x", false),
    ] {
        let checked = PublicUrl::new(url.parse().unwrap());
        assert_eq!(checked.is_ok(), good, "{url}");
    }
}
