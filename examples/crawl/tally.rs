//! The last stage of crawl: counts the pages.

use brigade_examples::crawl::Page;
use brigade_worker::{Context, Exit, Output, Result, SharedMap, Worker};

struct Tally {
    /// How often each page came. In the manager, so that the next incarnation of this worker still has it.
    pages: SharedMap<Page, i64>,
}

impl Worker for Tally {
    type Item = Page;
    type Output = ();

    fn build(ctx: &Context) -> Result<Self> {
        Ok(Self { pages: ctx.map("pages") })
    }

    fn handle(&mut self, page: Page, out: &mut Output<()>) -> Result {
        // By the output, so that an item which is delivered again after a kill is counted once.
        Ok(out.map::<Page, i64>("pages").add(&page, 1)?)
    }

    fn finish(&mut self, _: &mut Output<()>) -> Result {
        let times: i64 = self.pages.iter()?.map(|(_, times)| times).sum();
        let pages = i64::try_from(self.pages.len()?)?;
        println!("{pages} pages, {} of them came again", times - pages);
        Ok(())
    }
}

fn main() -> Exit {
    Tally::main()
}
