//! What is wrong with something that a person wrote: one line, and the way out where there is one. Never more
//! than a line, whatever was written.

/// The longest piece of somebody's text that is quoted, in characters: enough to find it by.
const QUOTE_CHARS_MAX: usize = 80;

/// A refusal in the words that its author needs. Asking again gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadInput {
    pub message: String,
    pub hint: Option<String>,
}

impl BadInput {
    pub fn new(message: impl AsRef<str>) -> Self {
        Self { message: one_line(message.as_ref()), hint: None }
    }

    /// The same with a way out.
    #[must_use]
    pub fn or_else(self, hint: impl AsRef<str>) -> Self {
        Self { hint: Some(one_line(hint.as_ref())), ..self }
    }

    /// The same with `hint`, when there is one.
    #[must_use]
    pub fn or_perhaps(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.or_else(hint),
            None => self,
        }
    }

    /// The same, said of `place`.
    #[must_use]
    pub fn at(self, place: impl std::fmt::Display) -> Self {
        Self { message: one_line(&format!("{place}: {}", self.message)), ..self }
    }

    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Message and hint in one line, where there is no place for two.
    pub fn in_one_line(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{} ({hint})", self.message),
            None => self.message.clone(),
        }
    }
}

/// `text` in backticks, made short and visible.
pub fn quote(text: &str) -> String {
    format!("`{}`", cut(text))
}

/// `text`, made short and visible.
pub fn cut(text: &str) -> String {
    let mut short = String::new();
    let mut characters = text.chars();
    characters.by_ref().take(QUOTE_CHARS_MAX).for_each(|character| push_visible(&mut short, character));
    if characters.next().is_some() {
        short.push_str("...");
    }
    short
}

/// `text` made visible and kept in one line, however long.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    text.chars().for_each(|character| push_visible(&mut line, character));
    line
}

/// What would break the line, or turn its direction, is written as an escape.
fn push_visible(line: &mut String, character: char) {
    let hidden = character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match hidden {
        true => line.extend(character.escape_default()),
        false => line.push(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_one_line_and_short() {
        let bad = BadInput::new("a\nb\u{2028}c").or_else("x\ty").at("file");
        assert_eq!(bad.to_string(), "file: a\\nb\\u{2028}c");
        assert_eq!(bad.in_one_line(), "file: a\\nb\\u{2028}c (x\\ty)");
        assert_eq!(quote("a\0b"), "`a\\u{0}b`");
        assert_eq!(quote(&"ä".repeat(300)).chars().count(), 80 + "`...`".len());
    }
}
