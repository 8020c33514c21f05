//! Bodies of every shape, and what is over the bounds.

use super::*;

const FORM: &str = "multipart/form-data; boundary=XX";

async fn taken(media_type: &str, body: Body, is_file: bool) -> Result<Intake, Unread> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, media_type.parse().unwrap());
    read(&headers, body, is_file).await
}

/// A body in pieces of which none is held: `count` times the same bytes.
fn stream(piece: &'static [u8], count: usize) -> Body {
    let pieces = std::iter::repeat_n(
        Ok::<_, std::convert::Infallible>(Bytes::from_static(piece)),
        count,
    );
    Body::from_stream(futures_util::stream::iter(pieces))
}

#[tokio::test]
async fn a_form_is_told_by_its_parts() {
    let body = "--XX\r\ncontent-disposition: form-data; name=\"kind\"\r\n\r\nmessage\r\n\
        --XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a b.png\"\r\ncontent-type: image/png\r\n\r\n\
        one\r\ntwo\r\n--XX--\r\n";
    let intake = taken(FORM, Body::from(body), false).await.unwrap();
    assert!(intake.body.is_empty());
    let [kind, file] = &intake.parts[..] else {
        panic!("{intake:?}")
    };
    assert_eq!((&*kind.name, kind.text()), ("kind", Some("message")));
    assert_eq!(
        (
            &*file.name,
            file.file_name.as_deref(),
            file.media_type.as_deref()
        ),
        ("file", Some("a b.png"), Some("image/png"))
    );
    assert_eq!(file.content.head, "one\r\ntwo");
    assert_eq!(
        (file.content.size, &*file.content.sha256),
        (
            8,
            "29a776bb35efe730dabb1b1d3ad74dbf80cc3e9009e168241798ea73adca3dcf"
        )
    );
}

#[tokio::test]
async fn a_file_by_itself_is_measured_and_only_its_head_is_kept() {
    static PIECE: [u8; 1 << 16] = [7; 1 << 16];
    let intake = taken("video/mp4", stream(&PIECE, 48), true).await.unwrap();
    let part = &intake.parts[0];
    assert_eq!(part.media_type.as_deref(), Some("video/mp4"));
    assert_eq!(part.content.size, 3 << 20);
    assert_eq!(part.content.head.len(), HEAD_MAX);
    assert_eq!(part.text(), None, "it is longer than what is kept of it");
}

#[tokio::test]
async fn what_is_no_file_is_kept_whole_up_to_a_bound() {
    let intake = taken("application/json", Body::from("{}"), false)
        .await
        .unwrap();
    assert_eq!((&*intake.body, intake.parts.len()), (&b"{}"[..], 0));
    static PIECE: [u8; 1 << 20] = [b' '; 1 << 20];
    let large = taken("application/json", stream(&PIECE, 17), false).await;
    assert_eq!(large.unwrap_err(), Unread::TooLarge);
}

#[tokio::test]
async fn what_is_no_form_or_over_the_bounds_is_not_read() {
    let part = "--XX\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\nv\r\n";
    let many = format!("{}--XX--\r\n", part.repeat(PARTS_MAX + 1));
    static PIECE: [u8; 1 << 20] = [0; 1 << 20];
    for (media_type, body, why) in [
        ("multipart/form-data", Body::from(part), Unread::Broken),
        (FORM, Body::from("--XX\r\nno form"), Unread::Broken),
        (FORM, Body::from(part), Unread::Broken),
        (FORM, Body::from(many), Unread::TooLarge),
        ("video/mp4", stream(&PIECE, 513), Unread::TooLarge),
    ] {
        assert_eq!(
            taken(media_type, body, true).await.unwrap_err(),
            why,
            "{media_type}"
        );
    }
}
