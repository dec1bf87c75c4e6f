//! `render`: no cluster and no kubeconfig.

use anyhow::Result;

use crate::cli::{self, Global};
use crate::options::Options;
use crate::problem::{Exit, Problem};
use crate::render::{self, RenderOptions};
use crate::result::{Ended, RenderResult};
use crate::{files, out};

pub async fn render(args: cli::Render, global: &Global) -> Result<Ended> {
    let (targets, store) = (args.targets(), args.store());
    let asked = files::run_blocking(move || args.options.asked()).await?;
    let options = Options::default().choose(&asked);
    let options = options.map_err(|cause| Problem::new(Exit::Usage, cause))?;
    let wanted = RenderOptions {
        home: args.home,
        remotes: args.remote,
        namespace: global.namespace.clone(),
        settings: options.settings(),
        targets,
        kustomize: args.kustomize,
        rbac: args.rbac,
        store,
    };
    let files = render::files(&wanted)?;
    render::write(&args.out, &files, args.force)?;
    if wanted.lacks_certificates() {
        out::note(
            "the Secrets with certificates come from no store: run ambikiali install, which fills them, or render with --exposure http",
        );
    }
    let paths = files.keys().map(|path| args.out.join(path));
    let files = paths.map(|path| path.display().to_string()).collect();
    Ok(RenderResult { files }.into())
}
