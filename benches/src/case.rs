//! A case: contestants that do the same, measured in turn.

use std::io;

/// One way to do it. A run gives items per second.
pub struct Contestant {
    /// For the table.
    pub name: &'static str,
    /// Measures once.
    pub run: Box<dyn Fn() -> io::Result<f64>>,
}

/// What is compared.
pub struct Case {
    /// For the table.
    pub name: &'static str,
    /// The first is what the others are compared with.
    pub contestants: Vec<Contestant>,
}

impl Case {
    /// Measures all contestants round by round, and prints the table. False if one of them failed.
    pub fn measure(&self, rounds: usize) -> bool {
        let mut rates: Vec<Vec<f64>> = vec![Vec::new(); self.contestants.len()];
        let mut fine = true;
        for _ in 0..rounds {
            for (contestant, rates) in self.contestants.iter().zip(&mut rates) {
                match (contestant.run)() {
                    Ok(rate) => rates.push(rate),
                    Err(error) => {
                        eprintln!("{}: {error}", contestant.name);
                        fine = false;
                    }
                }
            }
        }
        println!("{}, {rounds} rounds\n", self.name);
        println!("{:<42} {:>14} {:>14} {:>14} {:>8}", "", "items/s", "least", "most", "ratio");
        let first = median(&mut rates[0]);
        for (contestant, rates) in self.contestants.iter().zip(&mut rates) {
            let middle = median(rates);
            let (least, most) = (rates.first().copied().unwrap_or(f64::NAN), rates.last().copied().unwrap_or(f64::NAN));
            println!("{:<42} {middle:>14.0} {least:>14.0} {most:>14.0} {:>8.2}", contestant.name, first / middle);
        }
        println!("\nratio: how many times the first is faster");
        fine
    }
}

/// Sorts, and gives the one in the middle; no number if there is none.
fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}
