//! Executors and their peers: an owner that is nothing but the wire description, on the broker in memory and on RabbitMQ.

mod avoiding;
mod cancelling;
mod leasing;
mod leaving;
mod owner;
mod packed;
mod place;
mod unanswerable;

use place::Place;

/// Plays a story on both brokers.
async fn on_both(story: impl AsyncFn(&Place)) {
    let place = Place::in_memory().await;
    story(&place).await;
    let place = Place::on_rabbitmq().await;
    story(&place).await;
    place.leave().await;
}
