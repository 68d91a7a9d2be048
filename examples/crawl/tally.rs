//! The last stage of crawl: counts the pages.

use std::time::Instant;

use brigade_examples::crawl::Page;
use brigade_worker::{Context, Exit, Output, Result, SharedMap, Worker};

struct Tally {
    /// In the manager, so that the next incarnation of this worker still has them; by name, so that a page that comes
    /// twice counts once.
    pages: SharedMap<Page, ()>,
    again: u64,
    since: Instant,
}

impl Worker for Tally {
    type Item = Page;
    type Output = ();

    fn build(ctx: &Context) -> Result<Self> {
        Ok(Self { pages: ctx.map("pages"), again: 0, since: Instant::now() })
    }

    fn handle(&mut self, page: Page, _: &mut Output<()>) -> Result {
        if self.pages.insert(&page, &())?.is_some() {
            self.again += 1;
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Output<()>) -> Result {
        let seconds = self.since.elapsed().as_secs_f64();
        println!("{} pages in {seconds:.1} s, {} of them came more than once", self.pages.len()?, self.again);
        Ok(())
    }
}

fn main() -> Exit {
    Tally::main()
}
