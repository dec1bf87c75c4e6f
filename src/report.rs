//! Reports of `verify` that can be handed to somebody else. Rendering is pure: a result becomes text. Everything in a
//! result may come from a cluster, so `view` makes it harmless to look at, and each format escapes it in its own way.

mod html;
mod junit;
mod markdown;
mod svg;
mod template;
#[cfg(test)]
mod tests;
mod view;

use std::path::{Path, PathBuf};

use anyhow::Result;

use self::view::View;
use crate::result::Ended;

/// A file that the user asked for.
#[derive(Clone, Debug)]
pub struct File {
    pub path: PathBuf,
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Html,
    Svg,
    /// The same document as with `-o json`.
    Json,
    Markdown,
    Junit,
}

impl File {
    /// The format follows from the ending of the path.
    pub fn by_ending(path: PathBuf) -> Result<File, String> {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        let format = match ending.to_str() {
            Some("html") => Format::Html,
            Some("svg") => Format::Svg,
            Some("json") => Format::Json,
            Some("md") => Format::Markdown,
            _ => return Err("the file must end with .html, .svg, .json or .md".into()),
        };
        Ok(File { path, format })
    }

    pub fn junit(path: &Path) -> File {
        File {
            path: path.to_owned(),
            format: Format::Junit,
        }
    }
}

/// The text of a report. `json` is the document of the result, and `now` stands for the start of a command that ended
/// without a result.
pub fn text(format: Format, ended: &Ended, json: &str, now: &str) -> Result<String> {
    let view = View::of(ended, now);
    match format {
        Format::Html => html::page(&view),
        Format::Svg => svg::picture(&view),
        Format::Json => Ok(format!("{json}\n")),
        Format::Markdown => Ok(markdown::text(&view)),
        Format::Junit => junit::suites(&view),
    }
}
