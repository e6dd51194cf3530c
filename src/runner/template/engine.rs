//! The one template engine, with the templates that are compiled in and the filters that keep what a client
//! wrote from becoming code: `py` and `sql` quote, `comment` and `md` take the sting out of prose.
//!
//! Rendering is bounded: [`FUEL`] in steps, [`OUTPUT_BYTES_MAX`] in output. An undefined name is an error.

use std::io;
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;

use super::entity::bad;
use crate::wire::Failure;

/// Steps of the engine for one rendering: some seconds of work, and a hundred times what the largest of the
/// shipped templates takes for a hundred fields.
const FUEL: u64 = 20_000_000;
/// More than this can not travel anyway.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// The length of a comment's line.
const COMMENT_CHARS_MAX: usize = 100;

/// The templates that ship, by name.
const TEMPLATES: [(&str, &str); 23] = [
    ("api/openapi.json", include_str!("../../../templates/api/openapi.json.j2")),
    ("code/deployment.py", include_str!("../../../templates/code/deployment.py.j2")),
    ("code/detail.py", include_str!("../../../templates/code/detail.py.j2")),
    ("code/gateway.py", include_str!("../../../templates/code/gateway.py.j2")),
    ("code/listing.py", include_str!("../../../templates/code/listing.py.j2")),
    ("code/login.py", include_str!("../../../templates/code/login.py.j2")),
    ("code/model.py", include_str!("../../../templates/code/model.py.j2")),
    ("code/pages.py", include_str!("../../../templates/code/pages.py.j2")),
    ("code/password_reset.py", include_str!("../../../templates/code/password_reset.py.j2")),
    ("code/registration.py", include_str!("../../../templates/code/registration.py.j2")),
    ("code/repository.py", include_str!("../../../templates/code/repository.py.j2")),
    ("code/test_deployment.py", include_str!("../../../templates/code/test_deployment.py.j2")),
    ("code/test_detail.py", include_str!("../../../templates/code/test_detail.py.j2")),
    ("code/test_gateway.py", include_str!("../../../templates/code/test_gateway.py.j2")),
    ("code/test_listing.py", include_str!("../../../templates/code/test_listing.py.j2")),
    ("code/test_login.py", include_str!("../../../templates/code/test_login.py.j2")),
    ("code/test_pages.py", include_str!("../../../templates/code/test_pages.py.j2")),
    ("code/test_password_reset.py", include_str!("../../../templates/code/test_password_reset.py.j2")),
    ("code/test_registration.py", include_str!("../../../templates/code/test_registration.py.j2")),
    ("code/test_repository.py", include_str!("../../../templates/code/test_repository.py.j2")),
    ("database/schema.sql", include_str!("../../../templates/database/schema.sql.j2")),
    ("report/analysis.md", include_str!("../../../templates/report/analysis.md.j2")),
    ("report/report.md", include_str!("../../../templates/report/report.md.j2")),
];

static SHIPPED: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = environment();
    for (name, source) in TEMPLATES {
        // A test renders every one of them.
        environment.add_template(name, source).expect("a template that ships is well-formed");
    }
    environment
});

/// Renders one of the shipped templates.
pub(super) fn render(name: &str, context: impl Serialize) -> Result<String, Failure> {
    rendered(&SHIPPED, name, context)
}

/// Renders a template of an environment's own.
pub(super) fn rendered(environment: &Environment<'_>, name: &str, context: impl Serialize) -> Result<String, Failure> {
    let mut output = Bounded(Vec::new());
    let template = environment.get_template(name).map_err(|error| bad(explain(&error)))?;
    let context = minijinja::Value::from(Serde(context));
    template.render_captured_to(context, &mut output).map_err(|error| bad(explain(&error)))?;
    String::from_utf8(output.0).map_err(|_| bad(format!("template `{name}` wrote what is no UTF-8")))
}

