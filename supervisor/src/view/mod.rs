//! stub
use crate::status::Status;
use std::sync::Arc;
/// stub
pub struct View;
impl View {
    /// stub
    pub fn new() -> Self {
        Self
    }
    /// stub
    pub fn show(&mut self, _: &Status) {}
    /// stub
    pub fn console(&self) -> Arc<dyn Fn(&str) + Send + Sync> {
        Arc::new(|_| {})
    }
    /// stub
    pub fn finish(self) {}
}
