//! Letters to one agent: what its layer makes of them beside who is there.

use super::letter::Letter;
use crate::wire::Content;
use crate::wire::address::Address;
use crate::wire::content::RunningCommand;

/// What a letter to an agent is answered with. It may get lost.
pub(crate) type Reply = (Address, Content);

/// What a layer adds to the inbox of its agents. Called between two letters: it must not take long.
pub(crate) trait Inbox: Sync {
    /// The commands that heartbeats are to list.
    fn commands(&self) -> Vec<RunningCommand> {
        Vec::new()
    }

    /// A letter of somebody else; those that say who is there come here too. None when it has no meaning here.
    fn on_letter(&self, _letter: &Letter) -> Option<Vec<Reply>> {
        None
    }
}

/// Of an agent to whom nothing is said but who is there.
pub(crate) struct NoInbox;

impl Inbox for NoInbox {}
