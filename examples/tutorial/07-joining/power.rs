//! One program for two stages: its argument says which power it takes.

use brigade_worker::{Exit, Misconfigured, Output, run};

fn power(number: u32, out: &mut Output<(u32, u64)>) -> brigade_worker::Result {
    let exponent: u32 = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Misconfigured::new("usage: tutorial-07-power EXPONENT"))?;
    out.send((exponent, u64::from(number).pow(exponent)))?;
    Ok(())
}

fn main() -> Exit {
    run(power)
}
