//! The first stage of primes: cuts the numbers into pieces that are worth an item each.

use brigade_examples::primes::Range;
use brigade_worker::{Exit, Misconfigured, Output, source};

fn cut(out: &mut Output<Range>) -> brigade_worker::Result {
    let (below, piece) = (argument(1)?, argument(2)?);
    let mut from = 1;
    while from < below && !out.ctx().stop_requested() {
        let to = below.min(from.saturating_add(piece));
        out.send(Range { from, to })?;
        from = to;
    }
    Ok(())
}

fn argument(place: usize) -> Result<u64, Misconfigured> {
    let number = std::env::args().nth(place).and_then(|text| text.parse().ok());
    number.filter(|number| *number > 0).ok_or_else(|| Misconfigured::new("usage: prime-ranges BELOW NUMBERS_PER_PIECE"))
}

fn main() -> Exit {
    source(cut)
}
