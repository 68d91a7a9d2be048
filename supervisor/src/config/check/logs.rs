//! How much of the logs is kept. Without this, a file could ask for a limit that its own files break at once.

use super::super::bounds::{KEEP_AGE, KEEP_FILES, MAX_FILE_AGE, MAX_FILE_BYTES, MAX_TOTAL_BYTES, WRITE_TIMEOUT};
use super::super::fault::Fault;
use super::super::plan::LogPlan;
use super::super::raw::RawLogs;
use super::super::units::show_size;

impl Default for LogPlan {
    /// What holds where the file says nothing.
    fn default() -> Self {
        believe(&RawLogs::default(), &mut Vec::new())
    }
}

pub(super) fn believe(raw: &RawLogs, faults: &mut Vec<Fault>) -> LogPlan {
    let plan = LogPlan {
        max_file_bytes: MAX_FILE_BYTES.hold(raw.max_file_bytes.as_ref(), faults).unsigned_abs(),
        max_file_age: MAX_FILE_AGE.hold(raw.max_file_age.as_ref(), faults),
        keep_files: u32::try_from(KEEP_FILES.hold(raw.keep_files.as_ref(), faults)).expect("within its bounds"),
        keep_age: KEEP_AGE.hold(raw.keep_age.as_ref(), faults),
        max_total_bytes: MAX_TOTAL_BYTES.hold(raw.max_total_bytes.as_ref(), faults).unsigned_abs(),
        compress: raw.compress.as_ref().is_none_or(|compress| *compress.get_ref()),
        write_timeout: WRITE_TIMEOUT.hold(raw.write_timeout.as_ref(), faults),
    };
    let larger = raw.max_total_bytes.as_ref().or(raw.max_file_bytes.as_ref());
    if let Some(place) = larger.filter(|_| plan.max_total_bytes < plan.max_file_bytes) {
        let (total, one) = (show_size(plan.max_total_bytes), show_size(plan.max_file_bytes));
        let message = format!("max_total_bytes, {total}, is less than max_file_bytes, {one}");
        let help = "the file that is written to is never removed: lower max_file_bytes, or allow more in total";
        faults.push(Fault::at(place.span(), message).help(help));
    }
    plan
}
