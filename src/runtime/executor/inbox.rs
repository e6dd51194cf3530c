//! What an executor makes of letters to it: cancels.

use super::Shop;
use super::attempt::Task;
use super::halt::Reason;
use crate::runtime::inbox::{Inbox, Reply};
use crate::runtime::letter::Letter;
use crate::wire::Content;
use crate::wire::content::RunningCommand;

impl Inbox for Shop {
    fn commands(&self) -> Vec<RunningCommand> {
        self.running.told()
    }

    fn on_letter(&self, letter: &Letter) -> Option<Vec<Reply>> {
        let Content::Cancel(control) = &letter.envelope.content else { return None };
        // Remembered first: what is taken in from here on sees it, what was taken in before is found.
        self.cancelled.remember(&control.commands, self.ground.clock.now());
        self.running.cancel(&control.commands);
        (!control.commands.is_empty()).then(Vec::new)
    }
}

impl Shop {
    /// Ends a task before it begins when nobody wants it any more.
    pub(crate) fn drop_if_cancelled(&self, task: &Task) -> bool {
        let is_cancelled = self.cancelled.covers(task.id, self.ground.clock.now());
        if is_cancelled {
            task.halt.fire(Reason::Cancelled);
        }
        is_cancelled
    }
}
