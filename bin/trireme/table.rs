//! All tables that commands print: how wide they may be, and what gives way where they are wider.
//!
//! On a terminal a table fits its width: `COLUMNS` where that is set, else what the terminal says. First columns of free
//! text are shortened, the widest first, down to [`TEXT_WIDTH_MIN`]. Where that is not enough, columns are left out in
//! their own order, and are named by whoever prints the table. What names a row and how it stands is never left out. Lists
//! of a name and a value have their values broken into lines instead. Elsewhere than on a terminal nothing is cut, ever.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Width};
use terminal_size::terminal_size_of;
use trireme::domain::bad_input::one_line;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Free text is not shortened below this: what is left would tell nothing.
const TEXT_WIDTH_MIN: usize = 10;
/// Every cell has a space on either side; the last one's is trimmed.
const PADDING: usize = 2;
/// In a list of names and values a value has this much room, however narrow the terminal is.
const VALUE_WIDTH_MIN: usize = 20;

/// One column, and how it gives way.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    is_text: bool,
    /// The lowest goes first; none is never left out.
    left_out: Option<u8>,
}

impl Column {
    /// Shown whole, or not at all.
    pub const fn new(title: &'static str) -> Self {
        Self { title, is_text: false, left_out: None }
    }

    /// Free text: may be shortened.
    pub const fn text(title: &'static str) -> Self {
        Self { title, is_text: true, left_out: None }
    }

    /// May be left out, as the `order`th.
    pub const fn left_out(self, order: u8) -> Self {
        Self { left_out: Some(order), ..self }
    }
}

/// Rows of cells below titles, or of a name and its value each.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    is_list: bool,
    rows: Vec<Vec<String>>,
}

/// A table as it is printed.
#[derive(Debug, PartialEq, Eq)]
pub struct Fitted {
    pub text: String,
    /// The columns that had no room.
    pub left_out: Vec<&'static str>,
}

impl Table {
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), is_list: false, rows: Vec::new() }
    }

    /// Of a name and a value a row, without titles.
    pub fn list() -> Self {
        Self { columns: vec![Column::new(""), Column::text("")], is_list: true, rows: Vec::new() }
    }

    /// A row with a cell for each column: any text, which is made visible and put in one line.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.columns.len(), "a cell for each column");
        self.rows.push(cells.iter().map(|cell| one_line(cell)).collect());
    }

    /// As it is printed where lines have `width` columns; whole where that is none.
    pub fn fit(&self, width: Option<usize>) -> Fitted {
        match width {
            Some(width) if self.is_list => Fitted { text: self.broken(width), left_out: Vec::new() },
            Some(width) => self.shortened(width),
            None => {
                let all: Vec<(usize, usize)> = (0..self.columns.len()).map(|at| (at, usize::MAX)).collect();
                Fitted { text: self.print(&all), left_out: Vec::new() }
            }
        }
    }

    /// A list whose values go on in the next line.
    fn broken(&self, width: usize) -> String {
        let names = self.rows.iter().filter_map(|row| row.first()).map(|name| name.width()).max().unwrap_or(0);
        let room = width.saturating_sub(names + PADDING + 1).max(VALUE_WIDTH_MIN);
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        // The library counts the padding as part of a column.
        table.set_width(fixed(names + room + 2 * PADDING));
        table.add_rows(&self.rows);
        for (at, width) in [names + PADDING, room + PADDING].into_iter().enumerate() {
            if let Some(column) = table.column_mut(at) {
                column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(fixed(width))));
            }
        }
        table.trim_fmt()
    }

    fn shortened(&self, width: usize) -> Fitted {
        let natural: Vec<usize> = (0..self.columns.len()).map(|at| self.width(at)).collect();
        let mut shown: BTreeSet<usize> = (0..self.columns.len()).collect();
        let at_least = |at: usize| match self.columns[at].is_text {
            true => natural[at].min(TEXT_WIDTH_MIN),
            false => natural[at],
        };
        while total(shown.iter().map(|at| at_least(*at))) > width {
            // A column that says nothing goes before any that does.
            let next = |at: &&usize| (!self.is_empty(**at), self.columns[**at].left_out);
            let may_go = shown.iter().filter(|at| self.columns[**at].left_out.is_some());
            let Some(next) = may_go.min_by_key(next).copied() else { break };
            shown.remove(&next);
        }
        let mut widths: Vec<(usize, usize)> = shown.iter().map(|at| (*at, natural[*at])).collect();
        while total(widths.iter().map(|(_, width)| *width)) > width {
            let can_shrink = |(at, width): &&mut (usize, usize)| *width > at_least(*at);
            let Some((_, widest)) = widths.iter_mut().filter(can_shrink).max_by_key(|(_, width)| *width) else { break };
            *widest -= 1;
        }
        let left_out = |at: &usize| !shown.contains(at) && !self.is_empty(*at);
        let left_out = (0..self.columns.len()).filter(left_out).map(|at| self.columns[at].title).collect();
        Fitted { text: self.print(&widths), left_out }
    }

    /// Of a column as it is.
    fn width(&self, at: usize) -> usize {
        self.cells(at).map(UnicodeWidthStr::width).max().unwrap_or(0).max(self.columns[at].title.width())
    }

    fn is_empty(&self, at: usize) -> bool {
        self.cells(at).all(str::is_empty)
    }

    fn cells(&self, at: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().filter_map(move |row| row.get(at)).map(String::as_str)
    }

    /// These columns, none wider than is said beside it.
    fn print(&self, columns: &[(usize, usize)]) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING);
        if !self.is_list {
            table.set_header(columns.iter().map(|(at, width)| shorten(self.columns[*at].title, *width)));
        }
        for row in &self.rows {
            table.add_row(columns.iter().filter_map(|(at, width)| Some(shorten(row.get(*at)?, *width))));
        }
        table.trim_fmt()
    }
}

/// How wide a line of these cells is.
fn total(widths: impl Iterator<Item = usize>) -> usize {
    widths.map(|width| width + PADDING).sum::<usize>().saturating_sub(1)
}

fn fixed(width: usize) -> u16 {
    u16::try_from(width).unwrap_or(u16::MAX)
}

/// Text of at most so many columns; no character is cut in two.
fn shorten(text: &str, width: usize) -> String {
    // The quick way for most, and the only one for what is not to be cut.
    if text.len() <= width || text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut room = width.saturating_sub(1);
    for character in text.graphemes(true) {
        match room.checked_sub(character.width()) {
            Some(rest) => room = rest,
            None => break,
        }
        short.push_str(character);
    }
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// How many columns a line has there; none where it is no terminal, or one that does not know.
pub fn columns_of(stream: impl AsFd + std::io::IsTerminal) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let set =
        std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok()).filter(|columns| *columns > 0);
    set.or_else(|| terminal_size_of(stream).map(|(width, _)| usize::from(width.0)))
}

#[cfg(test)]
mod tests;