/// What was wrong, on one line, with the place in the template.
pub(super) fn explain(error: &Error) -> String {
    match error.kind() {
        ErrorKind::OutOfFuel => format!("template `{}` does not end", error.name().unwrap_or("?")),
        ErrorKind::WriteFailure => format!("a template wrote more than {OUTPUT_BYTES_MAX} bytes"),
        _ => format!("template: {error}"),
    }
}

/// An engine with our rules and filters, and no templates yet.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.expect("the default delimiters differ from each other"));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.add_filter("py", |value: minijinja::Value| -> Result<String, Error> {
        let value = serde_json::to_value(&value)
            .map_err(|error| Error::new(ErrorKind::BadSerialization, "no literal").with_source(error))?;
        Ok(python_literal(&value))
    });
    environment.add_filter("sql", |name: String| format!("\"{}\"", name.replace('"', "\"\"")));
    environment.add_filter("comment", |text: String, prefix: String| comment(&text, &prefix));
    environment.add_filter("md", |text: String| markdown(&text));
    environment
}

/// A JSON value as Python writes it. JSON's strings are Python's, as long as nothing stands unescaped in them.
fn python_literal(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(python_literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(items) => {
            let item =
                |(key, value): (&String, &Value)| format!("{}: {}", Value::from(key.as_str()), python_literal(value));
            let items: Vec<_> = items.iter().map(item).collect();
            format!("{{{}}}", items.join(", "))
        }
    }
}

/// Words on lines that all begin with `prefix`: whatever ends a line in any language is a space here.
fn comment(text: &str, prefix: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(|character: char| character.is_whitespace() || character.is_control()) {
        match lines.last_mut() {
            _ if word.is_empty() => {}
            Some(line) if line.chars().count() + word.chars().count() < COMMENT_CHARS_MAX => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{prefix}{word}")),
        }
    }
    lines.join("\n")
}

/// Prose on one line that has no meaning to Markdown or HTML.
fn markdown(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        match character {
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' => {
                plain.push('\\');
                plain.push(character);
            }
            other if other.is_control() => plain.push(' '),
            other => plain.push(other),
        }
    }
    plain
}

/// Output that stops being written when it is too much.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn own(source: &'static str, context: serde_json::Value) -> Result<String, Failure> {
        let mut environment = environment();
        environment.add_template("own", source).expect("well-formed");
        rendered(&environment, "own", context)
    }

    #[test]
    fn what_a_client_wrote_stays_data() {
        let nasty = json!({ "x": "a\"\\\n'''\u{2028}{{ 7 }}", "y": [true, null, {"k": 1.5}] });
        let literal = own("{{ x | py }} {{ y | py }}", nasty).expect("rendered");
        assert_eq!(literal, "\"a\\\"\\\\\\n'''\u{2028}{{ 7 }}\" [True, None, {\"k\": 1.5}]");
        let comment = own("{{ x | comment('# ') }}", json!({ "x": "one\r\ntwo\u{2028}three\u{85}four\u{0c}five" }));
        assert_eq!(comment.expect("rendered"), "# one two three four five");
        let cell = own("{{ x | md }}", json!({ "x": "a|b\n# <script> _c_" })).expect("rendered");
        assert_eq!(cell, "a\\|b \\# &lt;script&gt; \\_c\\_");
        assert_eq!(own("{{ x | sql }}", json!({ "x": "a\"b" })).expect("rendered"), "\"a\"\"b\"");
    }

    #[test]
    fn rendering_has_bounds() {
        let endless =
            own("{% for i in range(10000) %}{% for j in range(10000) %}{{ j }}{% endfor %}{% endfor %}", json!({}));
        let failure = endless.expect_err("bounded");
        assert!(failure.message.contains("does not end") || failure.message.contains("more than"), "{failure:?}");
        let big = own("{% for i in range(100) %}{{ x }}{% endfor %}", json!({ "x": "y".repeat(100_000) }));
        assert_eq!(big.expect_err("bounded").message, "a template wrote more than 1048576 bytes");
        assert!(own("{{ nowhere }}", json!({})).is_err(), "an undefined name is an error");
    }
}
