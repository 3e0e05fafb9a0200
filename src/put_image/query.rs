//! `--query`: JMESPath.

use serde_json::Value;

use super::PutImageError;

/// A JMESPath expression.
pub struct Query(jpx_core::Expression<'static>);

impl Query {
    /// Reads an expression.
    ///
    /// Fails, before anything is sent, if it is not JMESPath.
    pub fn compile(text: &str) -> Result<Self, PutImageError> {
        jpx_core::compile(text)
            .map(Self)
            .map_err(|error| PutImageError::Usage(format!("Bad value for --query {text}: {error}")))
    }

    /// What the expression picks from an answer.
    ///
    /// Fails for a function that does not exist or does not take what it is given: only then is that known.
    pub fn pick(&self, answer: &Value) -> Result<Value, PutImageError> {
        self.0
            .search(answer)
            .map_err(|error| PutImageError::Other(error.to_string()))
    }
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Query").field(&self.0.as_str()).finish()
    }
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
