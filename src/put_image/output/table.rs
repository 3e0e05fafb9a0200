//! Tables: sections framed by dashes, one inside the other.
//!
//! First a value becomes sections, then the sections are drawn; both follow the AWS CLI's `TableFormatter` and
//! `MultiTable` step by step, down to where they round and how they colour.

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthChar;

use super::super::{PutImageError, python};
use super::text::is_scalar;

/// Where a table is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableLook {
    /// The columns of the terminal.
    pub width: usize,
    /// Whether values and frames have colour.
    pub is_colored: bool,
}

impl Default for TableLook {
    fn default() -> Self {
        Self {
            width: 80,
            is_colored: false,
        }
    }
}

const BOLD_BLUE: &str = "\u{1b}[1m\u{1b}[34m";
const DIM_YELLOW: &str = "\u{1b}[2m\u{1b}[33m";
const RESET: &str = "\u{1b}[0m";

/// Room around each value.
const PADDING: usize = 4;

/// Prints a value as `--output table` does.
///
/// Fails if rows that belong together have different lengths.
pub(super) fn table(value: &Value, look: TableLook) -> Result<String, PutImageError> {
    let mut sections = Sections::default();
    sections.build(Some("PutImage"), value, 0)?;
    Ok(draw(sections.0, look))
}

#[derive(Debug, Default)]
struct Section {
    title: String,
    depth: usize,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    columns: Option<usize>,
    widths: Vec<usize>,
}

impl Section {
    fn set_header(&mut self, names: &[&str]) {
        self.header = names.iter().map(ToString::to_string).collect();
        self.columns.get_or_insert(names.len());
        let names = self.header.clone();
        self.widen(&names);
    }

    fn add_row(&mut self, row: Vec<String>) -> Result<(), PutImageError> {
        let expected = *self.columns.get_or_insert(row.len());
        if row.len() != expected {
            return Err(PutImageError::Other(format!(
                "Row should have {expected} elements, instead it has {}",
                row.len()
            )));
        }
        self.widen(&row);
        self.rows.push(row);
        Ok(())
    }

    fn widen(&mut self, row: &[String]) {
        self.widths.resize(self.widths.len().max(row.len()), 0);
        for (width, cell) in self.widths.iter_mut().zip(row) {
            *width = (*width).max(width_of(cell));
        }
    }

    /// The columns it takes, frames of the sections around it included.
    fn total_width(&self) -> usize {
        let edges = 2 + 2 * self.depth;
        let cells: usize = self.widths.iter().map(|width| width + PADDING).sum();
        edges + cells.max(width_of(&self.title))
    }

    /// The widths of its columns, stretched or shrunk so that they are `width` together.
    fn scaled_widths(&self, width: usize) -> Vec<usize> {
        let unscaled = || self.widths.iter().map(|width| to_f64(width + PADDING));
        let factor = to_f64(width) / unscaled().sum::<f64>();
        let mut scaled: Vec<usize> = unscaled()
            .map(|column| to_usize((factor * column).round_ties_even()))
            .collect();
        // What rounding left over goes from the first columns, what it took goes to the last.
        let columns = scaled.len();
        let sum: usize = scaled.iter().sum();
        for turn in 0..sum.abs_diff(width) {
            let position = turn % columns.max(1);
            if sum > width {
                scaled
                    .iter_mut()
                    .skip(position)
                    .take(1)
                    .for_each(|column| *column = column.saturating_sub(1));
            } else {
                scaled
                    .iter_mut()
                    .rev()
                    .skip(position)
                    .take(1)
                    .for_each(|column| *column += 1);
            }
        }
        scaled
    }

    /// A single row under a header, turned on its side.
    fn into_vertical(self) -> Self {
        let Some(row) = self
            .rows
            .first()
            .filter(|_| self.rows.len() == 1 && !self.header.is_empty())
        else {
            return self;
        };
        let rows: Vec<Vec<String>> = self
            .header
            .iter()
            .zip(row)
            .map(|(name, cell)| vec![name.clone(), cell.clone()])
            .collect();
        let mut vertical = Self {
            title: self.title,
            depth: self.depth,
            columns: Some(2),
            ..Self::default()
        };
        for row in &rows {
            vertical.widen(row);
        }
        vertical.rows = rows;
        vertical
    }
}

#[derive(Debug, Default)]
struct Sections(Vec<Section>);

impl Sections {
    fn begin(&mut self, title: Option<&str>, depth: usize) {
        self.0.push(Section {
            title: title.unwrap_or_default().to_owned(),
            depth,
            ..Section::default()
        });
    }

    fn add_row(&mut self, row: Vec<String>) -> Result<(), PutImageError> {
        self.0.last_mut().map_or(Ok(()), |section| section.add_row(row))
    }

    fn set_header(&mut self, names: &[&str]) {
        if let Some(section) = self.0.last_mut() {
            section.set_header(names);
        }
    }

