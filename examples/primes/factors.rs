//! The second stage of primes: factors every number of a range. Nothing but work for the processor.

use brigade_examples::primes::{Findings, Range};
use brigade_worker::{Exit, Output, Refusal, run};

fn factor(range: Range, out: &mut Output<(u64, Findings)>) -> brigade_worker::Result {
    let mut findings = Findings::default();
    for number in range.from..range.to {
        if number % 1024 == 0 && out.ctx().stop_requested() {
            return Err(Refusal::Stopped.into()); // The range goes back, for the next run.
        }
        let factors = factors(number);
        findings.numbers += 1;
        findings.factors += u64::from(factors);
        if factors == 1 {
            findings.primes += 1;
            findings.largest = number;
        }
    }
    out.send((range.from, findings))?;
    Ok(())
}

/// How many prime factors a number has: 12 = 2·2·3 has three, 1 has none.
fn factors(mut number: u64) -> u32 {
    let (mut count, mut divisor) = (0, 2);
    while divisor * divisor <= number {
        while number.is_multiple_of(divisor) {
            number /= divisor;
            count += 1;
        }
        divisor += if divisor == 2 { 1 } else { 2 };
    }
    count + u32::from(number > 1)
}

fn main() -> Exit {
    run(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_counted_as_often_as_they_divide() {
        let counts: Vec<u32> = (1..=12).map(factors).collect();
        assert_eq!(counts, [0, 1, 1, 2, 1, 2, 1, 3, 2, 2, 1, 3]);
    }
}
