//! The letter that a person names, by its id or the beginning of one.

use super::{DeadLetter, DeadLetters};
use crate::runtime::port::TransportError;

/// An id may be given by so many of its first characters.
const BEGINNING_MIN: usize = 4;
/// So much of letters that share an id is held at once, in bytes. They are copies for the most part, which take no
/// room; others beyond this are left alone.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The letters of one id.
#[derive(Debug)]
pub struct Named {
    pub id: String,
    /// Different ones; the copies of each are with it.
    pub letters: Vec<DeadLetter>,
    /// So many more have this id and are not held.
    pub left_alone: usize,
    bytes: usize,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Too short to name anything.
    #[error("`{0}` is shorter than {BEGINNING_MIN} characters")]
    TooShort(String),
    #[error("no dead letter has the id `{0}`")]
    Unknown(String),
    /// Two of those that it could be.
    #[error("`{named}` is the beginning of several dead letters' ids")]
    Ambiguous { named: String, first: String, second: String },
}

impl DeadLetters {
    /// Looks through all of them for the letters of one id. A whole id is that one, even if it begins another.
    pub async fn find(&mut self, named: &str) -> Result<Named, NotFound> {
        let beginning = named.trim().to_lowercase();
        if beginning.len() < BEGINNING_MIN {
            return Err(NotFound::TooShort(beginning));
        }
        let (mut found, mut other): (Option<Named>, Option<String>) = (None, None);
        while let Some(letter) = self.next().await? {
            let id = &letter.facts.id;
            if !id.starts_with(&beginning) {
                continue;
            }
            match &mut found {
                Some(named) if named.id == *id => named.add(letter),
                Some(named) if *id == beginning || named.id != beginning => {
                    let first = std::mem::replace(named, Named::new(letter));
                    other = Some(first.id);
                }
                Some(_) => {}
                None => found = Some(Named::new(letter)),
            }
        }
        match (found, other) {
            (None, _) => Err(NotFound::Unknown(beginning)),
            (Some(found), Some(other)) if found.id != beginning => {
                Err(NotFound::Ambiguous { named: beginning, first: other, second: found.id })
            }
            (Some(found), _) => Ok(found),
        }
    }
}

impl Named {
    fn new(letter: DeadLetter) -> Self {
        Self { id: letter.facts.id.clone(), bytes: letter.body.len(), letters: vec![letter], left_alone: 0 }
    }

    /// How many letters there are of it.
    pub fn count(&self) -> usize {
        self.letters.iter().map(DeadLetter::copies).sum::<usize>() + self.left_alone
    }

    fn add(&mut self, letter: DeadLetter) {
        if let Some(same) = self.letters.iter_mut().find(|held| held.is_copy(&letter)) {
            same.add_copy(letter);
        } else if self.bytes + letter.body.len() > HELD_BYTES_MAX {
            self.left_alone += 1;
        } else {
            self.bytes += letter.body.len();
            self.letters.push(letter);
        }
    }
}
