//! Lists objects page by page, up to a limit.

use kube::Api;
use kube::api::ListParams;
use kube::core::{ObjectList, PartialObjectMeta};
use serde::de::DeserializeOwned;

/// Objects per page.
const PAGE: u32 = 500;
/// More objects than any mesh has for a label, name or namespace.
const MOST: usize = 20_000;

pub async fn list<K>(api: &Api<K>, params: &ListParams) -> kube::Result<Vec<K>>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    all(params, async |page| api.list(&page).await).await
}

/// Lists only the metadata.
pub async fn list_metadata<K>(
    api: &Api<K>,
    params: &ListParams,
) -> kube::Result<Vec<PartialObjectMeta<K>>>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    all(params, async |page| api.list_metadata(&page).await).await
}

async fn all<T: Clone>(
    params: &ListParams,
    ask: impl AsyncFn(ListParams) -> kube::Result<ObjectList<T>>,
) -> kube::Result<Vec<T>> {
    let mut page = params.clone().limit(PAGE);
    let mut all = Vec::new();
    // A page may be empty without being the last, so limit the number of pages too.
    for _ in 0..=MOST / PAGE as usize {
        let found = ask(page.clone()).await?;
        all.extend(found.items);
        let next = found.metadata.continue_.filter(|token| !token.is_empty());
        match next {
            None => return Ok(all),
            Some(_) if all.len() > MOST => break,
            Some(token) => page = page.continue_token(&token),
        }
    }
    Err(kube::Error::Service(Box::new(TooLong)))
}

#[derive(Debug, thiserror::Error)]
#[error("its list has more than {MOST} objects, or does not end")]
pub struct TooLong;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn pages(of: usize, last: usize) -> Result<usize, String> {
        let asked = std::cell::Cell::new(0);
        let ask = async |page: ListParams| {
            assert_eq!(page.limit, Some(PAGE));
            let number = asked.replace(asked.get() + 1);
            let before = (number > 0).then(|| number.to_string());
            assert_eq!(page.continue_token, before);
            let next = (number < last).then(|| (number + 1).to_string());
            let list = json!({"kind": "List", "apiVersion": "v1", "metadata": {"continue": next}, "items": vec![1; of]});
            Ok(serde_json::from_value::<ObjectList<u8>>(list).unwrap())
        };
        let all = all(&ListParams::default(), ask).await;
        all.map(|all| all.len()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn pages_are_followed_up_to_a_limit() {
        assert_eq!(pages(500, 0).await, Ok(500));
        assert_eq!(pages(3, 2).await, Ok(9));
        for (of, last) in [(0, 1_000_000), (500, 1_000_000), (30_000, 1)] {
            assert!(pages(of, last).await.is_err(), "{of}");
        }
    }
}
