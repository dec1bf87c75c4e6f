//! A client for the same API server with the token of another user, and with nothing else of the kubeconfig's user.

use http::Uri;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::config::AuthInfo;
use kube::{Api, Client, Config};
use secrecy::SecretString;

use super::pem::{self, Broken};
use super::{Cluster, Trust, kubeconfig, proxy};

/// The ConfigMap with the root CA of its cluster, which each namespace has.
const ROOT: (&str, &str, &str) = ("kube-system", "kube-root-ca.crt", "ca.crt");

impl Cluster {
    /// Uses the address that Kiali uses, if the user named one.
    pub async fn as_user(&self, token: &SecretString) -> Result<Client, String> {
        let mut config = self.transport.config().clone();
        config.auth_info = AuthInfo {
            token: Some(token.clone()),
            ..AuthInfo::default()
        };
        if self.endpoint.named {
            self.at_endpoint(&mut config).await?;
        }
        if config.cluster_url.scheme_str() != Some("https") {
            return Err("a token is sent over https only".into());
        }
        if config.accept_invalid_certs {
            return Err("a token is sent only to a server whose certificate is verified".into());
        }
        let opened = kubeconfig::open(config).await;
        opened
            .map(|(client, _)| client)
            .map_err(|problem| problem.to_string())
    }

    async fn at_endpoint(&self, config: &mut Config) -> Result<(), String> {
        let endpoint = &self.endpoint;
        let url = endpoint.server.parse::<Uri>().map_err(|_| "no address")?;
        let pem = match &endpoint.trust {
            Trust::Of(pem) => Some(pem.clone()),
            Trust::Own => Some(self.root().await?),
            Trust::System => None,
        };
        config.root_cert = match pem {
            Some(pem) => {
                let all = pem::certificates(pem.as_bytes(), Broken::Skipped)?;
                Some(all.iter().map(|one| one.to_vec()).collect())
            }
            None => None,
        };
        config.proxy_url = proxy::of_environment(&url)?;
        config.cluster_url = url;
        config.accept_invalid_certs = false;
        config.tls_server_name = endpoint.tls_server_name.clone();
        Ok(())
    }

    async fn root(&self) -> Result<String, String> {
        let (namespace, name, key) = ROOT;
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), namespace);
        let none = || format!("ConfigMap {namespace}/{name} cannot be read");
        let root = api.get(name).await.map_err(|_| none())?;
        root.data
            .and_then(|mut data| data.remove(key))
            .ok_or_else(none)
    }
}
