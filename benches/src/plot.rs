//! Plots of the outcomes, as SVG.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::case::{Outcome, Unit};

const WIDTH: u32 = 900;
const BAR: u32 = 34;
const NAMES: i32 = 330;
const TOP: u32 = 60;
const INK: RGBColor = RGBColor(40, 40, 40);
const OURS: RGBColor = RGBColor(200, 80, 40);
const THEIRS: RGBColor = RGBColor(120, 140, 160);

/// One file for each case: bars, on a logarithmic scale.
pub fn draw(outcomes: &[Outcome], folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    for outcome in outcomes {
        bars(outcome, &folder.join(format!("{}.svg", outcome.id)))?;
    }
    Ok(())
}

fn bars(outcome: &Outcome, path: &Path) -> Result<(), Box<dyn Error>> {
    let rows: Vec<(&str, f64)> =
        outcome.rows.iter().filter_map(|row| row.median.map(|median| (row.name.as_str(), median))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let area = SVGBackend::new(path, (WIDTH, TOP + BAR * rows.len() as u32 + 10)).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: u32| TextStyle::from(("sans-serif", size).into_font()).color(&INK);
    let better = match outcome.unit {
        Unit::ItemsPerSecond => "items per second: longer is better",
        Unit::Nanoseconds => "time: shorter is better",
        Unit::Millionths => "millionths of a processor: shorter is better",
    };
    area.draw_text(&outcome.title, &text(18), (12, 10))?;
    area.draw_text(&format!("{better}; logarithmic"), &text(13), (12, 34))?;
    let (least, most) = rows.iter().fold((f64::MAX, 0f64), |(least, most), row| (least.min(row.1), most.max(row.1)));
    // The shortest bar is still one that can be seen.
    let from = least.log10().floor() - 0.3;
    let room = f64::from(WIDTH as i32 - NAMES - 110);
    for (n, (name, median)) in rows.iter().enumerate() {
        let y = (TOP + BAR * n as u32) as i32;
        let length = ((median.log10() - from) / (most.log10() - from) * room) as i32;
        let colour = if name.starts_with("Brigade") || name.ends_with("items") || name.starts_with("capacity") {
            OURS
        } else {
            THEIRS
        };
        area.draw_text(name, &text(14), (12, y + 7))?;
        area.draw(&Rectangle::new([(NAMES, y + 4), (NAMES + length, y + BAR as i32 - 6)], colour.filled()))?;
        area.draw_text(&number(*median, outcome.unit), &text(13), (NAMES + length + 8, y + 8))?;
    }
    Ok(area.present()?)
}

/// In words that fit beside a bar.
fn number(number: f64, unit: Unit) -> String {
    let (value, name) = match (unit, number) {
        (Unit::Nanoseconds, _) if number >= 1e6 => (number / 1e6, " ms"),
        (Unit::Nanoseconds, _) if number >= 1e3 => (number / 1e3, " µs"),
        (Unit::Nanoseconds, _) => (number, " ns"),
        (_, _) if number >= 1e6 => (number / 1e6, " M"),
        (_, _) if number >= 1e3 => (number / 1e3, " k"),
        (_, _) => (number, ""),
    };
    format!("{value:.1}{name}")
}
