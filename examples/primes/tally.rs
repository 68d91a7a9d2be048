//! The last stage of primes: keeps what was found in each range, and at the end sums it up.

use brigade_examples::primes::Findings;
use brigade_worker::{Context, Exit, Output, Result, SharedMap, Worker};

struct Tally {
    /// By the number at which a range begins: should a range come twice, it takes its own place again. And in the
    /// manager rather than here, so that the next incarnation of this worker still has what this one was given.
    by_range: SharedMap<u64, Findings>,
}

impl Worker for Tally {
    type Item = (u64, Findings);
    type Output = ();

    fn build(ctx: &Context) -> Result<Self> {
        Ok(Self { by_range: ctx.map("findings") })
    }

    fn handle(&mut self, (from, findings): (u64, Findings), _: &mut Output<()>) -> Result {
        self.by_range.insert(&from, &findings)?;
        Ok(())
    }

    fn finish(&mut self, _: &mut Output<()>) -> Result {
        let mut all = Findings::default();
        for (_, findings) in self.by_range.iter()? {
            all.numbers += findings.numbers;
            all.primes += findings.primes;
            all.largest = all.largest.max(findings.largest);
            all.factors += findings.factors;
        }
        let Findings { numbers, primes, largest, factors } = all;
        println!("{numbers} numbers, {primes} primes, the largest is {largest}; {factors} prime factors in all");
        Ok(())
    }
}

fn main() -> Exit {
    Tally::main()
}
