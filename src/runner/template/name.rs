//! Names that become identifiers in SQL and Python. They come from whoever submits a project: what is not
//! plainly a name is refused, never mended.

use crate::wire::Failure;

/// The longest name: what PostgreSQL keeps of an identifier.
const NAME_BYTES_MAX: usize = 63;

/// Words that are no name of a column or a table, in any case: reserved in SQL.
const SQL_KEYWORDS: [&str; 81] = [
    "add",
    "all",
    "alter",
    "analyze",
    "and",
    "any",
    "as",
    "asc",
    "autoincrement",
    "begin",
    "between",
    "both",
    "by",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "commit",
    "constraint",
    "create",
    "cross",
    "current_date",
    "current_time",
    "current_timestamp",
    "default",
    "deferrable",
    "delete",
    "desc",
    "distinct",
    "do",
    "drop",
    "else",
    "end",
    "escape",
    "except",
    "exists",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "in",
    "index",
    "inner",
    "insert",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "leading",
    "left",
    "like",
    "limit",
    "natural",
    "not",
    "null",
    "on",
    "or",
    "order",
    "outer",
    "primary",
    "references",
    "right",
    "select",
    "set",
    "table",
    "then",
    "to",
    "transaction",
    "union",
    "unique",
    "update",
    "using",
    "values",
    "where",
];

/// Words that are no name in Python.
const PYTHON_KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// `name` if it can be an identifier; `what` says whose name it is.
pub(super) fn identifier(what: &str, name: &str) -> Result<String, Failure> {
    let refused = |why: &str| Err(Failure::permanent(format!("{what} `{}` {why}", name.escape_default())));
    let mut characters = name.chars();
    if !characters.next().is_some_and(|first| first.is_ascii_alphabetic())
        || !characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
    {
        return refused("is no name: a letter, then A-Z a-z 0-9 _");
    }
    if name.len() > NAME_BYTES_MAX {
        return refused(&format!("is longer than {NAME_BYTES_MAX}"));
    }
    if PYTHON_KEYWORDS.contains(&name) {
        return refused("is a keyword of Python");
    }
    Ok(name.into())
}

/// The same for a table or a column.
pub(super) fn column(what: &str, name: &str) -> Result<String, Failure> {
    let name = identifier(what, name)?;
    match SQL_KEYWORDS.contains(&name.to_ascii_lowercase().as_str()) {
        true => Err(Failure::permanent(format!("{what} `{name}` is a keyword of SQL"))),
        false => Ok(name),
    }
}

/// `OrderItem` and `order_item` as `order_item`.
pub(super) fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut before = '_';
    for character in name.chars() {
        if character.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
        before = character;
    }
    snake
}

/// `order_item` as `OrderItem`.
pub(super) fn camel(snake: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    snake.split('_').map(word).collect()
}

/// More than one of it, as English does with most words.
pub(super) fn plural(singular: &str) -> String {
    let ends = |endings: &[&str]| endings.iter().any(|ending| singular.ends_with(ending));
    match singular.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if ends(&["s", "x", "z", "ch", "sh"]) => format!("{singular}es"),
        _ => format!("{singular}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        for good in ["a", "imo_number", "OrderItem", "x9", "type"] {
            assert_eq!(identifier("field", good), Ok(good.into()));
        }
        let long = "a".repeat(64);
        for bad in ["", "9x", "_x", "a b", "a\"b", "a;--", "schiff\u{fc}", "class", "None", "a\n", &long] {
            assert!(identifier("field", bad).is_err(), "{bad:?}");
        }
        assert!(column("field", "Order").is_err(), "keywords of SQL have no case");
        assert!(column("field", "orders").is_ok());
    }

    #[test]
    fn names_are_bent_as_english_does() {
        assert_eq!(snake("OrderItem"), "order_item");
        assert_eq!(snake("HTTPServer2Go"), "httpserver2_go");
        assert_eq!(camel("order_item"), "OrderItem");
        let plurals = ["category", "day", "harbour", "address", "box"].map(plural);
        assert_eq!(plurals, ["categories", "days", "harbours", "addresses", "boxes"]);
    }
}
