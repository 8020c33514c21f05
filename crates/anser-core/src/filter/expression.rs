//! CEL expressions of filters: compiled once, bounded so that neither compiling nor evaluating can exhaust the stack or
//! take more time than the expression's size times the message's size.
//!
//! Two guards. Before parsing, counts over the text bound nesting and chains, since the parser, the evaluator and even
//! dropping the syntax tree recurse (a chain of 2,000 `+1` overflows a stack of 2 MiB). After parsing, a walk of the
//! tree bounds what costs time: macros over lists, additions and regular expressions.

use std::sync::{Arc, LazyLock};

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, operators,
};
use cel::{Context, Env, Program, Value};

use crate::limits::{
    CEL_ADDITIONS_MAX, CEL_BRACKETS_MAX, CEL_BYTES_MAX, CEL_COMPREHENSIONS_MAX,
    CEL_CONDITIONALS_MAX, CEL_MACRO_NODES_MAX, CEL_OPERATORS_MAX, CEL_REGEX_BYTES_MAX,
    CEL_REGEX_COMPILED_BYTES_MAX, CEL_REGEXES_MAX,
};
use crate::message::Message;
use crate::problem::Problem;

/// The standard functions: building them costs more than most evaluations.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Expression(Program);

impl Expression {
    /// Compiles an expression; `field` is its path.
    pub(super) fn compile(field: &str, source: &str) -> Result<Self, Problem> {
        let refuse = |detail: String| {
            Problem::invalid("invalid_cel", field, detail)
                .accepted("header.type == 'order.paid' && data.amount > 100")
        };
        if source.is_empty() || source.len() > CEL_BYTES_MAX {
            return Err(refuse(format!(
                "a CEL expression has 1 to {CEL_BYTES_MAX} bytes, this one has {}",
                source.len()
            )));
        }
        check_shape(source).map_err(refuse)?;
        let program = ENVIRONMENT
            .compile(source)
            .map_err(|errors| refuse(format!("is no CEL expression: {}", first_line(&errors))))?;
        Cost::default()
            .visit(program.expression(), None)
            .map_err(refuse)?;
        Ok(Self(program))
    }

    /// Whether it yields `true` on `message`; an error or another value is no match.
    pub(super) fn matches(&self, message: &Message) -> bool {
        let Some((header, data)) = variables(message) else {
            return false;
        };
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.add_variable_from_value("header", header);
        context.add_variable_from_value("data", data);
        matches!(self.0.execute(&context), Ok(Value::Bool(true)))
    }
}

/// The parser's first message without its position and picture.
fn first_line(errors: &cel::ParseErrors) -> String {
    let text = errors.to_string();
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or("syntax error")
        .trim_start_matches("ERROR: <input>:")
        .to_owned()
}

/// `header` and `data` as CEL values; `None` for data that CEL has no value for (a number past the doubles).
fn variables(message: &Message) -> Option<(Value, Value)> {
    let header = serde_json::to_value(&message.header).ok()?;
    let data = match message.body.data() {
        Some(raw) => serde_json::from_str(raw.get()).ok()?,
        None => serde_json::Value::Null,
    };
    Some((value(header), value(data)))
}

/// JSON numbers without a fraction are CEL integers, so that `data.amount > 100` compares as written.
fn value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(value)) => Value::UInt(value),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(value) => Value::String(Arc::new(value)),
        serde_json::Value::Array(items) => {
            Value::List(Arc::new(items.into_iter().map(value).collect()))
        }
        serde_json::Value::Object(members) => {
            let map: std::collections::HashMap<String, Value> = members
                .into_iter()
                .map(|(name, member)| (name, value(member)))
                .collect();
            Value::Map(map.into())
        }
    }
}

/// Bounds the depth of the tree by counts over the text. String literals are not told from code, so nothing gets through
/// by way of quoting; the price is that brackets inside a text count too.
fn check_shape(source: &str) -> Result<(), String> {
    let count = |wanted: &[u8]| source.bytes().filter(|byte| wanted.contains(byte)).count();
    let operators = count(b".+-*/%<>=!") + source.matches("in").count();
    for (what, most, actual) in [
        ("opening brackets", CEL_BRACKETS_MAX, count(b"([{")),
        ("conditionals (?:)", CEL_CONDITIONALS_MAX, count(b"?")),
        ("operators and members", CEL_OPERATORS_MAX, operators),
    ] {
        if actual > most {
            return Err(format!("may have at most {most} {what}, has {actual}"));
        }
    }
    Ok(())
}

/// What an expression may cost at most, counted over its tree.
#[derive(Default)]
struct Cost {
    macros: usize,
    nodes_in_macro: usize,
    additions: usize,
    regexes: usize,
}

