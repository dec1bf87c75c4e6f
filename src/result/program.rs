//! Commands that need no cluster, and `dashboard`, which has an empty result.

use serde::Serialize;

use crate::images::Images;

#[derive(Debug, Serialize)]
pub struct ImagesResult {
    pub images: Vec<Image>,
}

#[derive(Debug, Serialize)]
pub struct Image {
    pub component: &'static str,
    pub reference: String,
    /// The digest, if the image is pinned.
    pub digest: Option<String>,
}

impl ImagesResult {
    pub fn of(images: &Images) -> ImagesResult {
        let images = images.all().map(|(component, image)| {
            let (reference, digest) = match image.split_once('@') {
                Some((reference, digest)) => (reference, Some(digest.into())),
                None => (image, None),
            };
            Image {
                component,
                reference: reference.into(),
                digest,
            }
        });
        ImagesResult {
            images: images.collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct CompletionsResult {
    pub shell: &'static str,
    pub script: String,
}

#[derive(Debug, Serialize)]
pub struct ManResult {
    pub folder: String,
    pub pages: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct RenderResult {
    /// In the order in which they are applied.
    pub files: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct DashboardResult {}
