//! What the crawler's stages have in common: where the server is, and what a page is called.

use brigade_worker::{Context, SharedError, SharedMap};

/// The path of a page, such as `/17`.
pub type Page = String;

/// Where the pages are served, under `"server"`: a port of 127.0.0.1. A server that is started again puts its new one here.
pub fn ports(ctx: &Context) -> SharedMap<String, u16> {
    ctx.map("ports")
}

/// Who found a page first: page → the page with the link.
pub fn found_by(ctx: &Context) -> SharedMap<Page, Page> {
    ctx.map("found by")
}

/// Pages whose links have all been passed on. One that comes again has nothing new to tell.
pub fn done(ctx: &Context) -> SharedMap<Page, ()> {
    ctx.map("done")
}

/// Claims `page` for the page it was found on; true if nobody was quicker.
///
/// # Errors
/// As every operation on shared state.
pub fn claim(found_by: &SharedMap<Page, Page>, page: &Page, on: &Page) -> Result<bool, SharedError> {
    use brigade_worker::shared::Exchange;
    Ok(match found_by.compare_exchange(page, None, Some(on))? {
        Exchange::Done => true,
        // We were here before: a process that had claimed the page for this one was killed, perhaps before it could
        // pass it on.
        Exchange::Refused(first) => first.as_ref() == Some(on),
    })
}
