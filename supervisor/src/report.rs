//! stub
use crate::status::Report;
/// stub
pub fn table(r: &Report) -> String {
    serde_json::to_string_pretty(r).unwrap()
}
/// stub
pub fn write(r: &Report, p: &std::path::Path) -> std::io::Result<()> {
    std::fs::write(p, serde_json::to_string(r)?)
}
