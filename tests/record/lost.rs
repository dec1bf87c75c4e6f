//! A deleted or edited record is rebuilt from the labels and field managers of the objects.

use serde_json::json;

use super::{RECORD, named, recorded};
use crate::cleanup::CLEAN;
use crate::support::{Foreign, from_an_install, masked, patch, progress, remove};

/// An object with our labels that another tool applied, for example a copy.
const COPY: &str = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: copy
  namespace: default
  labels: {app.kubernetes.io/managed-by: ambikiali, ambikiali.dev/install: INSTALL}
";

#[test]
fn fault_46_a_record_that_is_lost_or_edited_is_made_again_from_the_labels() {
    from_an_install(async |clusters| {
        let clean = [clusters.home(), clusters.remote()];
        let [home, remote] = clean;
        let whole = [
            recorded(home).await.unwrap(),
            recorded(remote).await.unwrap(),
        ];
        let copy = COPY.replace("INSTALL", whole[0]["install"].as_str().unwrap());
        let copy = Foreign::apply(home, &copy).await;

        remove(home, RECORD.0, RECORD.1, RECORD.2).await;
        let edit = json!({"data": {"record.json": "{}"}});
        patch(remote, RECORD.0, RECORD.1, RECORD.2, &edit).await;
        let status = clusters.run(&["status"]).await.exited(1);
        for line in [
            "              namespace           not ready  ConfigMap kiali/ambikiali-record: not found\n",
            "              namespace           failed     ConfigMap kiali/ambikiali-record: edited by somebody; the next install makes it again\n",
        ] {
            assert!(status.stdout.contains(line), "{}", status.stdout);
        }
        let ended = clusters.install(&[]).await.succeeded();
        let said = progress(&ended.stderr);
        for line in [
            "cluster1      namespace           done     kiali already exists; the record was lost; made again from the labels of 21 objects\n",
            "cluster2      namespace           done     kiali already exists; the record was edited; made again from the labels of 18 objects\n",
        ] {
            assert!(said.contains(line), "{said}");
        }
        assert_eq!(named(&recorded(home).await.unwrap()), named(&whole[0]));
        assert_eq!(named(&recorded(remote).await.unwrap()), named(&whole[1]));

        remove(remote, RECORD.0, RECORD.1, RECORD.2).await;
        patch(home, RECORD.0, RECORD.1, RECORD.2, &edit).await;
        let cleaned = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&cleaned.stdout), CLEAN);
        copy.removed().await;
    });
}