/// The names that may be used where a tree is visited; `None` outside macros: any.
type Names<'a> = Option<&'a [&'a str]>;

impl Cost {
    fn visit(&mut self, node: &IdedExpr, names: Names<'_>) -> Result<(), String> {
        if names.is_some() {
            self.nodes_in_macro += 1;
            at_most(
                "parts inside a macro",
                CEL_MACRO_NODES_MAX,
                self.nodes_in_macro,
            )?;
        }
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            // With other names the cost would be the square of the message's size: `data.all(x, x in data)`.
            Expr::Ident(name) if names.is_some_and(|names| !names.contains(&name.as_str())) => {
                Err(format!(
                    "inside all, exists, exists_one, map and filter only their own variable may be used, not {name}"
                ))
            }
            Expr::Ident(_) => Ok(()),
            Expr::Select(select) => self.visit(&select.operand, names),
            Expr::Call(call) => self.call(call, names),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, names),
            Expr::List(list) => {
                // One member is what the macro `map` itself adds to its result.
                let constant = list.elements.iter().all(is_literal);
                if names.is_some() && list.elements.len() > 1 && !constant {
                    return Err("lists inside a macro may have constants only".to_owned());
                }
                list.elements
                    .iter()
                    .try_for_each(|element| self.visit(element, names))
            }
            Expr::Map(map) => self.entries(&map.entries, names),
            Expr::Struct(record) => self.entries(&record.entries, names),
        }
    }

    fn entries(&mut self, entries: &[IdedEntryExpr], names: Names<'_>) -> Result<(), String> {
        if names.is_some() {
            return Err("maps cannot be made inside a macro".to_owned());
        }
        entries.iter().try_for_each(|entry| match &entry.expr {
            EntryExpr::StructField(field) => self.visit(&field.value, names),
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key, names)?;
                self.visit(&entry.value, names)
            }
        })
    }

    fn call(&mut self, call: &CallExpr, names: Names<'_>) -> Result<(), String> {
        match call.func_name.as_str() {
            // Each copies what it joins.
            operators::ADD => {
                self.additions += 1;
                at_most("additions", CEL_ADDITIONS_MAX, self.additions)?;
            }
            "matches" => {
                if names.is_some() {
                    return Err("matches cannot be used inside a macro".to_owned());
                }
                self.regexes += 1;
                at_most("calls of matches", CEL_REGEXES_MAX, self.regexes)?;
                check_regex(call.args.last())?;
            }
            _ => {}
        }
        call.target
            .iter()
            .map(|target| &**target)
            .chain(&call.args)
            .try_for_each(|part| self.visit(part, names))
    }

    fn comprehension(&mut self, of: &ComprehensionExpr, names: Names<'_>) -> Result<(), String> {
        self.macros += 1;
        at_most(
            "uses of all, exists, exists_one, map and filter",
            CEL_COMPREHENSIONS_MAX,
            self.macros,
        )?;
        if names.is_none() {
            self.nodes_in_macro = 0;
        }
        // The range is found once, outside the loop: it may use what its surroundings may.
        self.visit(&of.iter_range, names)?;
        let own = [
            of.accu_var.as_str(),
            of.iter_var.as_str(),
            of.iter_var2.as_deref().unwrap_or(&of.iter_var),
        ];
        self.visit(&of.loop_cond, Some(&own))?;
        self.visit(&of.loop_step, Some(&own))?;
        self.visit(&of.result, Some(&own))
    }
}

fn at_most(what: &str, most: usize, actual: usize) -> Result<(), String> {
    if actual > most {
        return Err(format!("may have at most {most} {what}"));
    }
    Ok(())
}

fn is_literal(node: &IdedExpr) -> bool {
    matches!(node.expr, Expr::Literal(_))
}

/// The evaluator compiles a pattern on every message, so it must be constant and small: `(\w{30}){30}` takes 100 ms.
fn check_regex(pattern: Option<&IdedExpr>) -> Result<(), String> {
    let Some(Expr::Literal(LiteralValue::String(pattern))) = pattern.map(|node| &node.expr) else {
        return Err("the pattern of matches must be a text, not computed".to_owned());
    };
    let pattern = pattern.inner();
    if pattern.len() > CEL_REGEX_BYTES_MAX {
        return Err(format!(
            "the pattern of matches may have at most {CEL_REGEX_BYTES_MAX} bytes"
        ));
    }
    regex::RegexBuilder::new(pattern)
        .size_limit(CEL_REGEX_COMPILED_BYTES_MAX)
        .build()
        .map(|_| ())
        .map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            format!(
                "the pattern of matches is no regular expression: {}",
                reason.trim_start_matches("error: ")
            )
        })
}
