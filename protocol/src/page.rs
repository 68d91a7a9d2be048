//! A worker's page.
