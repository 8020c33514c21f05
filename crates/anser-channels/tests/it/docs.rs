//! The page of each kind in `docs/channels`, written from its manifest; with `ANSER_UPDATE` set it is rewritten.

use std::fmt::Write as _;
use std::path::Path;

use anser_core::channel::Manifest;
use serde_json::Value;

#[test]
fn generated_channel_docs_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/channels");
    for kind in anser_channels::registry() {
        let manifest = kind.manifest();
        let path = folder.join(format!("{}.md", manifest.kind));
        let wanted = page(&manifest);
        if std::env::var_os("ANSER_UPDATE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, wanted).unwrap();
        } else {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                found == wanted,
                "{} is stale: run `cargo xtask gen`",
                path.display()
            );
        }
    }
}

#[test]
fn generated_channel_table_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/channels/README.md");
    let mut wanted = String::from(
        "<!-- Generated from the kinds' manifests: `cargo xtask gen`. -->\n# Channels\n\n\
         | kind | | shown natively | as a URL |\n|---|---|---|---|\n",
    );
    for kind in anser_channels::registry() {
        let manifest = kind.manifest();
        let schemes: Vec<String> = manifest
            .schemes
            .iter()
            .map(|scheme| format!("`{scheme}://`"))
            .collect();
        writeln!(
            wanted,
            "| [`{kind}`]({kind}.md) | {} | {} | {} |",
            one_line(manifest.summary),
            manifest.capabilities.join(", "),
            schemes.join(", "),
            kind = manifest.kind
        )
        .unwrap();
    }
    if std::env::var_os("ANSER_UPDATE").is_some() {
        std::fs::write(&path, wanted).unwrap();
    } else {
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == wanted,
            "{} is stale: run `cargo xtask gen`",
            path.display()
        );
    }
}

fn page(manifest: &Manifest) -> String {
    let mut page = String::new();
    let example = serde_json::to_string_pretty(&manifest.settings["examples"][0]).unwrap();
    let ordering = serde_json::to_value(manifest.ordering).unwrap();
    writeln!(
        page,
        "<!-- Generated from the kind's manifest: `cargo xtask gen`. -->"
    )
    .unwrap();
    writeln!(page, "# {}\n\n{}\n", manifest.label, manifest.summary).unwrap();
    writeln!(
        page,
        "Kind `{}`. Ordering unless the subscription says otherwise: `{}`.\n",
        manifest.kind,
        ordering.as_str().unwrap()
    )
    .unwrap();
    if let Some(rate) = &manifest.rate {
        writeln!(
            page,
            "Sends at most {} a second on average and {} at once, unless the channel sets its own `rate`.\n",
            rate.per_second, rate.burst
        )
        .unwrap();
    }
    if !manifest.schemes.is_empty() {
        let schemes = manifest.schemes.join("://`, `");
        writeln!(
            page,
            "In a URL, as for `anser send --to`: `{schemes}://`.\n"
        )
        .unwrap();
    }
    writeln!(page, "## Setting it up\n\n{}\n", manifest.setup).unwrap();
    writeln!(page, "## Settings\n").unwrap();
    settings(&mut page, &manifest.settings);
    writeln!(page, "\n```json\n{example}\n```\n").unwrap();
    if !manifest.formats.is_empty() {
        writeln!(page, "## Formats\n").unwrap();
        formats(&mut page, manifest);
    }
    let capabilities = manifest.capabilities.join("`, `");
    writeln!(page, "\n## Shown natively\n\n`{capabilities}`\n").unwrap();
    writeln!(page, "## Links\n").unwrap();
    for link in &manifest.links {
        writeln!(page, "- <{link}>").unwrap();
    }
    page
}

fn settings(page: &mut String, schema: &Value) {
    let required = |name: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|names| names.iter().any(|given| given == name))
    };
    writeln!(page, "| setting | | meaning |\n|---|---|---|").unwrap();
    for (name, property) in schema["properties"].as_object().unwrap() {
        let mut marks = Vec::new();
        if required(name) {
            marks.push("required".to_owned());
        }
        if property["writeOnly"] == true {
            marks.push("write-only".to_owned());
        }
        if let Some(default) = property.get("default").filter(|value| value.is_string()) {
            marks.push(format!("default `{}`", default.as_str().unwrap()));
        }
        let description = one_line(property["description"].as_str().unwrap_or_default());
        writeln!(page, "| `{name}` | {} | {description} |", marks.join(", ")).unwrap();
    }
}

fn formats(page: &mut String, manifest: &Manifest) {
    writeln!(page, "| format | what is sent |\n|---|---|").unwrap();
    let variants = manifest.settings["properties"]["format"]["oneOf"].as_array();
    let usual = if manifest.generic {
        "What the settings say."
    } else {
        "The platform's own forms, by what the message holds."
    };
    for format in &manifest.formats {
        let described = variants
            .into_iter()
            .flatten()
            .find(|variant| variant["const"] == *format)
            .and_then(|variant| variant["description"].as_str());
        writeln!(
            page,
            "| `{format}` | {} |",
            one_line(described.unwrap_or(usual))
        )
        .unwrap();
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
