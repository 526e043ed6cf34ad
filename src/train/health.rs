//! What is wrong with a training that goes on.

use super::StepReport;
use crate::config::Config;
use crate::losses::{Ailment, LOSS, Loss, Stretch};
use crate::net::Net;
use crate::sampler::Batch;

/// Values that mean and variance of a channel are worth being taken of; of fewer they are other ones in each batch.
const FEW: usize = 32;

/// Looks over a training's reports for [`Ailment`]s of its loss, and names each once; and says at once where batches
/// are so small that it will suffer.
#[derive(Clone, Debug)]
pub struct Health {
    loss: Loss,
    batch: Batch,
    /// Sums since the last look.
    sums: Stretch,
    named: Vec<&'static str>,
    /// What can be said at once.
    known: Option<Ailment>,
}

impl Health {
    /// Steps that are looked at together; one alone may be bad luck.
    const WINDOW: u64 = 100;

    /// Of a training with these settings.
    pub fn new(config: &Config, net: &Net) -> Health {
        let sums = Health::nothing(config.loss);
        let few = net.fewest_moments(config.rows_of_share()).filter(|&(values, _)| values < FEW);
        let known = few.map(|(values, name)| {
            let words = format!(
                "`{name}` takes mean and variance of {values} values a channel, which are others in each batch: a \
                 larger --batch, or `gn` or `ln` for `bn`"
            );
            Ailment { name: "few values", words }
        });
        Health { loss: config.loss, batch: config.batch, sums, named: Vec::new(), known }
    }

    fn nothing(loss: Loss) -> Stretch {
        let means = loss.statistics().into_iter().map(|name| (name, 0.0)).collect();
        Stretch { steps: 0, idle: 0, means }
    }

    /// Takes in a report; answers what has come to light.
    pub fn look(&mut self, report: &StepReport) -> Option<Ailment> {
        self.sums.steps += 1;
        self.sums.idle += u64::from(report.stats.get(LOSS) == 0.0);
        for ((_, sum), (_, value)) in self.sums.means.iter_mut().zip(report.stats.iter()) {
            *sum += f64::from(value);
        }
        if self.sums.steps < Health::WINDOW {
            return self.known.take();
        }
        let mut stretch = std::mem::replace(&mut self.sums, Health::nothing(self.loss));
        stretch.means.iter_mut().for_each(|(_, sum)| *sum /= stretch.steps as f64);
        let found = self.loss.ailment(&self.batch, &stretch);
        let new = found.filter(|ailment| !self.named.contains(&ailment.name));
        self.named.extend(new.iter().map(|ailment| ailment.name));
        new
    }
}
