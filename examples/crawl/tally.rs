//! The last stage of crawl: counts the pages.

use brigade_examples::crawl::Page;
use brigade_worker::{Context, Exit, Output, Result, SharedMap, Worker};

struct Tally {
    /// In the manager, so that the next incarnation of this worker still has them; by name, so that a page that comes
    /// twice counts once.
    pages: SharedMap<Page, ()>,
    again: u64,
}

impl Worker for Tally {
    type Item = Page;
    type Output = ();

    fn build(ctx: &Context) -> Result<Self> {
        Ok(Self { pages: ctx.map("pages"), again: 0 })
    }

    fn handle(&mut self, page: Page, _: &mut Output<()>) -> Result {
        if self.pages.insert(&page, &())?.is_some() {
            self.again += 1;
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Output<()>) -> Result {
        println!("{} pages, {} of them came again", self.pages.len()?, self.again);
        Ok(())
    }
}

fn main() -> Exit {
    Tally::main()
}