    fn build(&mut self, title: Option<&str>, value: &Value, depth: usize) -> Result<(), PutImageError> {
        if !python::is_true(value) {
            return Ok(());
        }
        if title.is_some() {
            self.begin(title, depth);
        }
        match value {
            Value::Array(items) if items.first().is_some_and(Value::is_object) => {
                self.build_structures(items, title, depth)
            }
            Value::Array(items) => items.iter().try_for_each(|item| self.build_item(item)),
            Value::Object(members) => self.build_structure(members, depth),
            _ => Ok(()),
        }
    }

    fn build_item(&mut self, item: &Value) -> Result<(), PutImageError> {
        match item {
            Value::Array(cells) if cells.iter().all(is_scalar) => {
                self.add_row(cells.iter().map(python::text).collect())
            }
            Value::Array(_) => self.build(None, item, 0),
            // A structure among other things shows its names.
            Value::Object(members) => self.add_row(members.keys().cloned().collect()),
            scalar => self.add_row(vec![python::text(scalar)]),
        }
    }

    fn build_structure(&mut self, members: &Map<String, Value>, depth: usize) -> Result<(), PutImageError> {
        let (names, nested) = names_of([members]);
        let cell = |name: &&str| members.get(*name).map_or_else(String::new, python::text);
        if let [name] = names.as_slice() {
            self.add_row(vec![(*name).to_owned(), cell(name)])?;
        } else if !names.is_empty() {
            self.set_header(&names);
            self.add_row(names.iter().map(cell).collect())?;
        }
        for name in nested {
            if let Some(value) = members.get(name) {
                self.build(Some(name), value, depth + 1)?;
            }
        }
        Ok(())
    }

