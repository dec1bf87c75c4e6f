//! Deployments and their pods.

use super::*;

const READY: &str = "{observedGeneration: 2, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1}";

fn rolled(replicas: u8, status: &str) -> Health {
    deployment(Some(&read(&format!(
        "metadata: {{generation: 2}}
spec: {{replicas: {replicas}, selector: {{}}, template: {{}}}}
status: {status}"
    ))))
}

#[test]
fn a_deployment_is_ready_when_its_own_generation_is_rolled_out() {
    assert_eq!(rolled(1, READY), Health::Ready);
    for before in [
        "{}",
        &READY.replace("observedGeneration: 2", "observedGeneration: 1"),
    ] {
        assert_eq!(
            rolled(1, before),
            waits("the controller has not observed the change yet")
        );
    }
}

#[test]
fn a_deployment_says_which_pods_lack() {
    let status = |counts: &str| rolled(2, &format!("{{observedGeneration: 2, {counts}}}"));
    assert_eq!(
        status("replicas: 2, availableReplicas: 2"),
        waits("0 of 2 pods are updated")
    );
    assert_eq!(
        status("replicas: 3, updatedReplicas: 2, availableReplicas: 3"),
        waits("old pods are still terminating")
    );
    assert_eq!(
        status("replicas: 2, updatedReplicas: 2, availableReplicas: 1"),
        waits("1 of 2 pods are ready")
    );
    assert_eq!(rolled(0, "{observedGeneration: 2}"), waits("scaled to 0"));
}

#[test]
fn a_deployment_that_is_given_up_or_refused_fails_with_the_clusters_words() {
    let with = |condition: &str| {
        let conditions = format!("{{observedGeneration: 2, conditions: [{condition}]}}");
        rolled(1, &conditions)
    };
    assert_eq!(
        with(
            "{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: timed out}"
        ),
        fails("timed out")
    );
    assert_eq!(
        with("{type: ReplicaFailure, status: 'True', message: exceeded quota}"),
        fails("exceeded quota")
    );
    assert_eq!(
        with("{type: ReplicaFailure, status: 'False', message: exceeded quota}"),
        waits("0 of 1 pods are updated")
    );
}

#[test]
fn a_pod_that_no_node_takes_fails() {
    let scheduled =
        |condition: &str| pod_failure(&read(&format!("status: {{conditions: [{condition}]}}")));
    assert_eq!(
        scheduled(
            "{type: PodScheduled, status: 'False', reason: Unschedulable, message: 0/1 nodes are available}"
        )
        .as_deref(),
        Some("unschedulable: 0/1 nodes are available")
    );
    assert_eq!(scheduled("{type: PodScheduled, status: 'True'}"), None);
    // Held back by a scheduling gate, which somebody will lift.
    assert_eq!(
        scheduled("{type: PodScheduled, status: 'False', reason: SchedulingGated}"),
        None
    );
}

#[test]
fn a_pod_that_cannot_start_fails_by_its_containers_reason() {
    let waiting = |of: &str, waiting: &str| {
        pod_failure(&read(&format!(
            "status: {{{of}: [{{name: x, image: '', imageID: '', ready: false, restartCount: 3, state: {{waiting: {waiting}}}}}]}}"
        )))
    };
    for reason in [
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "InvalidImageName",
        "CreateContainerConfigError",
    ] {
        let message = format!("{{reason: {reason}, message: again in 20 s}}");
        for of in ["containerStatuses", "initContainerStatuses"] {
            assert_eq!(
                waiting(of, &message),
                Some(format!("container x: {reason} again in 20 s"))
            );
        }
    }
    for reason in ["ContainerCreating", "PodInitializing", "ErrImagePull"] {
        let message = format!("{{reason: {reason}}}");
        assert_eq!(waiting("containerStatuses", &message), None, "{reason}");
    }
}

#[test]
fn a_pod_that_is_on_its_way_does_not_fail() {
    for status in [
        "{}",
        "{phase: Pending}",
        "{containerStatuses: [{name: x, image: '', imageID: '', ready: true, restartCount: 0, state: {running: {}}}]}",
    ] {
        assert_eq!(
            pod_failure(&read(&format!("status: {status}"))),
            None,
            "{status}"
        );
    }
}
