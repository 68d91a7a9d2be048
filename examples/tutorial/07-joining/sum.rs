//! Fan-in: results of both kinds come from one queue. It ends when all that send to it have ended.

use brigade_worker::{Context, Exit, Output, Result, Worker};

/// The sums are shared counters, which are changed once for each item: they outlive the process.
struct Sum;

impl Worker for Sum {
    type Item = (u32, u64);
    type Output = ();

    fn build(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn handle(&mut self, (exponent, power): (u32, u64), out: &mut Output<()>) -> Result {
        let sum = if exponent == 2 { "squares" } else { "cubes" };
        Ok(out.counter(sum).add(i64::try_from(power)?)?)
    }

    fn finish(&mut self, out: &mut Output<()>) -> Result {
        let ctx = out.ctx();
        println!("squares: {}, cubes: {}", ctx.counter("squares").get()?, ctx.counter("cubes").get()?);
        Ok(())
    }
}

fn main() -> Exit {
    Sum::main()
}
