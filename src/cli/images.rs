//! Flags that replace the default images.

use clap::Args;

use super::INSTALLED;
use crate::images::{self, COMPONENTS};
use crate::options::{Asked, DEFAULT, IMAGE, REGISTRY};

#[derive(Args, Debug)]
#[command(next_help_heading = INSTALLED)]
pub struct Images {
    /// Pull every image from this registry, keeping path, tag and digest; "default" restores the original
    #[arg(long, value_name = "HOST[/PREFIX]", value_parser = registry)]
    registry: Option<String>,
    /// Image to use for prometheus, kiali-operator or kiali, regardless of --registry; "default" restores
    /// the original (repeatable)
    #[arg(long, value_name = "NAME=IMAGE", value_parser = image)]
    image: Vec<(String, String)>,
}

impl Images {
    /// The flags as options by name.
    pub fn asked(self) -> Asked {
        let registry = self.registry.map(|registry| (REGISTRY.into(), registry));
        registry.into_iter().chain(self.image).collect()
    }
}

fn registry(text: &str) -> Result<String, String> {
    or_default(text, images::registry)
}

fn image(text: &str) -> Result<(String, String), String> {
    let (name, image) = text.split_once('=').unwrap_or((text, ""));
    if !COMPONENTS.contains(&name) {
        let known = COMPONENTS.join(", ");
        return Err(format!(
            "\"{name}\" is not an image of ambikiali; NAME must be one of {known}"
        ));
    }
    Ok((
        format!("{IMAGE}{name}"),
        or_default(image, images::reference)?,
    ))
}

pub(super) fn or_default(
    text: &str,
    check: impl Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    match text {
        DEFAULT => Ok(text.into()),
        _ => check(text),
    }
}
