//! Fan-in: results of both kinds come from one queue. It ends when all that send to it have ended.

use brigade_worker::{Context, Exit, Output, Result, Worker};

struct Sum {
    squares: u64,
    cubes: u64,
}

impl Worker for Sum {
    type Item = (u32, u64);
    type Output = ();

    fn build(_: &Context) -> Result<Self> {
        Ok(Self { squares: 0, cubes: 0 })
    }

    fn handle(&mut self, (exponent, power): (u32, u64), _: &mut Output<()>) -> Result {
        match exponent {
            2 => self.squares += power,
            _ => self.cubes += power,
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Output<()>) -> Result {
        println!("squares: {}, cubes: {}", self.squares, self.cubes);
        Ok(())
    }
}

fn main() -> Exit {
    Sum::main()
}
