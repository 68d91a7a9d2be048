//! The source of crawl: the page that everything begins with.

use brigade_examples::crawl::{Page, claim, found_by};
use brigade_worker::{Exit, Output, source};

fn seed(out: &mut Output<Page>) -> brigade_worker::Result {
    let first = Page::from("/0");
    let nowhere = Page::new();
    if claim(&found_by(out.ctx()), &first, &nowhere)? {
        out.send(first)?;
    }
    Ok(())
}

fn main() -> Exit {
    source(seed)
}
