//! The traps of the operator's conditions, as they were seen on the real one: they carry no
//! generation, flip for milliseconds, and tell of runs that are long over.

use super::*;

/// The status after a run that ended so; `completion` is the run.
fn succeeded(completion: &str) -> Kiali {
    read(&format!(
        "metadata: {{}}
spec: {{}}
status:
  conditions:
    - {{type: Failure, status: 'False', reason: '', message: ''}}
    - {{type: Successful, status: 'True', reason: Successful, message: Last reconciliation succeeded}}
    - {{type: Running, status: 'True', reason: Successful, ansibleResult: {{completion: {completion}}}}}"
    ))
}

/// A run under way: `Successful` keeps its reason and message and only turns False.
fn running(progress: &str) -> Kiali {
    read(&format!(
        "metadata: {{}}
spec: {{}}
status:
  progress: {{message: {progress}}}
  conditions:
    - {{type: Successful, status: 'False', reason: Successful, message: Last reconciliation succeeded}}
    - {{type: Running, status: 'True', reason: Running, message: Running reconciliation}}"
    ))
}

/// A failed run; the condition stays so through the whole next one.
fn failed(completion: &str) -> Kiali {
    read(&format!(
        "metadata: {{}}
spec: {{}}
status:
  conditions:
    - {{type: Running, status: 'True', reason: Running}}
    - {{type: Successful, status: 'False', reason: '', message: ''}}
    - type: Failure
      status: 'True'
      reason: Failed
      message: \"There is already a Kiali\\nand more\"
      lastTransitionTime: '2026-01-01T00:00:00Z'
      ansibleResult: {{failures: 1, completion: {completion}}}"
    ))
}

fn again() -> Health {
    waits("the operator retries: There is already a Kiali")
}

#[test]
fn a_new_cr_is_ready_after_its_first_run() {
    let mut fence = KialiFence::default();
    let unseen = "the operator has not seen it yet";
    assert_eq!(
        fence.judge(Some(&read("metadata: {}\nspec: {}"))),
        waits(unseen)
    );
    let touched = read("metadata: {}\nspec: {}\nstatus: {progress: {}}");
    assert_eq!(fence.judge(Some(&touched)), waits(unseen));
    assert_eq!(
        fence.judge(Some(&running("1. Initializing"))),
        waits("operator: 1. Initializing")
    );
    assert_eq!(
        fence.judge(Some(&running("null"))),
        waits("the operator is running")
    );
    assert_eq!(fence.judge(Some(&succeeded("c1"))), Health::Ready);
}

#[test]
fn a_new_cr_that_fails_ends_the_wait_at_once_with_the_operators_first_line() {
    let mut fence = KialiFence::default();
    assert_eq!(
        fence.judge(Some(&failed("c1"))),
        fails("There is already a Kiali")
    );
}

#[test]
fn a_success_of_before_the_change_is_not_believed() {
    let mut fence = KialiFence::changed(Some(&succeeded("c1")));
    for _ in 0..2 {
        assert_eq!(
            fence.judge(Some(&succeeded("c1"))),
            waits("the operator has not picked up the change yet")
        );
    }
    assert_eq!(
        fence.judge(Some(&running("6. Finished"))),
        waits("operator: 6. Finished")
    );
    assert_eq!(fence.judge(Some(&succeeded("c2"))), Health::Ready);
}

/// It may be the run that was under way at the change: it shows success for milliseconds, so the
/// judgement falls back, and the wait has to see it ready for a while.
#[test]
fn a_success_can_be_taken_back() {
    let mut fence = KialiFence::changed(Some(&running("3. Deleting")));
    assert_eq!(fence.judge(Some(&succeeded("c1"))), Health::Ready);
    assert_eq!(
        fence.judge(Some(&running("6. Finished"))),
        waits("operator: 6. Finished")
    );
    assert_eq!(fence.judge(Some(&succeeded("c2"))), Health::Ready);
}

#[test]
fn a_failure_of_before_the_change_is_waited_through() {
    let mut fence = KialiFence::changed(Some(&failed("c1")));
    assert_eq!(fence.judge(Some(&failed("c1"))), again());
    assert_eq!(fence.judge(Some(&succeeded("c2"))), Health::Ready);
}

#[test]
fn the_first_run_that_ends_after_a_change_may_have_begun_before_it() {
    let mut fence = KialiFence::changed(Some(&failed("c1")));
    assert_eq!(fence.judge(Some(&failed("c2"))), again());
    assert_eq!(fence.judge(Some(&failed("c2"))), again());
    assert_eq!(
        fence.judge(Some(&failed("c3"))),
        fails("There is already a Kiali")
    );
    let mut fence = KialiFence::changed(Some(&succeeded("c1")));
    assert_eq!(fence.judge(Some(&failed("c2"))), again());
    assert_eq!(
        fence.judge(Some(&failed("c3"))),
        fails("There is already a Kiali")
    );
}

/// Written by us, and told of by the operator, at these seconds.
fn written_and_told(written: u8, told: u8) -> Kiali {
    let mut kiali = succeeded("c1");
    let entry = |manager: &str, subresource: &str, second: u8| {
        let time = format!("2026-01-01T00:00:{second:02}Z");
        serde_json::from_value(serde_json::json!({
            "manager": manager, "subresource": subresource, "time": time,
        }))
        .unwrap()
    };
    kiali.metadata.managed_fields = Some(vec![
        entry("ansible-operator", "status", 1),
        entry("ambikiali", "", written),
        entry("OpenAPI-Generator", "status", told),
        entry("kubectl", "", 50),
    ]);
    kiali
}

#[test]
fn a_success_of_before_our_last_write_is_not_believed_by_whoever_comes_later() {
    let judge = |kiali: Kiali| KialiFence::default().judge(Some(&kiali));
    assert_eq!(
        judge(written_and_told(11, 10)),
        waits("the operator has not picked up the change yet")
    );
    for told in [11, 12] {
        assert_eq!(judge(written_and_told(11, told)), Health::Ready);
    }
}

#[test]
fn a_failure_tells_how_far_the_operator_came() {
    let mut kiali = failed("c1");
    let status = kiali.status.as_mut().unwrap();
    status.progress = serde_json::json!({"message": "1. Initializing"});
    assert_eq!(
        KialiFence::default().judge(Some(&kiali)),
        fails("There is already a Kiali (after \"1. Initializing\")")
    );
}
