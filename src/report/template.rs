//! Renders the templates of the reports. Each value is escaped for HTML, which is valid in XML too.

use anyhow::Result;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

pub fn render(text: &'static str, values: impl Serialize) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    // A line with nothing but a statement leaves nothing in the text.
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(syntax.build()?);
    environment.add_template("report", text)?;
    let template = environment.get_template("report")?;
    Ok(template.render(minijinja::value::Serde(values))?)
}
