//! The template language of the settings: minijinja without includes, imports and macros, with fuel, and with values
//! written as their place wants it. Everything is compiled when a channel is opened. Must not show a secret in an error.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use anser_core::Problem;
use minijinja::syntax::SyntaxConfig;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, HtmlEscape, Output, State, UndefinedBehavior, Value,
};
use percent_encoding::utf8_percent_encode;

use super::filters;
use super::place::{Place, UNRESERVED, json, text};
use super::scope::Scope;
use super::variables::Variables;

/// Work of one template or expression: an instruction, or 64 bytes that are made, cost one. A message of the greatest
/// size goes through a dozen filters with it, and no template runs for longer than some tens of milliseconds.
const FUEL: u64 = 500_000;
/// Work of a trial, of which there are many when a channel is opened.
const TRIAL_FUEL: u64 = 5_000;
/// Nested statements.
const RECURSION_MAX: usize = 100;
/// Bytes of one template.
const TEMPLATE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one expression.
const EXPRESSION_BYTES_MAX: usize = 2 * 1024;
/// The one template of its environment.
const NAME: &str = "template";
/// What begins a part of a template that is no plain text.
const OPENERS: [&str; 3] = ["{{", "{%", "{#"];

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_debug(false);
    engine.set_fuel(Some(FUEL));
    engine.set_recursion_limit(RECURSION_MAX);
    // What is not defined can be asked for, but not written.
    engine.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    engine.set_formatter(write);
    engine.set_syntax(
        SyntaxConfig::builder()
            .keep_trailing_newline(true)
            .build()
            .expect("the usual delimiters are valid"),
    );
    // It prints every variable, secrets too.
    engine.remove_global("debug");
    filters::add(&mut engine);
    engine
});

/// Tries out what is compiled, where nothing is defined yet.
static TRIAL: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = ENGINE.clone();
    engine.set_fuel(Some(TRIAL_FUEL));
    engine.set_undefined_behavior(UndefinedBehavior::Chainable);
    engine
});

/// Writes a value as its place wants it.
fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let place = Place::current(state);
    if value.is_safe() {
        return Ok(out.write_str(&text(value)?)?);
    }
    match place {
        Place::Plain => out.write_str(&text(value)?)?,
        Place::Url if value.is_none() => {
            let detail = "is none, and a URL without it would be another one";
            return Err(Error::new(ErrorKind::InvalidOperation, detail));
        }
        Place::Url | Place::Form => {
            write!(out, "{}", utf8_percent_encode(&text(value)?, UNRESERVED))?;
        }
        Place::Json => out.write_str(&json(value)?.to_string())?,
        Place::Markup => write!(out, "{}", HtmlEscape(&text(value)?))?,
    }
    Ok(())
}

/// A compiled template.
pub(super) struct Template {
    field: String,
    source: String,
    engine: Environment<'static>,
    /// The variables it names.
    pub(super) uses: BTreeSet<String>,
}

impl Template {
    /// Compiles the template of a setting.
    ///
    /// # Errors
    /// `too_long`; `invalid_template` with line and column; `unknown_variable`; `unknown_secret`.
    pub(super) fn compile(
        field: &str,
        place: Place,
        source: &str,
        scope: &Scope<'_>,
    ) -> Result<Self, Problem> {
        check_length(field, source, TEMPLATE_BYTES_MAX)?;
        let mut engine = ENGINE.clone();
        engine.set_auto_escape_callback(move |_| AutoEscape::Custom(place.name().into()));
        let refuse = |error| refusal(field, source, &error);
        engine
            .add_template_owned(NAME, source.to_owned())
            .map_err(refuse)?;
        let template = engine.get_template(NAME).map_err(refuse)?;
        let uses: BTreeSet<String> = template.undeclared_variables(false).into_iter().collect();
        scope.check(field, &uses, template.undeclared_variables(true))?;
        for sample in scope.samples() {
            let tried = TRIAL.render_str(source, sample);
            if let Some(error) = tried.err().filter(names_nothing) {
                return Err(refusal(field, source, &error));
            }
        }
        Ok(Self {
            field: field.to_owned(),
            source: source.to_owned(),
            engine,
            uses,
        })
    }

    /// The text for these variables.
    ///
    /// # Errors
    /// `template_failed`, with line and column.
    pub(super) fn render(&self, variables: &Variables<'_>) -> Result<String, Problem> {
        let template = self.engine.get_template(NAME);
        let rendered = template.and_then(|template| template.render(variables.root.clone()));
        rendered.map_err(|error| failure(&self.field, &self.source, &error, variables))
    }
}

/// A compiled expression.
pub(super) struct Expression {
    field: String,
    source: String,
    compiled: minijinja::Expression<'static, 'static>,
    /// The variables it names.
    pub(super) uses: BTreeSet<String>,
}

