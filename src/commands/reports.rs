//! The reports of `verify`. Their places are looked at before anything is contacted. A run that failed is reported too,
//! so that nobody takes an older report for it.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use crate::folder::Folder;
use crate::problem::{self, Exit, Problem};
use crate::report::{self, File};
use crate::result::{CommandResult, Ended, Failure};
use crate::{out, ui};

/// Where a report is written.
pub struct Place {
    folder: Folder,
    name: String,
    file: File,
}

/// The places of the reports. An error if one of them cannot be written.
pub fn places(files: Vec<File>) -> Result<Vec<Place>> {
    let mut places = Vec::<Place>::new();
    for file in files {
        if places.iter().any(|place| place.file.path == file.path) {
            let cause = format!("two reports in {}", file.path.display());
            return Err(Problem::new(Exit::Usage, cause).into());
        }
        places.push(place(file)?);
    }
    Ok(places)
}

fn place(file: File) -> Result<Place> {
    let path = &file.path;
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        let cause = format!("{} is not the name of a file", path.display());
        Problem::new(Exit::Usage, cause)
    })?;
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    let folder = Folder::open(parent).map_err(|error| {
        let cause = format!(
            "cannot write {}: folder {}: {}; nothing was contacted",
            path.display(),
            parent.display(),
            problem::root_cause(&error)
        );
        let fix = format!("create folder {}, or name another file", parent.display());
        Problem::new(Exit::Preflight, cause).fix(fix)
    })?;
    folder.check(name)?;
    Ok(Place {
        name: name.into(),
        folder,
        file,
    })
}

/// Renders all reports before it writes the first. One that cannot be written makes the command fail, and its result
/// is still printed.
pub fn write(places: Vec<Place>, ended: Ended, started: &str) -> Result<Ended> {
    let json = out::json(&ended.document("VerifyResult"));
    let texts = places.into_iter().map(|place| {
        let text = report::text(place.file.format, &ended, &json, started)?;
        Ok((place, text))
    });
    let texts = texts.collect::<Result<Vec<_>>>()?;
    let (mut written, mut errors) = (Vec::new(), Vec::new());
    for (place, text) in texts {
        match place.folder.write(&place.name, text) {
            Ok(()) => written.push(place.file.path),
            Err(error) => errors.push(anyhow!(
                "cannot write {}: {}",
                place.file.path.display(),
                problem::root_cause(&error)
            )),
        }
    }
    Ok(told(ended, written, &errors))
}

fn told(mut ended: Ended, written: Vec<PathBuf>, errors: &[anyhow::Error]) -> Ended {
    let errors = errors.iter().map(Failure::of);
    match &mut ended {
        Ended::Done(result) => {
            if let CommandResult::Verify(result) = result.as_mut() {
                result.errors.extend(errors);
                result.reports = written;
            }
        }
        Ended::Failed { errors: all, .. } => {
            all.extend(errors);
            ui::reports(&written);
        }
        Ended::Interrupted { .. } => {}
    }
    ended
}