    fn build_structures(
        &mut self,
        items: &[Value],
        title: Option<&str>,
        depth: usize,
    ) -> Result<(), PutImageError> {
        let structures: Vec<&Map<String, Value>> = items.iter().filter_map(Value::as_object).collect();
        if structures.len() != items.len() {
            return Err(PutImageError::Other(
                "a list of structures and other things has no table".to_owned(),
            ));
        }
        let (names, nested) = names_of(structures.iter().copied());
        self.set_header(&names);
        for (position, members) in structures.into_iter().enumerate() {
            if position > 0 && !nested.is_empty() {
                self.begin(title, depth);
                self.set_header(&names);
            }
            let cell = |name: &&str| members.get(*name).map_or_else(String::new, python::text);
            self.add_row(names.iter().map(cell).collect())?;
            for name in &nested {
                if let Some(value) = members.get(*name) {
                    self.build(Some(name), value, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

/// The members that are scalars somewhere, and those that hold others somewhere; both sorted.
fn names_of<'a>(
    structures: impl IntoIterator<Item = &'a Map<String, Value>>,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut scalars, mut nested) = (Vec::new(), Vec::new());
    for (name, value) in structures.into_iter().flatten() {
        let names = if is_scalar(value) {
            &mut scalars
        } else {
            &mut nested
        };
        names.push(name.as_str());
    }
    for names in [&mut scalars, &mut nested] {
        names.sort_unstable();
        names.dedup();
    }
    (scalars, nested)
}

fn draw(mut sections: Vec<Section>, look: TableLook) -> String {
    let widest = |sections: &[Section]| sections.iter().map(Section::total_width).max();
    let Some(mut width) = widest(&sections) else {
        return String::new();
    };
    if width > look.width {
        sections = sections.into_iter().map(Section::into_vertical).collect();
        width = widest(&sections).unwrap_or(width);
    }
    let mut canvas = Canvas {
        out: String::new(),
        is_colored: look.is_colored,
    };
    canvas.write(&format!("{}\n", "-".repeat(width)));
    for section in &sections {
        canvas.draw(section, width - 2 * section.depth);
    }
    canvas.out
}

struct Canvas {
    out: String,
    is_colored: bool,
}

impl Canvas {
    /// The AWS CLI resets the colour after whatever it writes.
    fn write(&mut self, text: &str) {
        self.out.push_str(text);
        if self.is_colored {
            self.out.push_str(RESET);
        }
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.is_colored {
            format!("{style}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }

    fn line(&mut self, section: &Section, text: &str) {
        let frame = self.paint(DIM_YELLOW, "|").repeat(section.depth);
        for part in [&frame, text, &frame, "\n"] {
            self.write(part);
        }
    }

    fn draw(&mut self, section: &Section, width: usize) {
        if !section.title.is_empty() {
            self.line(section, &centered(&section.title, width, "|"));
            if section.header.is_empty() && section.rows.is_empty() {
                self.line(section, &format!("+{}+", "-".repeat(width.saturating_sub(2))));
            }
        }
        let widths = section.scaled_widths(width);
        if !section.header.is_empty() {
            let cells = widths.iter().zip(&section.header).enumerate();
            let cells = cells.map(|(column, (width, name))| centered(name, *width, left_edge(column)));
            let cells: String = cells.collect();
            self.line(section, &frame_line(&widths));
            self.line(section, &cells);
        }
        if section.rows.is_empty() || widths.is_empty() {
            return;
        }
        self.line(section, &frame_line(&widths));
        for row in &section.rows {
            let cells = widths.iter().zip(row).enumerate();
            let cells = cells.map(|(column, (width, cell))| {
                left_aligned(
                    &self.paint(BOLD_BLUE, cell),
                    width_of(cell),
                    *width,
                    left_edge(column),
                )
            });
            let cells: String = cells.collect();
            self.line(section, &cells);
        }
        self.line(section, &frame_line(&widths));
    }
}

fn left_edge(column: usize) -> &'static str {
    if column == 0 { "|" } else { "" }
}

/// `+-------+---------+`
fn frame_line(widths: &[usize]) -> String {
    let parts = widths.iter().enumerate().map(|(column, width)| {
        if column == 0 {
            format!("+{}+", "-".repeat(width.saturating_sub(2)))
        } else {
            format!("{}+", "-".repeat(width.saturating_sub(1)))
        }
    });
    parts.collect()
}

fn centered(text: &str, width: usize, left_edge: &str) -> String {
    let before = (width / 2).cast_signed() - (width_of(text) / 2).cast_signed() - 1;
    let used = left_edge.len().cast_signed() + before + width_of(text).cast_signed();
    let after = width.cast_signed() - 1 - used;
    format!("{left_edge}{}{text}{}|", spaces(before), spaces(after))
}

fn left_aligned(painted: &str, text_width: usize, width: usize, left_edge: &str) -> String {
    let edges = left_edge.len() + 1;
    let padding = if width >= text_width + 2 + edges { 2 } else { 0 };
    let after = width.cast_signed() - (edges + padding + text_width).cast_signed();
    format!("{left_edge}{}{painted}{}|", " ".repeat(padding), spaces(after))
}

fn spaces(count: isize) -> String {
    " ".repeat(usize::try_from(count).unwrap_or_default())
}

/// The columns a text takes; what East Asian fonts may draw wide counts as wide.
fn width_of(text: &str) -> usize {
    text.chars().map(|c| c.width_cjk().unwrap_or(1).max(1)).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a table is not that wide")]
fn to_f64(width: usize) -> f64 {
    width as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a width is not negative and not that wide"
)]
fn to_usize(width: f64) -> usize {
    width as usize
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(value: &Value) -> String {
        table(value, TableLook::default()).unwrap()
    }

    #[test]
    fn nothing_has_no_table_and_a_scalar_only_its_title() {
        assert_eq!(plain(&json!(null)), "");
        assert_eq!(plain(&json!([])), "");
        assert_eq!(plain(&json!("x")), "----------\n|PutImage|\n+--------+\n");
        assert_eq!(
            plain(&json!(["123456789012", "shop/api"])),
            "------------------\n|    PutImage    |\n+----------------+\n|  123456789012  |\n|  shop/api      \
             |\n+----------------+\n"
        );
    }

    #[test]
    fn sections_are_framed_and_a_wide_one_is_turned() {
        let digest = "sha256:0d88675f4f490addfd0ac4a541426de03ec26e6fbadf306d94f04ae192cb53ef";
        let id = json!({"imageDigest": digest, "imageTag": "sc2"});
        assert_eq!(
            plain(&id),
            format!(
                "{line}\n|{title:^90}|\n+{a}+{b}+\n|  imageDigest|  {digest}   |\n|  imageTag   |  sc2{space}|\n+{a}+{b}+\n",
                line = "-".repeat(92),
                title = "PutImage",
                a = "-".repeat(13),
                b = "-".repeat(76),
                space = " ".repeat(71),
            )
        );
        let nested = json!({"image": {"b": 1, "a": "x", "imageId": {"imageTag": "t"}}});
        insta::assert_snapshot!(plain(&nested), @r"
        -----------------------
        |      PutImage       |
        +---------------------+
        ||       image       ||
        |+--------+----------+|
        ||    a   |    b     ||
        |+--------+----------+|
        ||  x     |  1       ||
        |+--------+----------+|
        |||     imageId     |||
        ||+-----------+-----+||
        |||  imageTag |  t  |||
        ||+-----------+-----+||
        ");
    }

    #[test]
    fn colour_is_reset_after_every_write() {
        let look = TableLook {
            is_colored: true,
            ..TableLook::default()
        };
        let colored = table(&json!({"imageId": {"imageTag": "t"}}), look).unwrap();
        assert!(colored.starts_with("--------------------\u{1b}[0m") || colored.contains("\n\u{1b}[0m"));
        assert!(
            colored.contains("\u{1b}[2m\u{1b}[33m|\u{1b}[0m\u{1b}[0m|"),
            "{colored:?}"
        );
        assert!(colored.contains("\u{1b}[1m\u{1b}[34mt\u{1b}[0m"), "{colored:?}");
    }

    #[test]
    fn rows_must_fit_together() {
        let error = table(&json!([["a", "b"], ["c"]]), TableLook::default()).unwrap_err();
        assert_eq!(error.to_string(), "Row should have 2 elements, instead it has 1");
    }
}
