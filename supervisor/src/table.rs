//! Rows whose columns stand under each other, for people. Without it, every command that shows numbers would count
//! blanks by itself, and wrongly for names that are not ASCII.

use crate::logs::escape;

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// What a text looks like on a terminal with colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tint {
    /// As it is.
    Plain,
    /// Less important.
    Dim,
    /// More important.
    Bold,
    /// As it should be.
    Good,
    /// On its way, or to be looked at.
    Warn,
    /// Wrong.
    Bad,
}

impl Tint {
    /// The tint of a state's name, of a worker, a stage or a pipeline.
    pub fn of_state(state: &str) -> Self {
        match state {
            "ready" | "running" | "complete" => Self::Good,
            "starting" | "draining" | "stopping" | "backoff" | "paused" => Self::Warn,
            "failed" | "interrupted" => Self::Bad,
            _ => Self::Plain,
        }
    }

    /// The text in this tint, if there are colours.
    pub fn paint(self, text: &str, colour: bool) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Dim => 2,
            Self::Bold => 1,
            Self::Good => 32,
            Self::Warn => 33,
            Self::Bad => 31,
        };
        if colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// One text in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tint: Tint,
}

impl Cell {
    /// With this text, in which control characters are spelt out.
    pub fn new(text: impl AsRef<str>) -> Self {
        let mut text = escape::terminal(text.as_ref()).into_owned();
        if text.contains('\t') {
            text = text.replace('\t', " ");
        }
        Self { text, tint: Tint::Plain }
    }

    /// The text, safe to show.
    pub fn into_text(self) -> String {
        self.text
    }

    /// In this tint.
    #[must_use]
    pub fn tint(self, tint: Tint) -> Self {
        Self { tint, ..self }
    }

    /// In this tint if `when`.
    #[must_use]
    pub fn tint_if(self, when: bool, tint: Tint) -> Self {
        if when { self.tint(tint) } else { self }
    }
}

/// The rows, the first of which is the heading.
#[derive(Clone, Debug)]
pub struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<Cell>>,
    /// The first column is at least as wide as this, so that two tables can stand under each other.
    first: usize,
}

impl Table {
    /// Without rows, with a heading.
    pub fn new(columns: &[(&str, Side)]) -> Self {
        let heading = columns.iter().map(|(name, _)| Cell::new(name).tint(Tint::Dim)).collect();
        Self { sides: columns.iter().map(|(_, side)| *side).collect(), rows: vec![heading], first: 0 }
    }

    /// Adds a row; cells beyond the last column are left out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().take(self.sides.len()).collect());
    }

    /// How wide the first column is.
    pub fn first_width(&self) -> usize {
        self.column_width(0)
    }

    /// Makes the first column at least this wide.
    pub fn widen_first(&mut self, width: usize) {
        self.first = width;
    }

    /// As lines, each at most `max` columns wide (what is cut ends in `…`), two blanks between columns, none at the end.
    pub fn lines(&self, colour: bool, max: usize) -> Vec<String> {
        let widths: Vec<usize> = (0..self.sides.len()).map(|column| self.column_width(column)).collect();
        self.rows.iter().map(|row| self.line(row, &widths, colour, max)).collect()
    }

    /// As text that ends in a line end, however wide.
    pub fn text(&self, colour: bool) -> String {
        self.lines(colour, usize::MAX).join("\n") + "\n"
    }

    fn column_width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| width(&cell.text)).max().unwrap_or(0).max(if column == 0 { self.first } else { 0 })
    }

    fn line(&self, row: &[Cell], widths: &[usize], colour: bool, max: usize) -> String {
        let mut line = String::new();
        // Blanks are written once something follows them; `at` counts them already.
        let (mut blanks, mut at) = (0, 0);
        for (column, cell) in row.iter().enumerate() {
            let free = widths[column].saturating_sub(width(&cell.text));
            let (before, after) = if self.sides[column] == Side::Left { (0, free) } else { (free, 0) };
            blanks += before;
            at += before;
            if !cell.text.is_empty() {
                let Some(room) = max.checked_sub(at + 1).map(|room| room + 1) else { break };
                line.push_str(&" ".repeat(blanks));
                blanks = 0;
                line.push_str(&cell.tint.paint(&cut(&cell.text, room), colour));
                if width(&cell.text) > room {
                    break;
                }
            }
            at += width(&cell.text) + after + 2;
            blanks += after + 2;
        }
        line
    }
}

/// The text, or as much of it as fits into `room` columns, with `…` at the end.
pub fn cut(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let (mut out, mut used) = (String::new(), 1);
    for character in text.chars() {
        used += columns(character);
        if used > room {
            break;
        }
        out.push(character);
    }
    out + if room > 0 { "…" } else { "" }
}

/// Columns that a text takes on a terminal.
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(columns).sum() }
}

/// Columns of one character: none for the common combining marks, two for East Asian and pictorial ones. A rough table
/// of blocks: the worst that an error does here is a column that stands one place off.
fn columns(character: char) -> usize {
    match u32::from(character) {
        0x0300..=0x036f | 0x200b..=0x200f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("name", Side::Left), ("sent", Side::Right), ("why", Side::Left)]);
        table.row([Cell::new("日本"), Cell::new("20,000"), Cell::new("")]);
        table.row([Cell::new("e\u{301}té"), Cell::new("7").tint(Tint::Bad), Cell::new("so")]);
        table
    }

    #[test]
    fn columns_stand_under_each_other_whatever_the_script() {
        assert_eq!(table().lines(false, 80), ["name    sent  why", "日本  20,000", "e\u{301}té        7  so"]);
    }

    #[test]
    fn a_first_column_can_be_as_wide_as_that_of_another_table() {
        let mut table = table();
        table.widen_first(6);
        assert_eq!((table.first_width(), &*table.lines(false, 80)[0]), (6, "name      sent  why"));
    }

    #[test]
    fn colour_changes_no_width() {
        let lines = table().lines(true, 80);
        assert_eq!(lines[2], "e\u{301}té        \x1b[31m7\x1b[0m  so");
        assert_eq!(lines[0], "\x1b[2mname\x1b[0m    \x1b[2msent\x1b[0m  \x1b[2mwhy\x1b[0m");
    }

    #[test]
    fn lines_are_cut_to_the_terminal() {
        for max in 0..20 {
            for line in table().lines(false, max) {
                assert!(width(&line) <= max, "{max}: {line:?}");
            }
        }
        assert_eq!(table().lines(false, 9), ["name    …", "日本  20…", "e\u{301}té"]);
        assert_eq!([0, 1, 3, 4].map(|room| cut("日本", room)), ["", "…", "日…", "日本"]);
    }

    #[test]
    fn a_cell_cannot_move_the_cursor() {
        assert_eq!(Cell::new("a\x1b[2J\nb\tc").text, "a\\x1b[2J\\nb c");
    }
}
