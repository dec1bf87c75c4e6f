//! Flags for a store of the user's own.

use std::path::PathBuf;

use clap::Args;

use super::INSTALLED;
use super::images::or_default;
use crate::options::{Asked, DEFAULT};
use crate::problem::Problem;
use crate::store::{self, CA, HEADER, HEALTH_URL, NONE, SECRET, STORE, STORE_URL, WRITE_URL, ca};

#[derive(Args, Debug)]
#[command(next_help_heading = INSTALLED)]
pub struct Store {
    /// Your own store for the metrics of all clusters, in place of a federating Prometheus and a Gateway in each cluster:
    /// mimir=URL,tenant=NAME, victoriametrics=URL[,cluster=ID], thanos=URL,receive=URL, prometheus=URL or none [default:
    /// none]
    #[arg(long, value_name = "ENGINE=URL", value_parser = preset)]
    store: Option<String>,
    /// URL of the store that Kiali queries, in place of that of --store
    #[arg(long, value_name = "URL", value_parser = url)]
    store_url: Option<String>,
    /// URL that each cluster's Prometheus writes to, in place of that of --store
    #[arg(long, value_name = "URL", value_parser = url)]
    remote_write_url: Option<String>,
    /// URL that Kiali asks whether the store works, in place of that of --store
    #[arg(long, value_name = "URL", value_parser = url)]
    store_health_url: Option<String>,
    /// Header to send to the store, such as that of a tenant; "NAME=default" removes it (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    store_header: Vec<(String, String)>,
    /// Your Secret with username and password for the store, or NAME:token for one with a token, in Kiali's namespace of
    /// home and in istio-system of each cluster; "default" sends none
    #[arg(long, value_name = "NAME[:token]", value_parser = secret)]
    store_secret: Option<String>,
    /// PEM file with the CA of a store with https, for Kiali and each cluster's Prometheus; "default" trusts the CAs of
    /// their images
    #[arg(long, value_name = "FILE")]
    store_ca: Option<PathBuf>,
}

impl Store {
    /// The flags as options by name. Reads a file.
    pub fn asked(self) -> Result<Asked, Problem> {
        let ca = self.store_ca.map(|path| match path.to_str() {
            Some(DEFAULT) => Ok(DEFAULT.into()),
            _ => ca::read(&path),
        });
        let given = [
            (STORE, self.store),
            (STORE_URL, self.store_url),
            (WRITE_URL, self.remote_write_url),
            (HEALTH_URL, self.store_health_url),
            (SECRET, self.store_secret),
            (CA, ca.transpose()?),
        ];
        let given = given.into_iter();
        let given = given.filter_map(|(name, value)| Some((name.to_string(), value?)));
        Ok(given.chain(self.store_header).collect())
    }
}

fn preset(text: &str) -> Result<String, String> {
    match text {
        NONE | DEFAULT => Ok(DEFAULT.into()),
        _ => store::preset(text),
    }
}

fn url(text: &str) -> Result<String, String> {
    or_default(text, store::url)
}

fn secret(text: &str) -> Result<String, String> {
    or_default(text, |text| store::credentials(text).map(|_| text.into()))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("use NAME=VALUE")?;
    let name = store::header_name(name)?;
    let value = or_default(value, store::header_value)?;
    Ok((format!("{HEADER}{name}"), value))
}
