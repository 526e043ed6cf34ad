//! `siamese plan`

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use siamese::data::pictures::Pictures;
use siamese::embed::batch;
use siamese::net::Net;
use siamese::siamese::{Source, inference_plan, slots, training_plan};

use super::{BatchArgs, DataArg, NetworkArgs, Outcome};

/// Prints the plan of a network: its calls in order with their work, and its arrays with their sizes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese plan
  siamese plan --spec \"conv16 relu pool dense32 l2\" --batch 10x8
  siamese plan --preset notebook --infer")]
pub struct Plan {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: DataArg,
    #[command(flatten)]
    batch: BatchArgs,
    /// The plan that embeds images, not the one that trains
    #[arg(long, conflicts_with_all = ["mining", "batch"])]
    infer: bool,
}

impl Plan {
    pub fn run(self) -> Outcome {
        let mut config = self.network.config()?;
        config.batch = self.batch.apply(&config)?;
        config.validate()?;
        let train = self.data.load(None, Pictures::default())?.train;
        let net = Net::parse(&config.spec, [train.height, train.width, train.channels])?;
        let source = Source::new(&train, config.scale());
        let plan = if self.infer {
            inference_plan(&net, &source, batch(&net, train.len()), slots::PARAMETERS)
        } else {
            net.check(config.batch.rows())?;
            training_plan(&net, &source, &config)
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{} on {:?}: {} parameters\n\n{plan}", net.spec, net.input, net.parameter_count())?;
        Ok(ExitCode::SUCCESS)
    }
}
