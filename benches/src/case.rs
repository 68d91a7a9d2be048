//! A case: contestants that do the same, measured in turn.

use std::io;

use serde::Serialize;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// More is better.
    ItemsPerSecond,
    /// Less is better.
    Nanoseconds,
    /// Of one processor, in millionths; less is better.
    Millionths,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::ItemsPerSecond => "items/s",
            Self::Nanoseconds => "ns",
            Self::Millionths => "10⁻⁶ of a core",
        }
    }
}

/// Measures once; the second number, if there is one, is the time that 99 of 100 do not exceed.
type Measure = Box<dyn Fn() -> io::Result<(f64, Option<f64>)>>;

/// One way to do it.
pub struct Contestant {
    name: String,
    run: Result<Measure, &'static str>,
}

impl Contestant {
    /// Gives a number.
    pub fn new(name: impl Into<String>, run: impl Fn() -> io::Result<f64> + 'static) -> Self {
        Self { name: name.into(), run: Ok(Box::new(move || Ok((run()?, None)))) }
    }

    /// Gives the time that half of them, and that 99 of 100, do not exceed.
    pub fn times(name: impl Into<String>, run: impl Fn() -> io::Result<(f64, f64)> + 'static) -> Self {
        Self { name: name.into(), run: Ok(Box::new(move || run().map(|(half, most)| (half, Some(most))))) }
    }

    /// Is not here; `how` brings it.
    #[cfg_attr(
        all(feature = "zmq", feature = "iceoryx2", feature = "redis"),
        expect(dead_code, reason = "all are here")
    )]
    pub fn missing(name: impl Into<String>, how: &'static str) -> Self {
        Self { name: name.into(), run: Err(how) }
    }
}

/// What is compared.
pub struct Case {
    /// To choose it by.
    pub id: String,
    /// For the table.
    pub title: String,
    /// Of all its numbers.
    pub unit: Unit,
    /// The first is what the others are compared with.
    pub contestants: Vec<Contestant>,
}

/// What a contestant has reached.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The contestant.
    pub name: String,
    /// The one in the middle, the least and the most of all rounds; none if it was not there.
    pub median: Option<f64>,
    /// See `median`.
    pub least: Option<f64>,
    /// See `median`.
    pub most: Option<f64>,
    /// Of round trips: the median of what 99 of 100 did not exceed.
    pub p99: Option<f64>,
    /// Why it is missing.
    pub missing: Option<String>,
}

/// What came of a case.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Of the case.
    pub id: String,
    /// Of the case.
    pub title: String,
    /// Of the case.
    pub unit: Unit,
    /// How often all was measured.
    pub rounds: usize,
    /// In the order of the contestants.
    pub rows: Vec<Row>,
}

impl Case {
    /// Measures all contestants round by round.
    pub fn measure(&self, rounds: usize) -> Outcome {
        let mut rows: Vec<Measured> = self.contestants.iter().map(|it| Measured::new(&it.name)).collect();
        for _ in 0..rounds {
            for (contestant, measured) in self.contestants.iter().zip(&mut rows) {
                match &contestant.run {
                    Ok(_) if measured.fault.is_some() => {}
                    Ok(run) => match run() {
                        Ok((number, most)) => {
                            measured.numbers.push(number);
                            measured.most.extend(most);
                        }
                        Err(error) => measured.fault = Some(error.to_string()),
                    },
                    Err(how) => measured.fault = Some((*how).to_owned()),
                }
            }
        }
        let rows = rows.into_iter().map(Measured::row).collect();
        Outcome { id: self.id.clone(), title: self.title.clone(), unit: self.unit, rounds, rows }
    }
}

/// What was measured so far of one contestant.
struct Measured {
    name: String,
    numbers: Vec<f64>,
    most: Vec<f64>,
    fault: Option<String>,
}

impl Measured {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), numbers: Vec::new(), most: Vec::new(), fault: None }
    }

    fn row(mut self) -> Row {
        self.numbers.sort_by(f64::total_cmp);
        self.most.sort_by(f64::total_cmp);
        let middle = |numbers: &[f64]| numbers.get(numbers.len() / 2).copied();
        Row {
            name: self.name,
            median: middle(&self.numbers),
            least: self.numbers.first().copied(),
            most: self.numbers.last().copied(),
            p99: middle(&self.most),
            missing: self.fault,
        }
    }
}

impl Outcome {
    /// How much better the contestant of one name is than that of another: above 1 is better, whatever the unit.
    pub fn ratio(&self, name: &str, other: &str) -> Option<f64> {
        let median = |name: &str| self.rows.iter().find(|row| row.name == name).and_then(|row| row.median);
        let (mine, theirs) = (median(name)?, median(other)?);
        Some(match self.unit {
            Unit::ItemsPerSecond => mine / theirs,
            Unit::Nanoseconds | Unit::Millionths => theirs / mine,
        })
    }

    /// Whether something could not be measured that is here.
    pub fn print(&self) {
        println!("\n{} ({}), {} rounds\n", self.title, self.id, self.rounds);
        let (unit, p99) = (self.unit.name(), self.rows.iter().any(|row| row.p99.is_some()));
        let last = if p99 { format!(" {:>12}", "99 %") } else { String::new() };
        println!("{:<44} {unit:>14} {:>14} {:>14} {:>8}{last}", "", "least", "most", "ratio");
        let first = self.rows.first().map_or("", |row| &row.name);
        for row in &self.rows {
            match (row.median, row.least, row.most) {
                (Some(median), Some(least), Some(most)) => {
                    let ratio = self.ratio(first, &row.name).unwrap_or(f64::NAN);
                    let last = row.p99.map(|time| format!(" {time:>12.0}")).unwrap_or_default();
                    println!("{:<44} {median:>14.0} {least:>14.0} {most:>14.0} {ratio:>8.2}{last}", row.name);
                }
                _ => println!("{:<44} {}", row.name, row.missing.as_deref().unwrap_or("not measured")),
            }
        }
    }
}
