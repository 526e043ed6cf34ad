//! What the service counts, as Prometheus reads it.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// A request that is answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    /// As it is described, with no name in it.
    pub route: String,
    /// The status of the answer.
    pub status: u16,
}

/// The route of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Route {
    /// As it is described, with no name in it.
    pub route: String,
}

/// What is counted.
pub struct Metrics {
    registry: Registry,
    /// Requests that were answered.
    pub requests: Family<Request, Counter>,
    /// How long they took.
    pub seconds: Family<Route, Histogram>,
    /// Requests under way.
    pub under_way: Gauge,
    /// Pictures that were embedded.
    pub embedded: Counter,
    /// Pictures that could not be used.
    pub refused: Counter,
    /// Pictures that were embedded together.
    pub batches: Histogram,
    /// Changes of the gallery that were asked for.
    pub changes: Counter,
    /// How often it was written for them.
    pub saves: Counter,
    /// Identities in it.
    pub identities: Gauge,
    /// Embeddings in it.
    pub embeddings: Gauge<u64, AtomicU64>,
    /// Whether it could be read when it was last looked at.
    pub readable: Gauge,
}

fn histogram_of_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("siamese"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(histogram_of_seconds),
            under_way: Gauge::default(),
            embedded: Counter::default(),
            refused: Counter::default(),
            batches: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            changes: Counter::default(),
            saves: Counter::default(),
            identities: Gauge::default(),
            embeddings: Gauge::default(),
            readable: Gauge::default(),
        };
        let all = &mut metrics.registry;
        all.register("requests", "Requests that were answered", metrics.requests.clone());
        all.register_with_unit("request", "How long they took", Unit::Seconds, metrics.seconds.clone());
        all.register("requests_under_way", "Requests under way", metrics.under_way.clone());
        all.register("pictures_embedded", "Pictures that were embedded", metrics.embedded.clone());
        all.register("pictures_refused", "Pictures that could not be used", metrics.refused.clone());
        all.register("batch_pictures", "Pictures that were embedded together", metrics.batches.clone());
        all.register("gallery_changes", "Changes of the gallery that were asked for", metrics.changes.clone());
        all.register("gallery_saves", "How often the gallery was written for them", metrics.saves.clone());
        all.register("gallery_identities", "Identities in the gallery", metrics.identities.clone());
        all.register("gallery_embeddings", "Embeddings in the gallery", metrics.embeddings.clone());
        all.register("gallery_readable", "Whether the gallery could be read last", metrics.readable.clone());
        metrics
    }
}

impl Metrics {
    /// Notes the gallery as it is now.
    pub fn see(&self, gallery: &siamese::gallery::Gallery) {
        self.identities.set(gallery.identities().len() as i64);
        self.embeddings.inner().store(gallery.len() as u64, Ordering::Relaxed);
        self.readable.set(1);
    }

    /// The text for Prometheus.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes what is written");
        text
    }
}
