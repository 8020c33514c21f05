//! The dialect `text`: the body is the message.

use super::draft::Draft;
use super::told::{Fault, Posted, Told};

/// What the request says.
pub(super) fn read(posted: &Posted<'_>) -> Result<Told, Fault> {
    let said = std::str::from_utf8(posted.body)
        .map_err(|_| Fault::Malformed("the text is not UTF-8".to_owned()))?;
    if said.trim().is_empty() {
        return Err(Fault::Empty);
    }
    let mut draft = Draft::default();
    let markdown = posted.media_type() == "text/markdown";
    if markdown {
        draft.markdown(said);
    } else {
        draft.text(said.trim_end_matches(['\r', '\n']));
    }
    draft.finish(if markdown { "markdown" } else { "text" })
}
