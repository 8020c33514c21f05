//! New parts against old ones.

use anser_core::channel::Instead;
use serde_json::json;

use super::*;
use crate::kit::plan::json as bytes_of;

/// A plan of steps by name: `text`, `file` (which cannot take the place of another part), `upload`.
fn plan(steps: &[&str]) -> Plan {
    let step = |name: &&str| Step {
        kind: if *name == "upload" {
            StepKind::Upload
        } else {
            StepKind::Send
        },
        ..Step::send(bytes_of(&json!(name)).into(), MEDIA_TYPE)
    };
    Plan {
        version: VERSION,
        steps: steps.iter().map(step).collect(),
        degraded: Vec::new(),
    }
}

/// The steps as `kind body>of`.
fn edit(steps: &[&str], sent: &[&str], recalls: bool) -> (Vec<String>, Vec<String>) {
    let changes = Changes {
        editable: &|step| step.body != bytes_of(&json!("file")),
        recalls,
    };
    let sent: Vec<String> = sent.iter().map(|id| (*id).to_owned()).collect();
    let plan = edited(plan(steps), &sent, &changes).unwrap();
    let shown = plan.steps.iter().map(|step| {
        let body = String::from_utf8(step.body.to_vec()).unwrap();
        let of = step.of.as_deref().unwrap_or("-");
        format!("{:?} {}>{of}", step.kind, body.trim_matches('"'))
    });
    (shown.collect(), plan.degraded)
}

/// New steps, what was sent, whether it can be taken back; the steps of the plan, and what is recorded.
type Case = (
    &'static [&'static str],
    &'static [&'static str],
    bool,
    &'static [&'static str],
    &'static [&'static str],
);

#[test]
fn part_by_part() {
    #[rustfmt::skip]
    let table: [Case; 7] = [
        (&["text"], &["o1"], true, &["Edit text>o1"], &[]),
        (&["text"], &["o1", "o2"], true, &["Edit text>o1", "Recall >o2"], &[]),
        (&["text"], &["o1", "o2"], false, &["Edit text>o1"], &["edit->left"]),
        (&["text", "text"], &["o1"], true, &["Edit text>o1", "Send text>-"], &[]),
        (&["upload", "file"], &["o1"], true, &["Upload upload>-", "Send file>-", "Recall >o1"], &["edit->message"]),
        (&["upload", "file"], &["o1"], false, &["Upload upload>-", "Send file>-"], &["edit->left", "edit->message"]),
        (&["upload", "text"], &["o1"], true, &["Upload upload>-", "Edit text>o1"], &[]),
    ];
    for (steps, sent, recalls, wanted, degraded) in table {
        let (found, noted) = edit(steps, sent, recalls);
        assert_eq!(
            (found.as_slice(), noted.as_slice()),
            (owned(wanted).as_slice(), owned(degraded).as_slice())
        );
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_lower_form_takes_the_same_place_or_none() {
    let changes = Changes {
        editable: &|step| step.body != bytes_of(&json!("file")),
        recalls: true,
    };
    for (lower, wanted) in [
        ("text", Some((StepKind::Edit, Some("o1".to_owned())))),
        ("file", None),
    ] {
        let mut new = plan(&["card"]);
        new.steps[0].instead = Some(Box::new(Instead {
            steps: plan(&[lower]).steps,
            degraded: Vec::new(),
        }));
        let edited = edited(new, &["o1".to_owned()], &changes).unwrap();
        let instead = edited.steps[0].instead.as_ref();
        let found = instead.map(|lower| (lower.steps[0].kind, lower.steps[0].of.clone()));
        assert_eq!(found, wanted, "{lower}");
    }
}

#[test]
fn every_part_is_taken_back() {
    let plan = recalled(&["a".to_owned(), "b".to_owned()]).unwrap();
    let parts: Vec<_> = plan
        .steps
        .iter()
        .map(|step| (step.kind, step.of.as_deref()))
        .collect();
    assert_eq!(
        parts,
        [(StepKind::Recall, Some("a")), (StepKind::Recall, Some("b"))]
    );
}

#[test]
fn what_has_no_id_cannot_be_changed() {
    let changes = Changes {
        editable: &|_| true,
        recalls: true,
    };
    for result in [edited(plan(&["text"]), &[], &changes), recalled(&[])] {
        assert_eq!(result.unwrap_err().code, "no_platform_id");
    }
}
