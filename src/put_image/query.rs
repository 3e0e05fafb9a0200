//! `--query`: JMESPath.

use jpx_core::functions::Function;
use jpx_core::{Context, Runtime, SearchResult};
use serde_json::Value;

use super::PutImageError;

/// A JMESPath expression.
#[derive(Debug)]
pub struct Query {
    text: String,
}

impl Query {
    /// Reads an expression.
    ///
    /// Fails, before anything is sent, if it is not JMESPath.
    pub fn compile(text: &str) -> Result<Self, PutImageError> {
        match jpx_core::compile(text) {
            Ok(_) => Ok(Self {
                text: text.to_owned(),
            }),
            Err(error) => Err(PutImageError::Usage(format!(
                "Bad value for --query {text}: {error}"
            ))),
        }
    }

    /// What the expression picks from an answer.
    ///
    /// Fails for a function that does not exist or does not take what it is given: only then is that known.
    pub fn pick(&self, answer: &Value) -> Result<Value, PutImageError> {
        let runtime = runtime();
        let picked = runtime.compile(&self.text).and_then(|query| query.search(answer));
        picked.map_err(|error| PutImageError::Other(error.to_string()))
    }
}

/// The functions of JMESPath, with Python's numbers: the library gives floats where Python gives integers.
fn runtime() -> Runtime {
    let mut runtime = Runtime::new();
    runtime.register_builtin_functions();
    for (name, is_always_whole) in [("abs", false), ("sum", false), ("ceil", true), ("floor", true)] {
        if let Some(function) = runtime.deregister_function(name) {
            let whole = Whole {
                function,
                is_always_whole,
            };
            runtime.register_function(name, Box::new(whole));
        }
    }
    runtime
}

/// A function of numbers that gives an integer: for integers only, or always.
struct Whole {
    function: Box<dyn Function>,
    is_always_whole: bool,
}

impl Function for Whole {
    fn evaluate(&self, args: &[Value], context: &mut Context<'_>) -> SearchResult {
        let result = self.function.evaluate(args, context)?;
        let is_whole = self.is_always_whole || args.iter().all(holds_integers);
        Ok(to_integer(&result).filter(|_| is_whole).unwrap_or(result))
    }
}

fn holds_integers(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(holds_integers),
        other => other.is_i64() || other.is_u64(),
    }
}

fn to_integer(value: &Value) -> Option<Value> {
    let text = format!("{:.0}", value.as_f64()?);
    text.parse::<i64>().ok().map(Value::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_keep_the_order_of_the_expression_and_integers_stay_integers() {
        let answer = json!({"b": {"z": 1, "a": "x"}, "n": [3, 1, 2]});
        for (query, expected) in [
            ("b", r#"{"z":1,"a":"x"}"#),
            ("{y: b.a, x: b.z}", r#"{"y":"x","x":1}"#),
            ("keys(b)", r#"["z","a"]"#),
            ("sort(n)", "[1,2,3]"),
            ("length(n)", "3"),
            ("sum(n)", "6"),
            ("sum([`1.5`, `1.5`])", "3.0"),
            ("abs(`-1.5`)", "1.5"),
            ("max(n)", "3"),
            ("avg(n)", "2.0"),
            ("to_number('12')", "12"),
            ("abs(`-1`)", "1"),
            ("ceil(`1.5`)", "2"),
            ("floor(`1.5`)", "1"),
            ("nothing", "null"),
            ("`1`", "1"),
        ] {
            let picked = Query::compile(query).unwrap().pick(&answer).unwrap();
            assert_eq!(picked.to_string(), expected, "{query}");
        }
    }

    #[test]
    fn mistakes_are_told_apart() {
        assert!(matches!(Query::compile("["), Err(PutImageError::Usage(_))));
        let unfit = Query::compile("abs(@)").unwrap().pick(&json!("x"));
        assert!(matches!(unfit, Err(PutImageError::Other(_))));
    }
}
