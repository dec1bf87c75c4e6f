//! A page that stands alone: no script, and nothing from elsewhere. Its policy allows only its own two styles.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::view::View;
use super::{svg, template};

const STYLE: &str = include_str!("page.css");

#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    view: &'a View,
    policy: String,
    style: &'static str,
    picture: String,
}

pub fn page(view: &View) -> Result<String> {
    let styles = [STYLE, svg::STYLE].map(|style| format!(" 'sha256-{}'", hash(style)));
    let policy = format!(
        "default-src 'none'; style-src{}; base-uri 'none'; form-action 'none'",
        styles.concat()
    );
    let page = Page {
        view,
        policy,
        style: STYLE,
        picture: svg::picture(view)?,
    };
    template::render(include_str!("page.html"), page)
}

fn hash(style: &str) -> String {
    STANDARD.encode(Sha256::digest(style))
}
