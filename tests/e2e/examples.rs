//! The examples of the SDK's documentation, as real workers.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use brigade_tests::Sandbox;

use crate::pipelines::line;

#[test]
fn the_mean_is_right_whenever_its_worker_is_killed() {
    // At every 400th item, by one and four at a time.
    for (point, keys) in [("batch_committed:400", ""), ("batch_noted:400", ""), ("batch_settled:100", "batch = 4")] {
        let sandbox = Sandbox::new();
        let (crash, mean) = (format!("BRIGADE_CRASH={point}"), brigade_tests::binary("mean"));
        let middle = ["env", &crash, mean.to_str().expect("text")];
        let keys = format!("backoff = \"1ms\"\nmax_restarts = \"unlimited\"\n{keys}");
        let text = line(&["bucket", "emit-floats", "1000"], &middle, &keys);
        let report = sandbox.run(&text.replace("\"keep\"", "\"keep-float\"")).wait().with_code(0);
        assert!(report.stages["middle"].restarts > 0, "{point}: it was never killed");
        assert_eq!(sandbox.ledger().times("mean"), [(499.5_f64.to_bits(), 1)].into(), "{point} {keys}");
    }
}

#[test]
fn a_file_is_measured_whatever_bytes_its_name_has() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("files");
    std::fs::create_dir(&folder).expect("a folder");
    for (name, bytes) in [(&b"plain.txt"[..], 3), (b"\xff\xfe.txt", 5), (b"a\nline", 7)] {
        std::fs::write(folder.join(OsStr::from_bytes(name)), vec![0; bytes]).expect("a file");
    }
    let text = line(&["bucket", "names", "${here}/files"], &["measure"], "");
    let report = sandbox.run(&text.replace("\"keep\"", "\"keep-sizes\"")).wait().with_code(0);
    assert_eq!(report.queues["raw"].dead, 0);
    assert_eq!(sandbox.ledger().times("measured"), [(3, 1), (5, 1), (7, 1)].into());
}
