//! JSON Schemas that users give: compiled once, offline and with bounded regular expressions.

use anser_core::Problem;
use anser_core::limits::SCHEMA_BYTES_MAX;
use serde_json::Value;

/// Steps that one regular expression of a schema may go back before the value counts as not matching.
const REGEX_BACKTRACK_MAX: usize = 100_000;

/// Compiles a schema; `field` is its path in what the user wrote. References to other documents are refused.
///
/// # Errors
/// `invalid_schema`.
pub(crate) fn compile_schema(
    field: &str,
    schema: &Value,
) -> Result<jsonschema::Validator, Problem> {
    if !schema.is_object() {
        return Err(Problem::invalid(
            "invalid_schema",
            field,
            "must be a JSON Schema as an object",
        ));
    }
    let bytes = schema.to_string().len();
    if bytes > SCHEMA_BYTES_MAX {
        return Err(Problem::invalid(
            "invalid_schema",
            field,
            format!("may have at most {SCHEMA_BYTES_MAX} bytes, has {bytes}"),
        ));
    }
    jsonschema::options()
        .offline()
        .with_pattern_options(
            jsonschema::PatternOptions::fancy_regex().backtrack_limit(REGEX_BACKTRACK_MAX),
        )
        .build(schema)
        .map_err(|error| {
            Problem::invalid(
                "invalid_schema",
                field,
                format!(
                    "is no valid JSON Schema: {error}. References to other documents are not followed: put them under $defs"
                ),
            )
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_schemas_and_refuses_what_is_none() {
        let schema = json!({"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}},
            "$defs": {"n": {"type": "integer"}}});
        let validator = compile_schema("schema", &schema).unwrap();
        assert!(validator.is_valid(&json!({"n": 1})));
        assert!(!validator.is_valid(&json!({"n": "1"})));
        for bad in [
            json!({"type": 3}),
            json!([]),
            json!(true),
            json!({"$ref": "https://schemas.example/x.json"}),
            json!({"$ref": "file:///etc/passwd"}),
            json!({"properties": {"x": {"$ref": "other.json"}}}),
            json!({"pattern": "("}),
            json!({"description": "x".repeat(SCHEMA_BYTES_MAX)}),
        ] {
            let problem = compile_schema("schema", &bad).unwrap_err();
            assert_eq!(
                (problem.code, problem.field.as_deref()),
                ("invalid_schema", Some("schema"))
            );
        }
    }
}
