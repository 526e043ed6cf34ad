//! How long a step takes that several ranks do together: what each computes, and what they tell each other.
//!
//! ```text
//! step = compute + messages · latency + bytes / bandwidth
//! ```
//!
//! Messages and bytes of an exchange are those of R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of Collective
//! Communication Operations in MPICH" (2005), on a network where every pair of ranks talks at full speed.

/// Values that are summed at once: what each rank receives of them has a small room, whatever their number is.
pub(super) const BLOCK: usize = 4 << 20;

/// The way from one rank to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Seconds until the first byte of a message is there.
    pub latency: f64,
    /// Bytes a second from then on.
    pub bandwidth: f64,
}

/// What ranks do together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// [`Crew::broadcast`](super::Crew::broadcast), down a tree.
    Broadcast,
    /// [`Crew::gather`](super::Crew::gather), by doubling.
    Gather,
    /// [`Crew::sum`](super::Crew::sum): each rank gets its piece of everyone's values, adds, and the sums are gathered.
    Sum,
}

impl Exchange {
    /// Messages of a rank that follow each other, and bytes that go through its link, for `bytes` of result.
    pub fn cost(self, ranks: usize, bytes: usize) -> (f64, f64) {
        let rounds = f64::from(ranks.next_power_of_two().ilog2());
        let (others, bytes) = (ranks as f64 - 1.0, bytes as f64);
        let but_own = bytes * others / ranks as f64;
        match self {
            Exchange::Broadcast => (rounds, rounds * bytes),
            Exchange::Gather => (rounds, but_own),
            Exchange::Sum => {
                let blocks = (bytes / (4 * BLOCK) as f64).ceil();
                (blocks * (others + rounds), 2.0 * but_own)
            }
        }
    }

    /// Seconds that messages and bytes take.
    pub fn seconds(self, ranks: usize, bytes: usize, link: Link) -> (f64, f64) {
        let (messages, bytes) = self.cost(ranks, bytes);
        (messages * link.latency, bytes / link.bandwidth)
    }

    /// The link on which the model comes nearest to what was measured: seconds for bytes, of relative errors the least
    /// squares. `None` unless there are several ranks and different numbers of bytes.
    pub fn fit(self, ranks: usize, measured: &[(usize, f64)]) -> Option<Link> {
        // Normal equations of latency · messages / seconds + bytes / seconds / bandwidth = 1.
        let [mut mm, mut mb, mut bb, mut m, mut b] = [0.0; 5];
        for &(bytes, seconds) in measured {
            let (messages, bytes) = self.cost(ranks, bytes);
            let (x, y) = (messages / seconds, bytes / seconds);
            (mm, mb, bb, m, b) = (mm + x * x, mb + x * y, bb + y * y, m + x, b + y);
        }
        let determinant = mm * bb - mb * mb;
        let (latency, inverse) = ((m * bb - b * mb) / determinant, (b * mm - m * mb) / determinant);
        (latency.is_finite() && inverse > 0.0).then(|| Link { latency: latency.max(0.0), bandwidth: 1.0 / inverse })
    }
}

/// A step of a training as one rank does it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Rows of its batch.
    pub rows: usize,
    /// Seconds of what is done row by row: images, the way forward and back. Ranks divide it.
    pub by_row: f64,
    /// Seconds of mining and loss, which every rank does on all rows, each row with each.
    pub loss: f64,
    /// Seconds of the update, which every rank does.
    pub update: f64,
    /// Bytes of the embeddings of all rows, which are gathered.
    pub embeddings: usize,
    /// Bytes of the gradient, which is summed.
    pub gradient: usize,
}

/// Seconds of the parts of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts {
    /// What the ranks divide.
    pub by_row: f64,
    /// Mining and loss.
    pub loss: f64,
    /// The update.
    pub update: f64,
    /// What the messages take whatever they hold.
    pub latency: f64,
    /// What the bytes take.
    pub bandwidth: f64,
}

impl Step {
    /// The step with a batch of so many times the rows.
    pub fn grown(self, times: usize) -> Step {
        let factor = times as f64;
        Step {
            rows: self.rows * times,
            by_row: self.by_row * factor,
            loss: self.loss * factor * factor,
            embeddings: self.embeddings * times,
            ..self
        }
    }

    /// What becomes of it on so many ranks, which rank 0 tells to begin.
    pub fn on(self, ranks: usize, link: Link) -> Parts {
        let told = Exchange::Broadcast.seconds(ranks, 64, link);
        let gather = Exchange::Gather.seconds(ranks, self.embeddings, link);
        let sum = Exchange::Sum.seconds(ranks, self.gradient, link);
        Parts {
            by_row: self.by_row / ranks as f64,
            loss: self.loss,
            update: self.update,
            latency: told.0 + gather.0 + sum.0,
            bandwidth: told.1 + gather.1 + sum.1,
        }
    }
}

impl Parts {
    /// All of it.
    pub fn seconds(self) -> f64 {
        self.by_row + self.loss + self.update + self.exchange()
    }

    /// What the ranks wait for each other.
    pub fn exchange(self) -> f64 {
        self.latency + self.bandwidth
    }

    /// The longest part, which limits it.
    pub fn limit(self) -> &'static str {
        let parts = [
            ("rows", self.by_row),
            ("loss", self.loss),
            ("update", self.update),
            ("latency", self.latency),
            ("bandwidth", self.bandwidth),
        ];
        parts.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("a part").0
    }
}