impl Expression {
    /// Compiles the expression of a setting.
    ///
    /// # Errors
    /// As [`Template::compile`].
    pub(super) fn compile(field: &str, source: &str, scope: &Scope<'_>) -> Result<Self, Problem> {
        check_length(field, source, EXPRESSION_BYTES_MAX)?;
        let compiled = ENGINE
            .compile_expression_owned(source.to_owned())
            .map_err(|error| refusal(field, source, &error))?;
        let uses: BTreeSet<String> = compiled.undeclared_variables(false).into_iter().collect();
        scope.check(field, &uses, compiled.undeclared_variables(true))?;
        let trial = TRIAL
            .compile_expression(source)
            .map_err(|error| refusal(field, source, &error))?;
        for sample in scope.samples() {
            if let Some(error) = trial.eval(sample).err().filter(names_nothing) {
                return Err(refusal(field, source, &error));
            }
        }
        Ok(Self {
            field: field.to_owned(),
            source: source.to_owned(),
            compiled,
            uses,
        })
    }

    /// The value for these variables, which may be one that is not defined.
    ///
    /// # Errors
    /// `template_failed`, with line and column.
    pub(super) fn value(&self, variables: &Variables<'_>) -> Result<Value, Problem> {
        self.compiled
            .eval(variables.root.clone())
            .map_err(|error| failure(&self.field, &self.source, &error, variables))
    }

    /// Whether it is true. It is not when it compares something that is not defined: in the order of the engine, that
    /// would be less than any number.
    ///
    /// # Errors
    /// `template_failed`, with line and column.
    pub(super) fn holds(&self, variables: &Variables<'_>) -> Result<bool, Problem> {
        match self.compiled.eval(variables.root.clone()) {
            Ok(value) => Ok(value.is_true()),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Ok(false),
            Err(error) => Err(failure(&self.field, &self.source, &error, variables)),
        }
    }

    /// The value as a template would write it: one that is not defined is an error.
    ///
    /// # Errors
    /// `template_failed`.
    pub(super) fn defined(&self, variables: &Variables<'_>) -> Result<Value, Problem> {
        let value = self.value(variables)?;
        if value.is_undefined() {
            let name = self.source.trim();
            let detail = format!(
                "the message has no {name}; write {name} | default(…) for messages without it"
            );
            return Err(Problem::invalid("template_failed", &self.field, detail));
        }
        Ok(value)
    }

    /// Does to the value what may fail, with the same error as the expression itself.
    ///
    /// # Errors
    /// `template_failed`.
    pub(super) fn converted<T>(
        &self,
        variables: &Variables<'_>,
        convert: impl FnOnce(&Value) -> Result<T, Error>,
    ) -> Result<T, Problem> {
        let value = self.defined(variables)?;
        convert(&value).map_err(|error| failure(&self.field, &self.source, &error, variables))
    }
}

/// Whether there is anything but plain text in it.
pub(super) fn is_template(source: &str) -> bool {
    opener(source).is_some()
}

/// Where the first part that is no plain text begins.
pub(super) fn opener(source: &str) -> Option<usize> {
    OPENERS
        .iter()
        .filter_map(|opener| source.find(opener))
        .min()
}

/// The expression of a template that is `{{ expression }}` and nothing else.
pub(super) fn sole_expression(source: &str) -> Option<&str> {
    let inner = source.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    // The marks of whitespace control.
    if inner.starts_with(['-', '+']) || inner.ends_with(['-', '+']) {
        return None;
    }
    // Two expressions with text between them are none together.
    ENGINE.compile_expression(inner).ok().map(|_| inner)
}

/// The expression at the start of a template that begins with `{{`, and what follows it.
pub(super) fn first_expression(source: &str) -> Option<(&str, &str)> {
    let inner = source.strip_prefix("{{")?;
    inner.match_indices("}}").find_map(|(end, _)| {
        let expression = inner[..end].trim_matches(['-', '+']);
        let compiled = ENGINE.compile_expression(expression);
        compiled.ok().map(|_| (expression, &inner[end + 2..]))
    })
}

fn check_length(field: &str, source: &str, most: usize) -> Result<(), Problem> {
    if source.len() <= most {
        return Ok(());
    }
    let detail = format!("may have at most {most} bytes, has {}", source.len());
    Err(Problem::invalid("too_long", field, detail))
}

/// Whether it names a filter, a test or a function that there is not: these are found when they are called only.
fn names_nothing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction
    )
}

fn refusal(field: &str, source: &str, error: &Error) -> Problem {
    let detail = format!("{}{}", at(source, error), why(error));
    Problem::invalid("invalid_template", field, detail)
}

fn failure(field: &str, source: &str, error: &Error, variables: &Variables<'_>) -> Problem {
    let mut detail = format!("{}{}", at(source, error), why(error));
    let named = error.range().and_then(|range| source.get(range));
    let is_path = |text: &&str| {
        text.len() <= 64
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.[]".contains(&byte))
    };
    if let Some(named) = named.filter(is_path) {
        let _ = write!(detail, " ({named})");
    }
    Problem::invalid(
        "template_failed",
        field,
        variables.secrets.redacted(&detail),
    )
}

fn why(error: &Error) -> Cow<'_, str> {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => Cow::Borrowed("takes too much work; make it simpler"),
        (_, Some(detail)) => Cow::Borrowed(detail),
        (kind, None) => kind.to_string().into(),
    }
}

/// Where in the source, as a prefix for the reason.
fn at(source: &str, error: &Error) -> String {
    let before = error.range().and_then(|range| source.get(..range.start));
    match before {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
            format!("line {line}, column {column}: ")
        }
        None => error
            .line()
            .map_or_else(String::new, |line| format!("line {line}: ")),
    }
}
