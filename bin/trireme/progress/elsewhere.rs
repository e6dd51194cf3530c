//! Agents on another store than the one that is looked into: whatever they do, nothing of it is ever seen here.

use trireme::runtime::port::Store;
use trireme::wire::content::Presence;
use uuid::Uuid;

use crate::failure::Failure;

/// The id of a store; none where no worker has used it yet.
pub async fn store_id(store: &dyn Store) -> Option<Uuid> {
    // A store that is open for reading writes down no partitions.
    store.identity(1).await.ok().map(|identity| identity.id)
}

/// What to say when every owner among those who answered works on another store than `own`.
pub fn elsewhere<'a>(own: Option<Uuid>, agents: impl IntoIterator<Item = &'a Presence>) -> Option<Failure> {
    let (own, mut other) = (own?, None);
    for agent in agents {
        match agent.store_id {
            Some(theirs) if theirs == own => return None,
            Some(theirs) if !agent.leaving => other = Some((agent, theirs)),
            // Executors work on none.
            _ => {}
        }
    }
    let (agent, theirs) = other?;
    let (id, host) = (&agent.agent_id, &agent.host);
    let message =
        format!("agents work on another store: `{id}` on `{host}` on {theirs}, this command looks into {own}");
    Some(Failure::usage(message).hint("give it the `store.url` of the agents: `trireme config show` prints its own"))
}
