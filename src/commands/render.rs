//! `render`: no cluster and no kubeconfig.

use anyhow::Result;
use serde_json::json;

use crate::cli::{self, Global};
use crate::document::Ended;
use crate::options::Options;
use crate::render::{self, RenderOptions};
use crate::ui;

pub fn render(args: cli::Render, global: &Global) -> Result<Ended> {
    let (targets, store) = (args.targets(), args.store());
    let wanted = RenderOptions {
        home: args.home,
        remotes: args.remote,
        namespace: global.namespace.clone(),
        images: Options::default().with(&args.images.asked()).images(),
        targets,
        kustomize: args.kustomize,
        rbac: args.rbac,
        store,
    };
    let files = render::files(&wanted)?;
    render::write(&args.out, &files, args.force)?;
    let paths = files
        .keys()
        .map(|path| args.out.join(path).display().to_string());
    let paths = paths.collect::<Vec<_>>();
    ui::rendered(&paths);
    Ok(Ended::done(json!({"files": paths})))
}
