//! The flags of a Prometheus container, with paths mapped through its mounts.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The working directory of the image, which relative paths start from.
const WORK_DIR: &str = "/prometheus";

/// The path of the configuration in the image, and its content.
const CONFIG: &str = "/etc/prometheus/prometheus.yml";
const CONFIG_OF_IMAGE: &str = "global: {scrape_interval: 15s, evaluation_interval: 15s}
scrape_configs: [{job_name: prometheus, static_configs: [{targets: ['localhost:9090']}]}]
";

/// Returns the default arguments of the image.
pub fn of_image() -> Vec<String> {
    vec![
        format!("--config.file={CONFIG}"),
        "--storage.tsdb.path=/prometheus".to_owned(),
    ]
}

pub struct Args {
    /// A path in the container.
    pub config_file: String,
    pub storage: String,
    listen: Option<String>,
    others: Vec<(String, Option<String>)>,
}

impl Args {
    pub fn read(given: &[String]) -> Args {
        let mut args = Args {
            config_file: "prometheus.yml".to_owned(),
            storage: "data/".to_owned(),
            listen: None,
            others: Vec::new(),
        };
        let mut given = given.iter().peekable();
        while let Some(arg) = given.next() {
            let (flag, value) = match arg.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (
                    arg.as_str(),
                    given.next_if(|next| !next.starts_with("--")).cloned(),
                ),
            };
            match (flag, value) {
                ("--config.file", Some(value)) => args.config_file = value,
                ("--storage.tsdb.path", Some(value)) => args.storage = value,
                ("--web.listen-address", Some(value)) => args.listen = Some(value),
                (flag, value) => args.others.push((flag.to_owned(), value)),
            }
        }
        args.config_file = absolute(&args.config_file);
        args.storage = absolute(&args.storage);
        args
    }

    /// Returns the port of the flag, or Prometheus' default port. The ports that the container declares do not matter.
    pub fn port(&self) -> u16 {
        let given = self
            .listen
            .as_deref()
            .and_then(|address| address.rsplit_once(':'));
        given
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or(9090)
    }

    /// Returns the configuration file on this machine. The image's own configuration is written to `image`.
    pub fn config(
        &self,
        place: impl Fn(&str) -> Option<PathBuf>,
        image: &Path,
    ) -> io::Result<PathBuf> {
        if let Some(mounted) = place(&self.config_file) {
            return Ok(mounted);
        }
        let file = image.join("of-image.yml");
        if self.config_file == CONFIG {
            fs::write(&file, CONFIG_OF_IMAGE)?;
        }
        Ok(file)
    }

    /// Returns all flags except those that the pod's address and folders determine.
    pub fn rendered(&self, place: impl Fn(&str) -> Option<PathBuf>) -> Vec<String> {
        let render = |(flag, value): &(String, Option<String>)| match value {
            None => flag.clone(),
            Some(value) => {
                let placed = value.starts_with('/').then(|| place(value)).flatten();
                let value = placed.map_or_else(|| value.clone(), |path| path.display().to_string());
                format!("{flag}={value}")
            }
        };
        self.others.iter().map(render).collect()
    }
}

fn absolute(path: &str) -> String {
    Path::new(WORK_DIR).join(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Args {
        Args::read(&args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn flags() {
        let args = read(&[
            "--config.file=/etc/config/p.yml",
            "--web.enable-lifecycle",
            "--web.config.file",
            "/w/x",
        ]);
        assert_eq!(args.config_file, "/etc/config/p.yml");
        assert_eq!(args.storage, "/prometheus/data/");
        assert_eq!(args.port(), 9090);
        let place = |path: &str| {
            path.strip_prefix("/w")
                .map(|rest| PathBuf::from(format!("/host{rest}")))
        };
        assert_eq!(
            args.rendered(place),
            ["--web.enable-lifecycle", "--web.config.file=/host/x"]
        );
        assert_eq!(read(&["--web.listen-address=0.0.0.0:9091"]).port(), 9091);
        assert_eq!(read(&["--web.listen-address", ":9092"]).port(), 9092);
        assert_eq!(read(&[]).config_file, "/prometheus/prometheus.yml");
    }
}
