//! A process as a type with state and a `run` method.

use brigade_worker::{Context, Exit, Misconfigured, Output, Result, Source};

struct Greeter {
    name: String,
}

impl Source for Greeter {
    type Output = (); // It sends nothing.

    fn build(_: &Context) -> Result<Self> {
        let name = std::env::args().nth(1).ok_or_else(|| Misconfigured::new("whom shall I greet?"))?;
        Ok(Self { name })
    }

    fn run(&mut self, out: &mut Output<()>) -> Result {
        println!("hello {}, I am {} with pid {}", self.name, out.ctx().worker(), std::process::id());
        Ok(())
    }
}

fn main() -> Exit {
    Greeter::main()
}
