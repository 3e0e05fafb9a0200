//! Text: a line for each list or structure, tabs between values, members sorted by name.

use serde_json::{Map, Value};

use super::super::{PutImageError, python};

/// Prints a value as `--output text` does.
///
/// Fails for a list of structures and other things, as the AWS CLI does.
pub(super) fn text(value: &Value) -> Result<String, PutImageError> {
    let mut out = String::new();
    write(value, None, None, &mut out)?;
    Ok(out)
}

fn write(
    value: &Value,
    name: Option<&str>,
    columns: Option<&[&str]>,
    out: &mut String,
) -> Result<(), PutImageError> {
    match value {
        Value::Object(members) => return write_object(members, name, columns, out),
        Value::Array(items) => return write_list(items, name, out),
        scalar => write_line(&[python::text(scalar)], out),
    }
    Ok(())
}

fn write_line(cells: &[String], out: &mut String) {
    out.push_str(&cells.join("\t"));
    out.push('\n');
}

fn write_list(items: &[Value], name: Option<&str>, out: &mut String) -> Result<(), PutImageError> {
    if items.iter().any(Value::is_object) {
        let columns = scalar_names(items)?;
        return items
            .iter()
            .try_for_each(|item| write(item, name, Some(&columns), out));
    }
    let (lists, scalars): (Vec<&Value>, Vec<&Value>) = items.iter().partition(|item| item.is_array());
    if !scalars.is_empty() {
        write_scalars(&scalars, name, out);
    }
    lists
        .into_iter()
        .try_for_each(|list| write(list, name, None, out))
}

fn write_scalars(scalars: &[&Value], name: Option<&str>, out: &mut String) {
    let texts = scalars.iter().map(|scalar| python::text(scalar));
    match name {
        Some(name) => texts.for_each(|text| write_line(&[name.to_uppercase(), text], out)),
        None => write_line(&texts.collect::<Vec<_>>(), out),
    }
}

fn write_object(
    members: &Map<String, Value>,
    name: Option<&str>,
    columns: Option<&[&str]>,
    out: &mut String,
) -> Result<(), PutImageError> {
    let mut sorted: Vec<(&str, &Value)> = members
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    sorted.sort_by_key(|(name, _)| *name);
    let mut cells: Vec<String> = match columns {
        // In a list of structures all have the same columns, present or not.
        Some(columns) => columns
            .iter()
            .map(|column| members.get(*column).map_or_else(String::new, python::text))
            .collect(),
        None => sorted
            .iter()
            .filter(|(_, value)| is_scalar(value))
            .map(|(_, value)| python::text(value))
            .collect(),
    };
    if !cells.is_empty() {
        if let Some(name) = name {
            cells.insert(0, name.to_uppercase());
        }
        write_line(&cells, out);
    }
    let is_printed = |name: &str, value: &Value| match columns {
        Some(columns) => columns.contains(&name),
        None => is_scalar(value),
    };
    let mut others = sorted
        .into_iter()
        .filter(|(name, value)| !is_printed(name, value));
    others.try_for_each(|(name, value)| write(value, Some(name), None, out))
}

/// The members that are a scalar in any of these structures, sorted.
fn scalar_names(items: &[Value]) -> Result<Vec<&str>, PutImageError> {
    let mut names = Vec::new();
    for item in items {
        let Value::Object(members) = item else {
            let class = python::class(item);
            return Err(PutImageError::Other(format!(
                "'{class}' object has no attribute 'items'"
            )));
        };
        let scalars = members.iter().filter(|(_, value)| is_scalar(value));
        names.extend(scalars.map(|(name, _)| name.as_str()));
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

pub(super) fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_reads_as_the_aws_cli_prints_it() {
        for (value, expected) in [
            (json!(null), "None\n"),
            (json!([]), ""),
            (json!({}), ""),
            (json!(["a", 1, true]), "a\t1\tTrue\n"),
            (
                json!({"image": {"b": "2", "a": "1", "id": {"t": "x"}}}),
                "IMAGE\t1\t2\nID\tx\n",
            ),
            (
                json!([{"b": "2"}, {"a": "1", "n": ["x", "y"]}]),
                "\t2\n1\t\nN\tx\nN\ty\n",
            ),
            (json!([["a", "b"], ["c"]]), "a\tb\nc\n"),
            (json!(["s", ["a"]]), "s\na\n"),
        ] {
            assert_eq!(text(&value).unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn structures_and_other_things_do_not_mix() {
        let error = text(&json!(["x", {"a": 1}])).unwrap_err();
        assert_eq!(error.to_string(), "'str' object has no attribute 'items'");
    }
}
