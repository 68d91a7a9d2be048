//! The mean of all values. The sums are a checkpoint, which is committed together with the items that they are made of: the
//! next process of this worker goes on with them.

use brigade_worker::{Context, Exit, Output, Result, Worker};

struct Mean {
    /// Sum and number of the values so far; `None` before the first one of this process.
    so_far: Option<(f64, u32)>,
}

impl Mean {
    fn so_far(&self, out: &mut Output<f64>) -> Result<(f64, u32)> {
        match self.so_far {
            Some(so_far) => Ok(so_far),
            None => Ok(out.restore()?.unwrap_or((0.0, 0))),
        }
    }
}

impl Worker for Mean {
    type Item = f64;
    type Output = f64;

    fn build(_ctx: &Context) -> Result<Self> {
        Ok(Self { so_far: None })
    }

    fn handle(&mut self, value: f64, out: &mut Output<f64>) -> Result {
        let (sum, count) = self.so_far(out)?;
        let so_far = (sum + value, count + 1);
        out.checkpoint(&so_far)?;
        self.so_far = Some(so_far); // Last: a handler that fails has added nothing.
        Ok(())
    }

    fn finish(&mut self, out: &mut Output<f64>) -> Result {
        let (sum, count) = self.so_far(out)?;
        Ok(out.send(sum / f64::from(count))?)
    }
}

fn main() -> Exit {
    Mean::main()
}
