//! Which images are run, where it is not those of this version.

use clap::Args;

use crate::images::{self, COMPONENTS};
use crate::options::{Asked, DEFAULT, IMAGE, REGISTRY};

#[derive(Args, Debug)]
pub struct Images {
    /// Registry for every image, which keeps its path, tag and digest; "default" for their own again
    #[arg(long, value_name = "HOST[/PREFIX]", value_parser = registry)]
    registry: Option<String>,
    /// Image of prometheus, kiali-operator or kiali, whatever the registry; once for each, "default" for
    /// this version's again
    #[arg(long, value_name = "NAME=IMAGE", value_parser = image)]
    image: Vec<(String, String)>,
}

impl Images {
    /// By the names of the options.
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
        return Err(format!("\"{name}\" has no image; NAME is one of {known}"));
    }
    Ok((
        format!("{IMAGE}{name}"),
        or_default(image, images::reference)?,
    ))
}

fn or_default(
    text: &str,
    check: impl Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    match text {
        DEFAULT => Ok(text.into()),
        _ => check(text),
    }
}
