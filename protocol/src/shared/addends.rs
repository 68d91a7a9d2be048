//! Additions to one number, in their order, with equal neighbours counted together. Applied, they come to exactly what the
//! additions come to one by one: a sum that does not fit into 64 bits is refused, and the next addition is tried.

use serde::{Deserialize, Serialize};

/// The most bytes that a run takes in its encoding.
const RUN_BYTES: usize = 18;

/// Additions to one number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addends {
    /// A number, and how many times in a row it is added.
    runs: Vec<(i64, u64)>,
}

impl Addends {
    /// The addition of one number.
    pub fn one(number: i64) -> Self {
        Self { runs: vec![(number, 1)] }
    }

    /// Adds a number behind the others. Gives how many more bytes they take in their encoding at most.
    pub fn push(&mut self, number: i64) -> usize {
        match self.runs.last_mut() {
            Some((last, times)) if *last == number && *times < u64::MAX => {
                *times += 1;
                0
            }
            Some(_) | None => {
                self.runs.push((number, 1));
                RUN_BYTES
            }
        }
    }

    /// The most bytes that they take in their encoding.
    pub fn bytes(&self) -> usize {
        self.runs.len() * RUN_BYTES
    }

    /// How many additions they are; `u64::MAX` if there are more than that.
    pub fn count(&self) -> u64 {
        self.runs.iter().fold(0, |sum, (_, times)| sum.saturating_add(*times))
    }

    /// The number that they make of this one, and how many of them were refused because a sum did not fit.
    pub fn applied(&self, mut to: i64) -> (i64, u64) {
        let mut refused = 0u64;
        for (number, times) in &self.runs {
            // Mostly all of them fit: what comes between lies between the first and the last sum.
            let all = i64::try_from(*times).ok().and_then(|times| number.checked_mul(times));
            if let Some(sum) = all.and_then(|all| to.checked_add(all)) {
                to = sum;
                continue;
            }
            // So many of them fit; after the first that does not fit none of the same run does.
            let fit = fitting(to, *number).min(*times);
            // Between `to` and the limit that it moves to, as `fitting` says.
            to = (i128::from(to) + i128::from(*number) * i128::from(fit)) as i64;
            refused = refused.saturating_add(times - fit);
        }
        (to, refused)
    }
}

/// How many times in a row a number can be added to another one.
fn fitting(to: i64, number: i64) -> u64 {
    match number {
        0 => u64::MAX,
        1.. => to.abs_diff(i64::MAX) / number.unsigned_abs(),
        ..0 => to.abs_diff(i64::MIN) / number.unsigned_abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: [i64; 11] =
        [0, 1, -1, 2, -7, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1, i64::MAX / 2, i64::MIN / 2];

    fn one_by_one(addends: &[i64], mut to: i64) -> (i64, u64) {
        let mut refused = 0;
        for number in addends {
            match to.checked_add(*number) {
                Some(sum) => to = sum,
                None => refused += 1,
            }
        }
        (to, refused)
    }

    #[test]
    fn they_come_to_what_single_additions_come_to() {
        for first in NUMBERS {
            for second in NUMBERS {
                for third in NUMBERS {
                    let all = [first, first, second, second, second, third, first];
                    let mut addends = Addends::default();
                    all.iter().for_each(|number| _ = addends.push(*number));
                    assert_eq!(addends.count(), all.len() as u64);
                    for to in NUMBERS {
                        assert_eq!(addends.applied(to), one_by_one(&all, to), "{all:?} to {to}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_run_of_any_length_is_applied_at_once() {
        let huge = Addends { runs: vec![(1, u64::MAX), (-1, u64::MAX)] };
        let (above, below) = (u64::MAX - i64::MAX as u64, 0);
        assert_eq!(huge.applied(0), (i64::MIN, above.saturating_add(below)));
        assert_eq!(huge.count(), u64::MAX);
    }
}
